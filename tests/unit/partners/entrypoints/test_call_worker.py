"""Worker that makes due calls: concurrency, errors of one call, and an unavailable database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from generated.problems import Reason
from services.partners.domain.call_policy import Call, CallState, Outcome, PartnerResponse
from services.partners.domain.partners import Partner
from services.partners.entrypoints import call_worker
from services.partners.entrypoints.call_worker import MAX_CONCURRENT, WRITE_MARGIN, CallPolicy, create_call_workers
from services.runtime.core.errors import ApiError
from tests.unit.fake_transactions import NOW
from tests.unit.partners.fakes import BOWL, CALL, FakePartnerSystem, FakeRepository
from tests.wait import wait_until_async

POLICY = CallPolicy((10.0, 100.0), 5.0)
ACCEPTED = PartnerResponse(Outcome.ACCEPTED, "200")


@asynccontextmanager
async def running_worker(repository: FakeRepository, system: FakePartnerSystem) -> AsyncIterator[asyncio.Event]:
    wakeup = asyncio.Event()
    pool = create_call_workers(repository, repository, system, repository.clock, POLICY, wakeup)
    task = asyncio.create_task(pool.run())
    try:
        async with asyncio.timeout(5):
            yield wakeup
    finally:
        task.cancel()
        await asyncio.wait([task])


def build_calls(count: int) -> list[Call]:
    return [replace(CALL, id=f"c{index}", order_id=f"o{index}", attempts=0) for index in range(count)]


async def wait_until_delivered(repository: FakeRepository, count: int) -> None:
    def are_delivered() -> bool:
        return sum(call.state is CallState.DELIVERED for call in repository.calls.values()) >= count

    await wait_until_async(are_delivered, interval_s=0)


def test_lease_is_longer_than_call() -> None:
    assert POLICY.lease == timedelta(seconds=5) + WRITE_MARGIN


async def test_due_calls_are_made_until_none_is_left() -> None:
    repository = FakeRepository(BOWL, calls=build_calls(3))
    async with running_worker(repository, FakePartnerSystem(repository, *[ACCEPTED] * 3)):
        await wait_until_delivered(repository, 3)
    assert {call.attempts for call in repository.calls.values()} == {1}


async def test_wakeup_triggers_query_without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_worker, "POLL_INTERVAL_S", 3600)
    repository = FakeRepository(BOWL)
    async with running_worker(repository, FakePartnerSystem(repository, ACCEPTED)) as wakeup:
        await asyncio.sleep(0)
        repository.calls.update({call.id: call for call in build_calls(1)})
        wakeup.set()
        await wait_until_delivered(repository, 1)


async def test_concurrent_calls_are_limited() -> None:
    repository = FakeRepository(BOWL, calls=build_calls(MAX_CONCURRENT + 1))
    released, running, maximum = asyncio.Event(), 0, 0

    class SlowSystem(FakePartnerSystem):
        async def send(self, partner: Partner, call: Call) -> PartnerResponse:
            nonlocal running, maximum
            running += 1
            maximum = max(maximum, running)
            if running == MAX_CONCURRENT:
                asyncio.get_running_loop().call_soon(released.set)
            await released.wait()
            running -= 1
            return ACCEPTED

    async with running_worker(repository, SlowSystem(repository)):
        await wait_until_delivered(repository, MAX_CONCURRENT + 1)
    assert maximum == MAX_CONCURRENT


@pytest.mark.parametrize(
    ("error", "leased_until", "answers"),
    [
        (RuntimeError("bug"), None, ["internal error"]),
        (ApiError(Reason.UPSTREAM_UNAVAILABLE), NOW + POLICY.lease, []),
    ],
)
async def test_error_of_one_call_is_one_failed_attempt(
    error: Exception, leased_until: datetime | None, answers: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    repository = FakeRepository(BOWL, calls=build_calls(2))

    class FailingSystem(FakePartnerSystem):
        async def send(self, partner: Partner, call: Call) -> PartnerResponse:
            if call.id == "c0":
                raise error
            return await super().send(partner, call)

    async with running_worker(repository, FailingSystem(repository, ACCEPTED)):
        await wait_until_delivered(repository, 1)
    failed = repository.calls["c0"]
    assert (failed.state, failed.attempts, failed.leased_until) == (CallState.WAITING, 1, leased_until)
    assert [attempt.answer for attempt in failed.tries] == answers
    assert "partner call c0 failed" in caplog.text


async def test_worker_continues_after_database_outage(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(call_worker, "POLL_INTERVAL_S", 0.05)

    class UnavailableOnce(FakeRepository):
        failures = 1

        async def claim_due_calls(
            self, size: int, max_per_partner: int, now: datetime, lease_until: datetime
        ) -> list[Call]:
            if self.failures:
                self.failures -= 1
                raise ApiError(Reason.UPSTREAM_UNAVAILABLE)
            return await super().claim_due_calls(size, max_per_partner, now, lease_until)

    repository = UnavailableOnce(BOWL, calls=build_calls(1))
    async with running_worker(repository, FakePartnerSystem(repository, ACCEPTED)):
        await wait_until_delivered(repository, 1)
    assert "claiming a partner call failed" in caplog.text
