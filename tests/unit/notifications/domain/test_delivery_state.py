"""Properties of the delivery state machine, checked on simulated deliveries."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings

from services.notifications.domain.agents import find_quiet_hours_end
from services.notifications.domain.delivery_state import (
    MAX_STORED_ATTEMPTS,
    BreakerOpen,
    DeliveryJob,
    DeliveryState,
    Finish,
    ProviderResponses,
    Recipient,
    Reschedule,
    RetryPolicy,
    Send,
)
from services.notifications.domain.notifications import (
    ACCEPTED_RESPONSE,
    FINAL_OUTCOMES,
    Outcome,
    Provider,
    ProviderResponse,
    Status,
)
from tests.unit.notifications.delivery_simulation import (
    ADA,
    AGENT,
    START_TIME,
    Case,
    Delivery,
    cases,
    make_job,
    make_recipient,
    simulate,
)

type Invariant = Callable[[Case, Delivery], None]
"""Raises AssertionError if a simulated delivery violates it."""

BUSY = ProviderResponse(Outcome.BUSY, "UNAVAILABLE")
UNCLEAR = ProviderResponse(Outcome.UNCLEAR, "TIMEOUT")


def start_sending(policy: RetryPolicy, job: DeliveryJob | None = None) -> DeliveryState:
    """Return the state in which the next step is to send to a recipient with all providers."""
    return DeliveryState.start(job or make_job(), policy).apply(make_recipient(AGENT, ADA, *Provider), START_TIME)


def get_provider(state: DeliveryState) -> Provider:
    step = state.decide_next_step(START_TIME)
    assert isinstance(step, Send)
    return step.provider


def assert_terminates_in_final_status(_: Case, delivery: Delivery) -> None:
    assert delivery.get_result().status is not Status.QUEUED
    assert (delivery.get_result().reason is None) == (delivery.get_result().status is Status.SENT)


def assert_sent_means_accepted_attempt(_: Case, delivery: Delivery) -> None:
    accepted = [response for *_, response in delivery.list_responses() if response.outcome is Outcome.ACCEPTED]
    assert (delivery.get_result().status is Status.SENT) == bool(accepted)
    assert (delivery.get_result().sent_at is not None) == bool(accepted)


def assert_attempts_record_every_response_in_order(_: Case, delivery: Delivery) -> None:
    expected = [
        (sent.send.provider, sent.completed_at, response.code)
        for sent in delivery.rounds
        for _, response in sent.list_responses()
    ]
    assert [(each.provider, each.at, each.outcome) for each in delivery.get_result().attempts] == expected


def assert_rounds_at_each_provider_are_bounded(case: Case, delivery: Delivery) -> None:
    sent_providers = [sent.send.provider for sent in delivery.rounds if sent.list_responses()]
    assert all(sent_providers.count(provider) <= case.policy.max_rounds for provider in Provider)


def assert_nothing_is_sent_after_expiry(case: Case, delivery: Delivery) -> None:
    expires_at = case.job.expires_at
    assert all(sent.at < expires_at for sent in delivery.rounds)
    assert all(due_at <= expires_at for due_at in delivery.due_times)
    if delivery.get_result().status is Status.EXPIRED:
        assert delivery.finished_at >= expires_at


def assert_nothing_is_sent_during_quiet_hours(case: Case, delivery: Delivery) -> None:
    for sent in delivery.rounds:
        user = sent.send.user
        if case.job.mail is None:
            assert user is not None
            assert find_quiet_hours_end(sent.send.agent.quiet_hours, user.time_zone, sent.loaded_at) is None


def assert_nothing_is_sent_for_disabled_agent_or_deleted_user(case: Case, delivery: Delivery) -> None:
    for sent in delivery.rounds:
        assert sent.send.agent.enabled
        if case.job.mail is None:
            assert sent.send.user is not None
            assert not sent.send.user.is_deleted


def assert_providers_are_used_in_order_of_agent(case: Case, delivery: Delivery) -> None:
    order = list(case.recipients[0].addresses)
    positions = [order.index(sent.send.provider) for sent in delivery.rounds]
    assert positions == sorted(positions)
    assert set(positions) == set(range(len(set(positions)))), "provider skipped"


def assert_fallback_requires_that_no_address_may_have_received(_: Case, delivery: Delivery) -> None:
    for before, after in pairwise(delivery.rounds):
        if before.send.provider is after.send.provider:
            continue
        received = [
            (address, response.outcome)
            for provider, address, response in delivery.list_responses()
            if provider is before.send.provider
        ]
        rejected = {address for address, outcome in received if outcome is Outcome.REJECTED}
        assert Outcome.ACCEPTED not in {outcome for _, outcome in received}
        assert {address for address, outcome in received if outcome is Outcome.UNCLEAR} <= rejected


def assert_at_most_one_provider_accepts(_: Case, delivery: Delivery) -> None:
    responses = delivery.list_responses()
    accepting = {provider for provider, _, response in responses if response.outcome is Outcome.ACCEPTED}
    assert len(accepting) <= 1


def assert_final_address_is_not_sent_to_again(_: Case, delivery: Delivery) -> None:
    final = [
        (provider, address)
        for provider, address, response in delivery.list_responses()
        if response.outcome in FINAL_OUTCOMES
    ]
    assert len(final) == len(set(final))


def assert_retry_waits_for_retry_after_and_circuit_breaker(_: Case, delivery: Delivery) -> None:
    for before, after in pairwise(delivery.rounds):
        if before.send.provider is not after.send.provider:
            continue
        delay = after.at - before.completed_at
        if isinstance(before.result, BreakerOpen):
            assert delay >= before.result.delay
        for _, response in before.list_responses():
            assert delay >= (response.retry_after or timedelta(0))


INVARIANTS: Sequence[Invariant] = (
    assert_terminates_in_final_status,
    assert_sent_means_accepted_attempt,
    assert_attempts_record_every_response_in_order,
    assert_nothing_is_sent_after_expiry,
    assert_nothing_is_sent_during_quiet_hours,
    assert_nothing_is_sent_for_disabled_agent_or_deleted_user,
    assert_at_most_one_provider_accepts,
)

INVARIANTS_OF_UNCHANGED_RECIPIENTS: Sequence[Invariant] = (
    assert_rounds_at_each_provider_are_bounded,
    assert_providers_are_used_in_order_of_agent,
    assert_fallback_requires_that_no_address_may_have_received,
    assert_final_address_is_not_sent_to_again,
    assert_retry_waits_for_retry_after_and_circuit_breaker,
)


@settings(max_examples=200)
@given(cases(changing=True))
def test_delivery_satisfies_invariants(case: Case) -> None:
    delivery = simulate(case)
    for assert_invariant in INVARIANTS:
        assert_invariant(case, delivery)


@settings(max_examples=200)
@given(cases())
def test_delivery_to_unchanged_recipient_satisfies_invariants(case: Case) -> None:
    delivery = simulate(case)
    for assert_invariant in INVARIANTS_OF_UNCHANGED_RECIPIENTS:
        assert_invariant(case, delivery)


def test_only_the_most_recent_attempts_are_stored() -> None:
    state = start_sending(RetryPolicy())
    for index in range(MAX_STORED_ATTEMPTS + 1):
        responses = ProviderResponses({"phone": ProviderResponse(Outcome.BUSY, str(index))}, 0.0)
        state = start_sending(RetryPolicy(), replace(state.job, rounds=0)).apply(responses, START_TIME)
    outcomes = [attempt.outcome for attempt in state.job.notification.attempts]
    assert outcomes == [str(index) for index in range(1, MAX_STORED_ATTEMPTS + 1)]


@pytest.mark.parametrize(
    ("recipient", "reason"),
    [
        (make_recipient(None), "AGENT_UNKNOWN"),
        (make_recipient(replace(AGENT, enabled=False)), "AGENT_DISABLED"),
        (make_recipient(AGENT, None), "USER_UNKNOWN"),
        (make_recipient(AGENT, replace(ADA, email="")), "USER_GONE"),
        (make_recipient(AGENT), "NO_DEVICE"),
    ],
)
def test_undeliverable_notification_fails_with_reason(recipient: Recipient, reason: str) -> None:
    state = DeliveryState.start(make_job(), RetryPolicy()).apply(recipient, START_TIME)
    step = state.decide_next_step(START_TIME)
    assert isinstance(step, Finish)
    assert (step.notification.status, step.notification.reason) == (Status.FAILED, reason)


def test_expired_job_finishes_without_loading_recipient() -> None:
    job = make_job()
    step = DeliveryState.start(job, RetryPolicy()).decide_next_step(job.expires_at)
    assert step == Finish(replace(job.notification, status=Status.EXPIRED, reason="EXPIRED"))


def test_final_status_is_not_changed_by_expiry() -> None:
    job = make_job()
    failed = replace(job.notification, status=Status.FAILED, reason="TEMPLATE_UNKNOWN")
    assert DeliveryState.start(replace(job, notification=failed), RetryPolicy()).decide_next_step(
        job.expires_at
    ) == Finish(failed)


def test_fallback_is_not_sent_after_expiry() -> None:
    job = make_job(ttl=timedelta(seconds=10))
    state = start_sending(RetryPolicy(), job).apply(
        ProviderResponses({"phone": BUSY, "tablet": BUSY}, 0.5), job.expires_at
    )
    step = state.decide_next_step(job.expires_at)
    assert isinstance(step, Finish)
    assert step.notification.status is Status.EXPIRED


def test_fallback_is_immediate_if_next_round_would_be_after_expiry() -> None:
    job = make_job(ttl=timedelta(seconds=10))
    late = replace(BUSY, retry_after=timedelta(seconds=10))
    state = start_sending(RetryPolicy(), job).apply(ProviderResponses({"phone": late, "tablet": BUSY}, 0.5), START_TIME)
    assert get_provider(state) is Provider.APNS


def test_unclear_response_prevents_fallback_in_all_later_rounds() -> None:
    policy = RetryPolicy(fallback_after_s=0)
    state = start_sending(policy).apply(ProviderResponses({"phone": UNCLEAR, "tablet": BUSY}, 0.5), START_TIME)
    assert isinstance(state.decide_next_step(START_TIME), Reschedule)
    state = start_sending(policy, state.job).apply(ProviderResponses({"phone": BUSY, "tablet": BUSY}, 0.5), START_TIME)
    assert isinstance(state.decide_next_step(START_TIME), Reschedule)
    rejected = ProviderResponse(Outcome.REJECTED, "UNREGISTERED")
    state = start_sending(policy, state.job).apply(
        ProviderResponses({"phone": rejected, "tablet": rejected}, 0.5), START_TIME
    )
    assert get_provider(state) is Provider.APNS


def test_accepted_notification_is_finished_when_fallback_is_due() -> None:
    responses = ProviderResponses({"phone": ACCEPTED_RESPONSE, "tablet": BUSY}, 0.5)
    state = start_sending(RetryPolicy(fallback_after_s=10)).apply(responses, START_TIME)
    assert isinstance(state.decide_next_step(START_TIME), Reschedule)
    state = start_sending(RetryPolicy(fallback_after_s=10)).apply(responses, START_TIME + timedelta(seconds=10))
    step = state.decide_next_step(START_TIME + timedelta(seconds=10))
    assert isinstance(step, Finish)
    assert step.notification.status is Status.SENT


def test_rounds_and_fallback_time_are_counted_per_provider() -> None:
    policy, fallback_at = RetryPolicy(fallback_after_s=10, max_rounds=2), START_TIME + timedelta(seconds=10)
    state = start_sending(policy).apply(ProviderResponses({"phone": BUSY, "tablet": BUSY}, 0.5), fallback_at)
    assert (state.job.provider, state.job.rounds) == (Provider.APNS, 0)
    state = state.apply(ProviderResponses({"ab" * 32: BUSY}, 0.5), fallback_at + timedelta(seconds=9))
    assert isinstance(state.decide_next_step(fallback_at), Reschedule)


def test_accepted_notification_is_sent_when_its_devices_are_removed() -> None:
    job = replace(make_job(), provider=Provider.FCM, provider_started_at=START_TIME, rounds=1, is_accepted=True)
    recipient = make_recipient(AGENT, ADA, Provider.EMAIL)
    step = DeliveryState.start(job, RetryPolicy()).apply(recipient, START_TIME).decide_next_step(START_TIME)
    assert step == Finish(replace(job.notification, status=Status.SENT))
