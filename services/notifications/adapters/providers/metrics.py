"""Metrics of providers: responses and open circuit breakers."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import override

from services.notifications.adapters.providers.circuit_breaker import InMemoryCircuitBreaker
from services.notifications.domain.notifications import Outcome, Provider, ProviderResponse
from services.runtime.process.metrics_endpoint import GaugeRefresh
from services.runtime.telemetry import metrics

_responses = metrics.Counter(
    "delivery.providers.responses", "Responses of push and mail providers by outcome.", "{response}"
)
_open_breakers = metrics.ObservableGauge(
    "delivery.providers.breakers_open", "Open circuit breakers by provider.", "{breaker}", "provider"
)

_responses.initialise_to_zero(
    {"provider": str(provider), "outcome": str(outcome)} for provider in Provider for outcome in Outcome
)


class InstrumentedCircuitBreaker(InMemoryCircuitBreaker):
    """Circuit breaker that counts the responses it records."""

    def __init__(self, provider: Provider) -> None:
        super().__init__()
        self._provider = provider

    @override
    def record(self, response: ProviderResponse) -> None:
        """Count and record the response of a call."""
        _responses.add(1, {"provider": str(self._provider), "outcome": str(response.outcome)})
        super().record(response)


def make_open_breakers_refresh(
    list_breakers: Callable[[], Iterable[tuple[Provider, InMemoryCircuitBreaker]]],
) -> GaugeRefresh:
    """Return a refresh of the number of open breakers by provider; agents with own keys have breakers of their own."""

    async def refresh() -> None:
        open_counts = Counter(provider for provider, breaker in list_breakers() if breaker.is_open())
        _open_breakers.set({(str(provider),): open_counts[provider] for provider in Provider})

    return refresh
