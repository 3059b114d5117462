"""Active banks, so that an order check is rejected if its bank is not registered."""

from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol

from generated.problems import Reason
from generated.proto.delivery.orders.v1 import ListBanksRequest, ListBanksResponse
from services.runtime.concurrency.coalescing import RequestCoalescer
from services.runtime.core.errors import ApiError

PAGE_SIZE = 100

REFRESH_INTERVAL_S = 600.0
"""Interval at which deactivated banks are removed. Until then, the confirmation of an order rejects them."""

RETRY_INTERVAL_S = 1.0
"""Interval until the first refresh succeeds."""


class BankLister(Protocol):
    """List of the active banks by the orders service."""

    async def list_banks[Page](self, request: ListBanksRequest, read: Callable[[Any], Page]) -> Page:
        """Return the result of `read` for a page of the active banks."""


class ActiveBanks:
    """Ids of the active banks. A bank that is not among them is requested from the orders service."""

    def __init__(self, lister: BankLister) -> None:
        self._lister = lister
        self._ids: frozenset[str] = frozenset()
        self._refreshes = RequestCoalescer(self._refresh)

    def get_refresh_interval_s(self) -> float:
        """Return the time until the next periodic refresh, in seconds."""
        return REFRESH_INTERVAL_S if self._ids else RETRY_INTERVAL_S

    async def check(self, bank_id: str) -> None:
        """Check that a bank is active. While the orders service is unavailable, every bank is accepted.

        Raises ApiError: BANK_UNAVAILABLE.
        """
        if bank_id in self._ids:
            return
        try:
            await self.refresh()
        except ApiError:
            return
        if bank_id not in self._ids:
            raise ApiError(Reason.BANK_UNAVAILABLE)

    async def refresh(self) -> int:
        """Request the active banks. Returns 0, so that a periodic job does not repeat it at once.

        Raises ApiError: UPSTREAM_UNAVAILABLE.
        """
        await self._refreshes.get(None)
        return 0

    async def _refresh(self, _: None) -> None:
        self._ids = frozenset([bank_id async for bank_id in self._iter_ids()])

    async def _iter_ids(self) -> AsyncIterator[str]:
        token = ""
        while True:
            request = ListBanksRequest(page_size=PAGE_SIZE, page_token=token)
            bank_ids, token = await self._lister.list_banks(request, _read_page)
            for bank_id in bank_ids:
                yield bank_id
            if not token:
                return


def _read_page(page: ListBanksResponse) -> tuple[list[str], str]:
    """Return the ids of a page, and the token of the next one, which is empty on the last one."""
    return [bank.id for bank in page.items], page.next_page_token or ""
