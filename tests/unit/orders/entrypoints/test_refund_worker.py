"""Workers that send refunds: concurrency, and errors of one refund."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import replace

import pytest

from services.orders.domain.orders import Bank, RefundStatus
from services.orders.domain.payments import Refund, RefundResponse
from services.orders.entrypoints.refund_worker import LEASE, MAX_CONCURRENT, create_refund_workers
from services.orders.settings import Settings
from tests.unit.fake_transactions import NOW
from tests.unit.orders.fakes import FakePaymentSystem, FakeRepository
from tests.wait import wait_until_async

SUCCESS = RefundResponse(is_refunded=True, is_final=True, message="200")


def build_repository(count: int) -> FakeRepository:
    repository = FakeRepository()
    for index in range(count):
        refund_id = f"r{index}"
        repository.refunds[refund_id] = Refund(refund_id, "visa", "p1", "o1", 200, "USD", RefundStatus.REQUESTED, NOW)
    return repository


@asynccontextmanager
async def running_workers(repository: FakeRepository, system: FakePaymentSystem) -> AsyncIterator[None]:
    pool = create_refund_workers(
        repository.refunds,
        repository,
        system,
        repository.clock,
        retry_delays_s=(10.0,),
        poll_interval_s=3600.0,
        trace=lambda refund: nullcontext(),
        wakeup=asyncio.Event(),
    )
    task = asyncio.create_task(pool.run())
    try:
        async with asyncio.timeout(5):
            yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def wait_until_refunded(repository: FakeRepository, count: int) -> None:
    def are_refunded() -> bool:
        return sum(refund.status is RefundStatus.REFUNDED for refund in repository.refunds.values()) >= count

    await wait_until_async(are_refunded, interval_s=0)


def test_lease_is_longer_than_largest_bank_timeout() -> None:
    (limit,) = [each.le for each in Settings.model_fields["bank_timeout_seconds"].metadata if hasattr(each, "le")]
    assert LEASE.total_seconds() > limit


async def test_concurrent_refunds_are_limited() -> None:
    repository = build_repository(MAX_CONCURRENT + 1)
    released, running, maximum = asyncio.Event(), 0, 0

    class SlowSystem(FakePaymentSystem):
        async def refund(self, bank: Bank, refund: Refund) -> RefundResponse:
            nonlocal running, maximum
            running += 1
            maximum = max(maximum, running)
            if running == MAX_CONCURRENT:
                asyncio.get_running_loop().call_soon(released.set)
            await released.wait()
            running -= 1
            repository.refunds[refund.id] = replace(refund, status=RefundStatus.REFUNDED)
            return SUCCESS

    async with running_workers(repository, SlowSystem()):
        await wait_until_refunded(repository, MAX_CONCURRENT + 1)
    assert maximum == MAX_CONCURRENT


async def test_error_of_one_refund_is_one_failed_attempt(caplog: pytest.LogCaptureFixture) -> None:
    repository = build_repository(2)

    class FailingSystem(FakePaymentSystem):
        async def refund(self, bank: Bank, refund: Refund) -> RefundResponse:
            if refund.id == "r0":
                raise ValueError("invalid URL")
            return SUCCESS

    async with running_workers(repository, FailingSystem()):
        await wait_until_refunded(repository, 1)
    assert repository.refunds["r1"].status is RefundStatus.REFUNDED
    assert repository.refunds["r0"].status is RefundStatus.REQUESTED
    assert list(repository.refunds.rescheduled) == ["r0"]
    assert "refund r0 failed" in caplog.text
    assert "invalid URL" in caplog.text
