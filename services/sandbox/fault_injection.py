"""Fault injection into emulated third parties."""

import asyncio
from enum import StrEnum
from typing import Annotated

import msgspec

from services.sandbox.store import SqliteDatabase

type RequestCount = Annotated[int, msgspec.Meta(ge=1, le=1000)]


class BankFaultMode(StrEnum):
    """Fault of a bank."""

    NONE = "none"
    ERROR = "error"
    SLOW = "slow"
    REJECT = "refuse"


class PartnerFaultMode(StrEnum):
    """Fault of a partner system."""

    NONE = "none"
    ERROR = "error"
    SLOW = "slow"
    REJECT = "refuse"
    BUSY = "busy"
    """Responds with 503 and Retry-After."""
    GONE = "gone"
    """Responds with 410."""
    INVALID_RESPONSE = "invalid_response"
    """Responds to every request with 200 and an HTML page, like the default page of a web server."""
    REDIRECT = "redirect"
    """Responds with a redirect."""


class PushFaultMode(StrEnum):
    """Fault of a push provider."""

    NONE = "none"
    UNAVAILABLE = "unavailable"
    UNREGISTERED = "unregistered"
    QUOTA = "quota"
    SLOW = "slow"
    INVALID_RESPONSE = "invalid_response"


class BankFault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Fault of a bank for `count` requests; without a count, until the mode `none` is set."""

    mode: BankFaultMode
    count: RequestCount | None = None


class PartnerFault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Fault of a partner system for `count` requests; without a count, until the mode `none` is set."""

    mode: PartnerFaultMode
    count: RequestCount | None = None


class FaultInjector:
    """Active faults by target, with the number of remaining requests."""

    def __init__(self, database: SqliteDatabase, delay_s: float) -> None:
        self._database = database
        self._delay_s = delay_s

    def set(self, target: str, mode: StrEnum, count: int | None) -> None:
        """Set the fault of a target for `count` requests; None means until the next call."""
        if mode == "none":
            self._database.execute("DELETE FROM faults WHERE target = ?", target)
        else:
            self._database.execute("INSERT OR REPLACE INTO faults VALUES (?, ?, ?)", target, str(mode), count)

    def get(self, target: str) -> tuple[str, int | None]:
        """Return the mode and the number of remaining requests."""
        row = self._database.fetch_one("SELECT mode, remaining FROM faults WHERE target = ?", target)
        return (row["mode"], row["remaining"]) if row else ("none", None)

    def consume(self, target: str) -> str:
        """Return the mode for the current request and count the request."""
        with self._database.transaction():
            mode, remaining = self.get(target)
            if remaining == 1:
                self._database.execute("DELETE FROM faults WHERE target = ?", target)
            elif remaining is not None:
                self._database.execute("UPDATE faults SET remaining = remaining - 1 WHERE target = ?", target)
        return mode

    async def delay(self) -> None:
        """Wait for the delay of the mode `slow`, which usually exceeds the caller's timeout."""
        await asyncio.sleep(self._delay_s)
