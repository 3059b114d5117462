"""Calls to partner systems: attempts, circuit breaker, retries and the response 410."""

from dataclasses import replace
from datetime import timedelta

import pytest

from generated.proto.delivery.events.v1 import PartnerCatalogChanged, PartnerNotified, PartnerUnreachable
from services.partners.domain.call_policy import (
    CIRCUIT_BREAKER_POLICY,
    Attempt,
    Call,
    CallKind,
    CallState,
    Outcome,
    PartnerResponse,
)
from services.partners.domain.partners import Partner
from services.partners.usecases.partner_calls import make_call
from services.runtime.concurrency.circuit_breaker import CircuitBreaker
from tests.unit.fake_transactions import NOW
from tests.unit.partners.fakes import BOWL, CALL, FakePartnerSystem, FakeRepository

DELAYS_S = (10.0, 100.0)
PROBE_TIMEOUT = timedelta(seconds=30)
ACCEPTED = PartnerResponse(Outcome.ACCEPTED, "200")
REJECTED = PartnerResponse(Outcome.REJECTED, "404")
FAILED = PartnerResponse(Outcome.FAILED, "503")
REMOVED = PartnerResponse(Outcome.GONE, "410")
OPEN_BREAKER = CircuitBreaker(CIRCUIT_BREAKER_POLICY.failure_threshold, NOW + timedelta(minutes=1))


async def attempt(repository: FakeRepository, *responses: PartnerResponse, call: Call = CALL) -> FakePartnerSystem:
    system = FakePartnerSystem(repository, *responses)
    await make_call(repository, system, repository.clock, DELAYS_S, PROBE_TIMEOUT, call)
    return system


async def test_accepted_call_is_delivered_and_announced() -> None:
    repository = FakeRepository(BOWL, calls=[CALL])
    system = await attempt(repository, ACCEPTED)
    call = repository.calls["c1"]
    assert call.state is CallState.DELIVERED
    assert call.tries == (Attempt(NOW + timedelta(seconds=1), "200", 1000),)
    assert system.requests == [CALL]
    (event,) = repository.events
    assert isinstance(event, PartnerNotified)
    assert (event.order_id, event.partner_id, event.at) == ("o1", 1, NOW + timedelta(seconds=1))


async def test_rejected_call_fails_without_retry() -> None:
    repository = FakeRepository(BOWL, calls=[CALL])
    await attempt(repository, REJECTED)
    assert repository.calls["c1"].state is CallState.FAILED
    (event,) = repository.events
    assert isinstance(event, PartnerUnreachable)
    assert event.reason == "404"


async def test_failed_call_is_retried_until_schedule_ends() -> None:
    repository = FakeRepository(BOWL, calls=[CALL])
    await attempt(repository, FAILED)
    assert repository.calls["c1"].state is CallState.WAITING
    assert repository.calls["c1"].next_at > repository.now
    assert repository.events == []
    last = replace(repository.calls["c1"], attempts=len(DELAYS_S))
    repository.calls["c1"] = last
    await attempt(repository, FAILED, call=last)
    assert repository.calls["c1"].state is CallState.FAILED
    assert [type(event) for event in repository.events] == [PartnerUnreachable]


async def test_cancellation_call_publishes_no_event() -> None:
    call = replace(CALL, kind=CallKind.CANCELLATION)
    for response in (ACCEPTED, REJECTED):
        repository = FakeRepository(BOWL, calls=[call])
        await attempt(repository, response, call=call)
        assert repository.events == []


async def test_call_withdrawn_during_attempt_stays_withdrawn() -> None:
    repository = FakeRepository(BOWL, calls=[replace(CALL, state=CallState.WITHDRAWN)])
    await attempt(repository, ACCEPTED)
    assert (repository.calls["c1"].state, repository.events) == (CallState.WITHDRAWN, [])


async def test_acceptance_of_superseded_attempt_is_recorded() -> None:
    later = replace(CALL, attempts=CALL.attempts + 1)
    repository = FakeRepository(BOWL, calls=[later])
    await attempt(repository, ACCEPTED)
    assert (repository.calls["c1"].state, repository.calls["c1"].attempts) == (CallState.DELIVERED, later.attempts)
    assert [type(event) for event in repository.events] == [PartnerNotified]


async def test_result_of_deleted_call_is_ignored() -> None:
    repository = FakeRepository(BOWL)
    await attempt(repository, FAILED)
    assert (repository.calls, repository.breakers) == ({}, {})


@pytest.mark.parametrize(
    ("partners", "attempts", "summary"),
    [
        ([], 1, "unknown partner"),
        ([replace(BOWL, gone=True)], 1, "410 received earlier"),
        ([BOWL], len(DELAYS_S) + 1, "attempts exhausted"),
    ],
)
async def test_hopeless_call_fails_without_request(partners: list[Partner], attempts: int, summary: str) -> None:
    call = replace(CALL, attempts=attempts)
    repository = FakeRepository(*partners, calls=[call])
    system = await attempt(repository, call=call)
    assert system.requests == []
    assert repository.calls["c1"].state is CallState.FAILED
    assert [event.reason for event in repository.events] == [summary]


async def test_open_breaker_blocks_all_but_last_attempt() -> None:
    repository = FakeRepository(BOWL, calls=[CALL])
    repository.breakers[1] = OPEN_BREAKER
    assert (await attempt(repository)).requests == []
    assert repository.calls["c1"].state is CallState.WAITING
    assert repository.breakers[1] == OPEN_BREAKER
    last = replace(CALL, attempts=len(DELAYS_S))
    repository.calls["c1"] = last
    assert (await attempt(repository, ACCEPTED, call=last)).requests == [last]
    assert repository.calls["c1"].state is CallState.DELIVERED
    assert repository.breakers[1] == CircuitBreaker()


async def test_consecutive_failures_open_breaker() -> None:
    repository = FakeRepository(BOWL, calls=[CALL])
    for _ in range(CIRCUIT_BREAKER_POLICY.failure_threshold):
        assert len((await attempt(repository, FAILED)).requests) == 1
    assert (await attempt(repository)).requests == []


@pytest.mark.parametrize("breaker", [CircuitBreaker(), CircuitBreaker(1)])
async def test_breaker_is_locked_only_to_change_it(breaker: CircuitBreaker) -> None:
    repository = FakeRepository(BOWL, calls=[CALL])
    repository.breakers[1] = breaker
    assert (await attempt(repository, ACCEPTED)).requests == [CALL]
    assert repository.breakers[1] == CircuitBreaker()
    assert repository.breakers.lock_count == breaker.failures


async def test_breaker_with_probe_of_other_worker_blocks_call() -> None:
    repository = FakeRepository(BOWL, calls=[CALL])
    repository.breakers[1] = replace(OPEN_BREAKER, open_until=NOW)
    repository.breakers.changed_before_lock = replace(OPEN_BREAKER, is_probing=True)
    assert (await attempt(repository)).requests == []
    assert repository.breakers[1] == repository.breakers.changed_before_lock


async def test_failure_is_added_to_those_of_other_workers() -> None:
    repository = FakeRepository(BOWL, calls=[CALL])
    repository.breakers.changed_before_lock = CircuitBreaker(2)
    await attempt(repository, FAILED)
    assert repository.breakers[1] == CircuitBreaker(3)


async def test_half_open_breaker_permits_one_probe() -> None:
    repository = FakeRepository(BOWL, calls=[CALL])
    repository.breakers[1] = replace(OPEN_BREAKER, open_until=NOW)

    class ProbingSystem(FakePartnerSystem):
        async def send(self, partner: Partner, call: Call) -> PartnerResponse:
            assert (await attempt(repository, call=replace(CALL, id="other"))).requests == []
            return await super().send(partner, call)

    system = ProbingSystem(repository, ACCEPTED)
    await make_call(repository, system, repository.clock, DELAYS_S, PROBE_TIMEOUT, CALL)
    assert repository.breakers[1] == CircuitBreaker()


async def test_removed_partner_system_is_disabled_once() -> None:
    waiting = replace(CALL, id="c2", order_id="o2", next_at=NOW + timedelta(days=1))
    repository = FakeRepository(BOWL, calls=[CALL, waiting])
    await attempt(repository, REMOVED)
    partner = repository.partners[1]
    assert (partner.gone, partner.enabled, partner.version) == (True, False, 2)
    assert repository.calls["c2"].next_at == repository.now
    assert [type(event) for event in repository.events] == [PartnerCatalogChanged, PartnerUnreachable]
    await attempt(repository, call=waiting)
    assert repository.partners[1] == partner
    assert [type(event) for event in repository.events[2:]] == [PartnerUnreachable]
