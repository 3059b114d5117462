"""What is counted of providers: their answers, and the gates that are shut before them."""

from collections import Counter
from collections.abc import Callable, Iterable

from services.notifications.adapters.providers.circuit_breaker import CircuitBreaker
from services.notifications.domain.notifications import Outcome, Provider, ProviderResponse
from services.runtime.process.metrics_endpoint import GaugeRefresh
from services.runtime.telemetry import metrics

_responses = metrics.METER.create_counter(
    "delivery.providers.responses",
    unit="{answer}",
    description="Answers of push and mail providers, by what they mean.",
)
_open_breakers = metrics.ObservableGauge(
    "delivery.providers.breakers_open", "Gates shut before a provider.", "{breaker}", "provider"
)

metrics.initialise_to_zero(
    _responses, ({"provider": str(p), "outcome": str(verdict)} for p in Provider for verdict in Outcome)
)


class InstrumentedCircuitBreaker(CircuitBreaker):
    """A provider's gate, which counts what it hears."""

    def __init__(self, provider: Provider) -> None:
        super().__init__()
        self._provider = provider

    def record(self, response: ProviderResponse) -> None:
        """Counts an answer, and takes it into account."""
        _responses.add(1, {"provider": str(self._provider), "outcome": str(response.outcome)})
        super().record(response)


def make_open_breakers_refresh(list_breakers: Callable[[], Iterable[tuple[Provider, CircuitBreaker]]]) -> GaugeRefresh:
    """How many gates are shut now, by provider; agents with keys of their own have gates of their own."""

    async def look() -> None:
        shut = Counter(provider for provider, gate in list_breakers() if gate.is_open())
        _open_breakers.set({(str(provider),): shut[provider] for provider in Provider})

    return look
