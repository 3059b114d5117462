"""Active banks: requests for unknown ones only, pages, and the time of an unavailable orders service."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from generated.problems import Reason
from generated.proto.delivery.orders.v1 import BankSummary, ListBanksRequest, ListBanksResponse
from services.gateway.usecases.active_banks import PAGE_SIZE, REFRESH_INTERVAL_S, RETRY_INTERVAL_S, ActiveBanks
from services.runtime.core.errors import ApiError
from tests.unit.fake_transactions import raises_reason


class Lister:
    """Orders service with banks by page token; an error is raised instead."""

    def __init__(self, *pages: list[str]) -> None:
        self.pages = pages
        self.error: ApiError | None = None
        self.requests: list[ListBanksRequest] = []

    async def list_banks[Page](self, request: ListBanksRequest, read: Callable[[Any], Page]) -> Page:
        self.requests.append(request)
        if self.error is not None:
            raise self.error
        number = int(request.page_token or 0)
        next_page_token = str(number + 1) if number + 1 < len(self.pages) else None
        items = [BankSummary(id=bank_id) for bank_id in self.pages[number]]
        return read(ListBanksResponse(items=items, next_page_token=next_page_token))


async def test_known_bank_needs_no_request() -> None:
    lister = Lister(["visa"], ["north"])
    banks = ActiveBanks(lister)
    assert await banks.refresh() == 0
    for bank_id in ("visa", "north"):
        await banks.check(bank_id)
    assert [request.page_token for request in lister.requests] == ["", "1"]
    assert {request.page_size for request in lister.requests} == {PAGE_SIZE}


async def test_unknown_bank_is_requested_and_rejected() -> None:
    lister = Lister(["visa"])
    banks = ActiveBanks(lister)
    await banks.check("visa")
    for count in (2, 3):
        with raises_reason(Reason.BANK_UNAVAILABLE):
            await banks.check("north")
        assert len(lister.requests) == count


async def test_new_bank_is_accepted_and_deactivated_one_removed() -> None:
    lister = Lister(["visa"])
    banks = ActiveBanks(lister)
    await banks.refresh()
    lister.pages = (["north"],)
    await banks.check("north")
    with raises_reason(Reason.BANK_UNAVAILABLE):
        await banks.check("visa")


async def test_concurrent_checks_of_unknown_banks_share_a_request() -> None:
    lister = Lister(["visa"])
    banks = ActiveBanks(lister)
    results = await asyncio.gather(*(banks.check(f"b{number}") for number in range(20)), return_exceptions=True)
    assert {result.reason for result in results if isinstance(result, ApiError)} == {Reason.BANK_UNAVAILABLE}
    assert (len(results), len(lister.requests)) == (20, 1)


async def test_every_bank_is_accepted_while_orders_are_unavailable() -> None:
    lister = Lister(["visa"])
    banks = ActiveBanks(lister)
    lister.error = ApiError(Reason.UPSTREAM_UNAVAILABLE)
    await banks.check("north")
    with pytest.raises(ApiError):
        await banks.refresh()
    assert banks.get_refresh_interval_s() == RETRY_INTERVAL_S
    lister.error = None
    await banks.refresh()
    assert banks.get_refresh_interval_s() == REFRESH_INTERVAL_S
