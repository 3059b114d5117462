"""Third parties that misbehave when told to."""

import asyncio
from enum import StrEnum
from typing import Annotated

import msgspec

from services.sandbox.store import SqliteDatabase

type RequestCount = Annotated[int, msgspec.Meta(ge=1, le=1000)]


class BankFaultMode(StrEnum):
    """How a bank's system fails."""

    NONE = "none"
    ERROR = "error"
    SLOW = "slow"
    REFUSE = "refuse"


class PartnerFaultMode(StrEnum):
    """How a partner's system fails."""

    NONE = "none"
    ERROR = "error"
    SLOW = "slow"
    REFUSE = "refuse"
    BUSY = "busy"
    """Says when to come again."""
    GONE = "gone"
    """Says that it is gone for good."""
    INVALID_RESPONSE = "lie"
    """Says 200 to everything, as a web site does that nobody has built yet, and takes nothing."""
    REDIRECT = "redirect"
    """Sends the caller elsewhere."""


class PushFaultMode(StrEnum):
    """How a push provider fails."""

    NONE = "none"
    UNAVAILABLE = "unavailable"
    UNREGISTERED = "unregistered"
    QUOTA = "quota"
    SLOW = "slow"
    INVALID_RESPONSE = "lie"


class BankFault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`count`: for how many requests; without it, until `none` is set."""

    mode: BankFaultMode
    count: RequestCount | None = None


class PartnerFault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The same for a kitchen."""

    mode: PartnerFaultMode
    count: RequestCount | None = None


class FaultInjector:
    """Which place fails how, and how many times more."""

    def __init__(self, database: SqliteDatabase, delay_s: float) -> None:
        self._database = database
        self._delay_s = delay_s

    def set(self, target: str, mode: StrEnum, count: int | None) -> None:
        """From now on; a count of None means until told otherwise."""
        if mode == "none":
            self._database.execute("DELETE FROM faults WHERE place = ?", target)
        else:
            self._database.execute("INSERT OR REPLACE INTO faults VALUES (?, ?, ?)", target, str(mode), count)

    def get(self, target: str) -> tuple[str, int | None]:
        """The mode, and the count that is left."""
        row = self._database.fetch_one("SELECT mode, remaining FROM faults WHERE place = ?", target)
        return (row["mode"], row["remaining"]) if row else ("none", None)

    def consume(self, target: str) -> str:
        """The mode for the request at hand; counts it."""
        with self._database.transaction():
            mode, remaining = self.get(target)
            if remaining == 1:
                self._database.execute("DELETE FROM faults WHERE place = ?", target)
            elif remaining is not None:
                self._database.execute("UPDATE faults SET remaining = remaining - 1 WHERE place = ?", target)
        return mode

    async def delay(self) -> None:
        """Takes as long as `slow` means; the caller has usually given up by then."""
        await asyncio.sleep(self._delay_s)
