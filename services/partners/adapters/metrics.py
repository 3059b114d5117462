"""What partners count beside requests: what partners' systems answer, and from how many of them breakers keep us."""

from sqlalchemy import bindparam, func, select

from services.partners.adapters.postgres.tables import breakers
from services.partners.domain.call_policy import Call, CallKind, Outcome, PartnerResponse
from services.runtime.core.clock import now
from services.runtime.process.metrics_endpoint import GaugeRefresh
from services.runtime.storage.database import Database, Statement
from services.runtime.telemetry import metrics

_responses = metrics.METER.create_counter(
    "delivery.partners.responses",
    unit="{answer}",
    description="Tries at telling partners, by kind and answer.",
)
_open_breakers = metrics.ObservableGauge(
    "delivery.partners.breakers_open", "Partners that are left alone after failures.", "{partner}"
)
_COUNT_OPEN_BREAKERS = Statement(select(func.count().label("partners")).where(breakers.c.open_until > bindparam("now")))

_SENT_OUTCOMES = [verdict for verdict in Outcome if verdict is not Outcome.BREAKER_OPEN]
metrics.initialise_to_zero(
    _responses, ({"kind": str(kind), "outcome": str(verdict)} for kind in CallKind for verdict in _SENT_OUTCOMES)
)


def record_response(call: Call, response: PartnerResponse) -> PartnerResponse:
    """A partner's system was asked; hands its answer on."""
    _responses.add(1, {"kind": str(call.kind), "outcome": str(response.outcome)})
    return response


def build_open_breakers_refresh(database: Database) -> GaugeRefresh:
    """How many breakers are open now."""

    async def look() -> None:
        _open_breakers.set({})
        row = await database.fetch_one(_COUNT_OPEN_BREAKERS, now=now())
        _open_breakers.set({(): row["partners"] if row else 0})

    return look
