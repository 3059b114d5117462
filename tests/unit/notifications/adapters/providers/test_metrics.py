"""Metrics of providers: responses, and open circuit breakers."""

import pytest

from services.notifications.adapters.providers.circuit_breaker import CIRCUIT_BREAKER_POLICY
from services.notifications.adapters.providers.metrics import InstrumentedCircuitBreaker, make_open_breakers_refresh
from services.notifications.domain.notifications import ACCEPTED_RESPONSE, Outcome, Provider, ProviderResponse
from tests.metric_values import read_metric


def create_open_breaker(provider: Provider) -> InstrumentedCircuitBreaker:
    breaker = InstrumentedCircuitBreaker(provider)
    for _ in range(CIRCUIT_BREAKER_POLICY.failure_threshold):
        breaker.record(ProviderResponse(Outcome.BUSY, "UNAVAILABLE"))
    return breaker


@pytest.mark.parametrize("outcome", Outcome)
def test_recorded_response_is_counted(outcome: Outcome) -> None:
    labels = {"provider": "fcm", "outcome": str(outcome)}
    count = read_metric("delivery_providers_responses_total", **labels)
    InstrumentedCircuitBreaker(Provider.FCM).record(ProviderResponse(outcome, "CODE"))
    assert read_metric("delivery_providers_responses_total", **labels) == count + 1


def test_instrumented_breaker_opens_after_failures_only() -> None:
    assert create_open_breaker(Provider.FCM).is_open()
    breaker = InstrumentedCircuitBreaker(Provider.FCM)
    for _ in range(CIRCUIT_BREAKER_POLICY.failure_threshold):
        breaker.record(ACCEPTED_RESPONSE)
    assert not breaker.is_open()


async def test_open_breakers_are_counted_by_provider() -> None:
    breakers = [
        (Provider.FCM, create_open_breaker(Provider.FCM)),
        (Provider.FCM, create_open_breaker(Provider.FCM)),
        (Provider.APNS, InstrumentedCircuitBreaker(Provider.APNS)),
    ]
    await make_open_breakers_refresh(lambda: breakers)()
    counts = {
        str(provider): read_metric("delivery_providers_breakers_open", provider=str(provider)) for provider in Provider
    }
    assert counts == {"fcm": 2, "apns": 0, "email": 0}


async def test_breakers_are_listed_at_each_refresh() -> None:
    breakers: list[tuple[Provider, InstrumentedCircuitBreaker]] = []
    refresh = make_open_breakers_refresh(lambda: breakers)
    await refresh()
    assert read_metric("delivery_providers_breakers_open", provider="email") == 0
    breakers.append((Provider.EMAIL, create_open_breaker(Provider.EMAIL)))
    await refresh()
    assert read_metric("delivery_providers_breakers_open", provider="email") == 1
