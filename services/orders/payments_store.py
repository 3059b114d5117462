"""Payments, callbacks and refunds in PostgreSQL."""

from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb
from sqlalchemy import Table, Text, bindparam, func, null, select, update
from sqlalchemy.dialects import postgresql

from services.orders import counts
from services.orders.domain import RefundStatus
from services.orders.money import Outcome, PaymentRecord, Refund
from services.orders.tables import alerts, callbacks, payments, refunds
from services.orders.usecases.ports import Callback
from services.runtime import tracing
from services.runtime.database import Database, Statement, Transaction


def named(table: Table) -> dict[str, Any]:
    """Every column, from a parameter of its name."""
    return {column.name: bindparam(column.name) for column in table.c}


_RECORD = tuple(field.name for field in fields(PaymentRecord))
REFUND = [refunds.c[field.name] for field in fields(Refund)]

_ADD_CALLBACK = Statement(
    postgresql.insert(callbacks)
    .values({name: bindparam(name) for name in ("bank_id", "webhook_id", "payment_id")})
    .on_conflict_do_nothing()
)
_this_callback = (callbacks.c.bank_id == bindparam("bank"), callbacks.c.webhook_id == bindparam("webhook"))
_CALLBACK = Statement(
    # A row of the release before has no outcome of its own; its payment's is the same.
    select(callbacks.c.payment_id, func.coalesce(callbacks.c.outcome, payments.c.outcome).label("outcome"))
    .outerjoin(
        payments, (payments.c.bank_id == callbacks.c.bank_id) & (payments.c.payment_id == callbacks.c.payment_id)
    )
    .where(*_this_callback)
)
_ANSWERED = Statement(update(callbacks).where(*_this_callback).values(outcome=bindparam("came_of")))
_LOCK_PAYMENT = Statement(select(func.pg_advisory_xact_lock(func.hashtextextended(bindparam("key", type_=Text), 0))))
_PAYMENT = Statement(
    select(payments.c.outcome).where(
        payments.c.bank_id == bindparam("bank_id"), payments.c.payment_id == bindparam("payment_id")
    )
)
_new_payment = postgresql.insert(payments).values({name: bindparam(name) for name in _RECORD})
_PUT_PAYMENT = Statement(
    _new_payment.on_conflict_do_update(
        index_elements=["bank_id", "payment_id"],
        set_={name: _new_payment.excluded[name] for name in _RECORD[2:]} | {"reconciled_at": null()},
    )
)
_ADD_REFUND = Statement(
    postgresql.insert(refunds)
    .values({column.name: bindparam(column.name) for column in (*REFUND, refunds.c.next_at)})
    .on_conflict_do_nothing()
)
_END_REFUND = Statement(
    update(refunds)
    .where(refunds.c.id == bindparam("refund_id"), refunds.c.status == "requested")
    .values(status=bindparam("ended"), last_answer=bindparam("said"))
)
_REFUNDS = Statement(
    select(*REFUND)
    .where(refunds.c.order_id == bindparam("order_id"), refunds.c.bank_id == bindparam("bank_id"))
    .order_by(refunds.c.created_at, refunds.c.id)
)
_DUE_REFUNDS = Statement(
    update(refunds)
    .where(
        refunds.c.id.in_(
            select(refunds.c.id)
            .where(refunds.c.status == "requested", refunds.c.next_at <= bindparam("now"))
            .order_by(refunds.c.next_at)
            .limit(bindparam("size"))
            .with_for_update(skip_locked=True)
            .scalar_subquery()
        )
    )
    .values(attempts=refunds.c.attempts + 1, next_at=bindparam("until"))
    .returning(*REFUND)
)
_POSTPONE = Statement(
    update(refunds)
    .where(
        refunds.c.id == bindparam("refund_id"),
        refunds.c.status == "requested",
        refunds.c.attempts == bindparam("tried"),
    )
    .values(next_at=bindparam("until"), last_answer=bindparam("said"))
)
_ALERT = Statement(postgresql.insert(alerts).values(named(alerts)).on_conflict_do_nothing())


def refund_of(row: dict[str, Any]) -> Refund:
    """A row as a refund."""
    return Refund(**(row | {"status": RefundStatus(row["status"]), "trace": row["trace"] or {}}))


class PaymentsUnit:
    """One transaction over payments."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def first_callback(self, bank_id: str, webhook_id: str, payment_id: str) -> Callback | None:
        """What this callback was first taken for; None when it is new, and from now on it is not."""
        if await self._transaction.run(_ADD_CALLBACK, bank_id=bank_id, webhook_id=webhook_id, payment_id=payment_id):
            return None
        row = await self._transaction.one(_CALLBACK, bank=bank_id, webhook=webhook_id)
        return None if row is None else Callback(row["payment_id"], Outcome(row["outcome"]))

    async def answered(self, bank_id: str, webhook_id: str, outcome: Outcome) -> None:
        """Keeps what came of a callback."""
        await self._transaction.run(_ANSWERED, bank=bank_id, webhook=webhook_id, came_of=outcome)

    async def payment(self, bank_id: str, payment_id: str) -> Outcome | None:
        """What came of a payment, if it was taken before; waits for one that is being taken."""
        await self._transaction.one(_LOCK_PAYMENT, key=f"{bank_id}:{payment_id}")
        row = await self._transaction.one(_PAYMENT, bank_id=bank_id, payment_id=payment_id)
        return None if row is None else Outcome(row["outcome"])

    async def put_payment(self, record: PaymentRecord) -> None:
        """Keeps what came of a payment; one that failed may have succeeded since."""
        await self._transaction.run(_PUT_PAYMENT, **asdict(record))

    async def add_refund(self, refund: Refund) -> None:
        """Keeps what the bank is to pay back; the same refund stays as it is."""
        kept = asdict(refund) | {"trace": Jsonb(tracing.carrier())}
        await self._transaction.run(_ADD_REFUND, **kept, next_at=refund.created_at)

    async def end_refund(self, refund: Refund, said: str) -> bool:
        """Keeps how a refund ended; False when it had ended already."""
        if not await self._transaction.run(_END_REFUND, refund_id=refund.id, ended=refund.status, said=said):
            return False
        if refund.status is RefundStatus.REFUNDED:
            self._transaction.after_commit(lambda: counts.refunded(refund))
        return True

    async def refunds(self, order_id: str, bank_id: str) -> list[Refund]:
        """Every refund of an order at its bank."""
        return [refund_of(row) for row in await self._transaction.many(_REFUNDS, order_id=order_id, bank_id=bank_id)]

    async def alert_once(self, subject: str, reason: str, at: datetime) -> bool:
        """Whether nobody was alerted to this before; from now on somebody was."""
        return await self._transaction.run(_ALERT, subject=subject, reason=reason, at=at) == 1


class RefundsDue:
    """The refunds that the bank is to be asked for."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def due_refunds(self, now: datetime, until: datetime, size: int) -> list[Refund]:
        """Refunds to ask for now, which nobody else gets until `until`; each counts as one more attempt."""
        rows = await self._database.many(_DUE_REFUNDS, now=now, until=until, size=size)
        return [refund_of(row) for row in rows]

    async def postpone_refund(self, refund: Refund, until: datetime, said: str) -> None:
        """Asks for a refund again, but not before that."""
        await self._database.run(_POSTPONE, refund_id=refund.id, tried=refund.attempts, until=until, said=said)
