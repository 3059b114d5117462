"""Reconciliation with banks: payments that only a bank has recorded."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from generated.problems import Reason
from services.orders.domain.orders import Bank
from services.orders.domain.payments import BankPaymentPage, Payment
from services.orders.usecases.bank_reconciliation import reconcile_banks
from services.orders.usecases.payment_callbacks import process_payment
from services.runtime.core.errors import ApiError
from tests.unit.orders.fakes import BANK, FakeRepository, build_order
from tests.unit.orders.usecases.test_reconciliation import POLICY

PAYMENTS = [Payment("visa", f"p{number}", f"o{number}", 200, "USD", succeeded=True) for number in range(1, 4)]


class FakeLister:
    """Banks that list one payment per page; `km` is unavailable, and other banks have no list."""

    def __init__(self, payments: Sequence[Payment] = PAYMENTS) -> None:
        self._payments = payments
        self.periods: set[tuple[datetime, datetime]] = set()

    async def list_payments(
        self, bank: Bank, since: datetime, until: datetime, page_token: str | None
    ) -> BankPaymentPage | None:
        self.periods.add((since, until))
        if bank.id == "km":
            raise ApiError(Reason.UPSTREAM_UNAVAILABLE)
        if bank.id != "visa":
            return None
        index = int(page_token or 0)
        token = str(index + 1) if index + 1 < len(self._payments) else None
        return BankPaymentPage(self._payments[index : index + 1], token)


async def test_payment_that_only_bank_has_recorded_raises_one_alert() -> None:
    banks = [replace(BANK, id=bank_id) for bank_id in ("km", "other", "visa")]
    repository, lister = FakeRepository(build_order(), banks=banks), FakeLister()
    await process_payment(repository, repository.clock, PAYMENTS[0], "w1")
    repository.events.clear()
    for _ in range(2):
        assert await reconcile_banks(repository, lister, repository.clock, POLICY) == 0
    assert [(event.subject, event.reason) for event in repository.events] == [
        ("payment:visa:p2", "PAYMENT_NOT_RECORDED"),
        ("payment:visa:p3", "PAYMENT_NOT_RECORDED"),
    ]
    assert "order o2" in repository.events[0].detail
    assert lister.periods == {(repository.now - POLICY.window, repository.now - timedelta(minutes=1))}


async def test_inactive_bank_receives_no_request() -> None:
    repository, lister = FakeRepository(banks=[replace(BANK, active=False)]), FakeLister()
    await reconcile_banks(repository, lister, repository.clock, POLICY)
    assert lister.periods == set()


class HostileLister(FakeLister):
    """Banks of which `endless` lists pages without end and `invalid` causes an unexpected error."""

    async def list_payments(
        self, bank: Bank, since: datetime, until: datetime, page_token: str | None
    ) -> BankPaymentPage | None:
        if bank.id == "invalid":
            raise ValueError("unexpected")
        if bank.id == "endless":
            await asyncio.sleep(0)
            return BankPaymentPage([], "b" if page_token == "a" else "a")
        return await super().list_payments(bank, since, until, page_token)


async def test_hostile_bank_does_not_affect_other_banks() -> None:
    banks = [replace(BANK, id=bank_id) for bank_id in ("endless", "invalid", "visa")]
    repository, failures = FakeRepository(banks=banks), list[tuple[str, type[Exception]]]()
    await reconcile_banks(
        repository,
        HostileLister(),
        repository.clock,
        POLICY,
        report_failure=lambda bank_id, error: failures.append((bank_id, type(error))),
        max_bank_duration_s=0.05,
    )
    assert failures == [("endless", TimeoutError), ("invalid", ValueError)]
    assert len(repository.events) == len(PAYMENTS)
