"""What is counted of providers: their answers, and the gates that are shut before them."""

from collections import Counter
from collections.abc import Callable, Iterable

from services.notifications.domain.notifications import Answer, Provider, Verdict
from services.notifications.providers.breaker import Breaker
from services.runtime import metrics
from services.runtime.scrape import Look

_answers = metrics.METER.create_counter(
    "delivery.providers.answers", unit="{answer}", description="Answers of push and mail providers, by what they mean."
)
_shut = metrics.Level("delivery.providers.breakers_open", "Gates shut before a provider.", "{breaker}", "provider")

metrics.from_zero(_answers, ({"provider": str(p), "outcome": str(verdict)} for p in Provider for verdict in Verdict))


class Gate(Breaker):
    """A provider's gate, which counts what it hears."""

    def __init__(self, provider: Provider) -> None:
        super().__init__()
        self._provider = provider

    def heard(self, answer: Answer) -> None:
        """Counts an answer, and takes it into account."""
        _answers.add(1, {"provider": str(self._provider), "outcome": str(answer.verdict)})
        super().heard(answer)


def gates_shut(gates: Callable[[], Iterable[tuple[Provider, Breaker]]]) -> Look:
    """How many gates are shut now, by provider; agents with keys of their own have gates of their own."""

    async def look() -> None:
        shut = Counter(provider for provider, gate in gates() if gate.shut())
        _shut.set({(str(provider),): shut[provider] for provider in Provider})

    return look
