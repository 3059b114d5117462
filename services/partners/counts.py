"""What partners count beside requests: what partners' systems answer, and from how many of them breakers keep us."""

from sqlalchemy import bindparam, func, select

from services.partners.retries import Answer, Call, CallKind, Verdict
from services.partners.tables import breakers
from services.runtime import metrics
from services.runtime.clock import now
from services.runtime.database import Database, Statement
from services.runtime.scrape import Look

_answers = metrics.METER.create_counter(
    "delivery.partners.answers",
    unit="{answer}",
    description="Tries at telling partners, by kind and answer.",
)
_open = metrics.Level("delivery.partners.breakers_open", "Partners that are left alone after failures.", "{partner}")
_OPEN = Statement(select(func.count().label("partners")).where(breakers.c.open_until > bindparam("now")))

_SENT = [verdict for verdict in Verdict if verdict is not Verdict.LEFT_ALONE]
metrics.from_zero(_answers, ({"kind": str(kind), "outcome": str(verdict)} for kind in CallKind for verdict in _SENT))


def answered(call: Call, answer: Answer) -> Answer:
    """A partner's system was asked; hands its answer on."""
    _answers.add(1, {"kind": str(call.kind), "outcome": str(answer.verdict)})
    return answer


def breakers_open(database: Database) -> Look:
    """How many breakers are open now."""

    async def look() -> None:
        _open.set({})
        row = await database.one(_OPEN, now=now())
        _open.set({(): row["partners"] if row else 0})

    return look
