"""Third parties that misbehave when told to."""

import asyncio
from enum import StrEnum
from typing import Annotated

import msgspec

from services.sandbox.store import Store

type Count = Annotated[int, msgspec.Meta(ge=1, le=1000)]


class SystemMode(StrEnum):
    """How a bank's system fails."""

    NONE = "none"
    ERROR = "error"
    SLOW = "slow"
    REFUSE = "refuse"


class KitchenMode(StrEnum):
    """How a partner's system fails."""

    NONE = "none"
    ERROR = "error"
    SLOW = "slow"
    REFUSE = "refuse"
    BUSY = "busy"
    """Says when to come again."""
    GONE = "gone"
    """Says that it is gone for good."""
    LIE = "lie"
    """Says 200 to everything, as a web site does that nobody has built yet, and takes nothing."""
    REDIRECT = "redirect"
    """Sends the caller elsewhere."""


class PushMode(StrEnum):
    """How a push provider fails."""

    NONE = "none"
    UNAVAILABLE = "unavailable"
    UNREGISTERED = "unregistered"
    QUOTA = "quota"
    SLOW = "slow"
    LIE = "lie"


class SystemFault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`count`: for how many requests; without it, until `none` is set."""

    mode: SystemMode
    count: Count | None = None


class KitchenFault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The same for a kitchen."""

    mode: KitchenMode
    count: Count | None = None


class Faults:
    """Which place fails how, and how many times more."""

    def __init__(self, store: Store, slow_seconds: float) -> None:
        self._store = store
        self._slow_seconds = slow_seconds

    def set(self, place: str, mode: StrEnum, count: int | None) -> None:
        """From now on; a count of None means until told otherwise."""
        if mode == "none":
            self._store.run("DELETE FROM faults WHERE place = ?", place)
        else:
            self._store.run("INSERT OR REPLACE INTO faults VALUES (?, ?, ?)", place, str(mode), count)

    def get(self, place: str) -> tuple[str, int | None]:
        """The mode, and the count that is left."""
        row = self._store.one("SELECT mode, remaining FROM faults WHERE place = ?", place)
        return (row["mode"], row["remaining"]) if row else ("none", None)

    def take(self, place: str) -> str:
        """The mode for the request at hand; counts it."""
        with self._store.transaction():
            mode, remaining = self.get(place)
            if remaining == 1:
                self._store.run("DELETE FROM faults WHERE place = ?", place)
            elif remaining is not None:
                self._store.run("UPDATE faults SET remaining = remaining - 1 WHERE place = ?", place)
        return mode

    async def linger(self) -> None:
        """Takes as long as `slow` means; the caller has usually given up by then."""
        await asyncio.sleep(self._slow_seconds)
