"""Metrics of calls to partner systems: responses by outcome, and open circuit breakers."""

from sqlalchemy import bindparam, func, select

from services.partners.adapters.postgres.tables import breakers
from services.partners.domain.call_policy import Call, CallKind, Outcome, PartnerResponse
from services.runtime.core.clock import now
from services.runtime.process.metrics_endpoint import GaugeRefresh
from services.runtime.storage.database import Database
from services.runtime.storage.statements.statement import Statement
from services.runtime.telemetry import metrics

_responses = metrics.Counter(
    "delivery.partners.responses", "Attempts at calls to partner systems, by kind and outcome.", "{response}"
)
_open_breakers = metrics.ObservableGauge(
    "delivery.partners.breakers_open", "Partners whose circuit breaker is open.", "{partner}"
)
_COUNT_OPEN_BREAKERS = Statement(select(func.count().label("partners")).where(breakers.c.open_until > bindparam("now")))

_SENT_OUTCOMES = [outcome for outcome in Outcome if outcome is not Outcome.BREAKER_OPEN]
_responses.initialise_to_zero(
    {"kind": str(kind), "outcome": str(outcome)} for kind in CallKind for outcome in _SENT_OUTCOMES
)


def record_response(call: Call, response: PartnerResponse) -> None:
    """Count a response of a partner system."""
    _responses.add(1, {"kind": str(call.kind), "outcome": str(response.outcome)})


def build_open_breakers_refresh(database: Database) -> GaugeRefresh:
    """Return a function that refreshes the number of open circuit breakers from the database."""

    async def refresh() -> None:
        _open_breakers.set({})
        row = await database.fetch_one(_COUNT_OPEN_BREAKERS, now=now())
        _open_breakers.set({(): row["partners"] if row else 0})

    return refresh
