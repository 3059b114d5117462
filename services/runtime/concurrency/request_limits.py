"""Limits of what one process holds for its clients: uploads and event streams per user, and bytes of uploads."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from generated.problems import Reason
from services.runtime.core.errors import ApiError

RETRY_AFTER_S = 1
"""Value of Retry-After beyond a limit, in seconds."""


class ConcurrencyLimit:
    """Maximum number of concurrent requests for each user."""

    def __init__(self, maximum: int) -> None:
        self._maximum = maximum
        self._counts: Counter[str] = Counter()

    @contextmanager
    def hold(self, user_id: str) -> Iterator[None]:
        """Count a request of the user during the block. Raises ApiError: TOO_MANY_REQUESTS."""
        if self._counts[user_id] >= self._maximum:
            raise ApiError(Reason.TOO_MANY_REQUESTS, retry_after=RETRY_AFTER_S)
        self._counts[user_id] += 1
        try:
            yield
        finally:
            self._counts[user_id] -= 1
            if not self._counts[user_id]:
                del self._counts[user_id]


class ByteBudget:
    """Maximum number of bytes of all bodies that are in memory."""

    def __init__(self, maximum: int) -> None:
        self._maximum = maximum
        self._used = 0

    @contextmanager
    def open(self) -> Iterator["Reservation"]:
        """Return a reservation that ends with the block."""
        reservation = Reservation(self)
        try:
            yield reservation
        finally:
            self._used -= reservation.size

    def reserve(self, size: int) -> None:
        """Use bytes of the budget. Raises ApiError: UPSTREAM_UNAVAILABLE if it has too few."""
        if self._used + size > self._maximum:
            raise ApiError(Reason.UPSTREAM_UNAVAILABLE, retry_after=RETRY_AFTER_S)
        self._used += size


@dataclass
class Reservation:
    """Bytes of one body."""

    budget: ByteBudget
    size: int = 0

    def reserve(self, size: int) -> None:
        """Reserve more bytes. Raises ApiError: UPSTREAM_UNAVAILABLE."""
        self.budget.reserve(size)
        self.size += size


@dataclass(frozen=True)
class RequestLimits:
    """Limits of one process."""

    uploads: ConcurrencyLimit = field(default_factory=lambda: ConcurrencyLimit(4))
    streams: ConcurrencyLimit = field(default_factory=lambda: ConcurrencyLimit(50))
    upload_bytes: ByteBudget = field(default_factory=lambda: ByteBudget(48 * 2**20))
