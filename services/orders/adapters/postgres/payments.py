"""PostgreSQL repository of payments, payment callbacks, refunds and alerts."""

from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb
from sqlalchemy import Table, bindparam, func, null, select, update
from sqlalchemy.dialects import postgresql

from services.orders.adapters import metrics
from services.orders.adapters.postgres.tables import alerts, callbacks, payments, refunds
from services.orders.domain.orders import RefundStatus
from services.orders.domain.payments import PaymentOutcome, PaymentRecord, Refund
from services.orders.usecases.ports import ProcessedCallback
from services.runtime.storage import advisory_lock
from services.runtime.storage.advisory_lock import AdvisoryLock
from services.runtime.storage.database import Database, Statement, Transaction
from services.runtime.telemetry import tracing


def bind_all_columns(table: Table) -> dict[str, Any]:
    """Return a bind parameter for each column, with the column's name."""
    return {column.name: bindparam(column.name) for column in table.c}


_PAYMENT_FIELDS = tuple(field.name for field in fields(PaymentRecord))
REFUND_COLUMNS = [refunds.c[field.name] for field in fields(Refund)]

_INSERT_CALLBACK = Statement(
    postgresql.insert(callbacks)
    .values({name: bindparam(name) for name in ("bank_id", "webhook_id", "payment_id")})
    .on_conflict_do_nothing()
)
_is_this_callback = (callbacks.c.bank_id == bindparam("bank"), callbacks.c.webhook_id == bindparam("webhook"))
_SELECT_CALLBACK = Statement(
    # Rows of an earlier release have no outcome; the outcome of their payment is equal.
    select(callbacks.c.payment_id, func.coalesce(callbacks.c.outcome, payments.c.outcome).label("outcome"))
    .outerjoin(
        payments, (payments.c.bank_id == callbacks.c.bank_id) & (payments.c.payment_id == callbacks.c.payment_id)
    )
    .where(*_is_this_callback)
)
_UPDATE_CALLBACK_OUTCOME = Statement(
    update(callbacks).where(*_is_this_callback).values(outcome=bindparam("new_outcome"))
)
_SELECT_PAYMENT_OUTCOME = Statement(
    select(payments.c.outcome).where(
        payments.c.bank_id == bindparam("bank_id"), payments.c.payment_id == bindparam("payment_id")
    )
)
_insert_payment = postgresql.insert(payments).values({name: bindparam(name) for name in _PAYMENT_FIELDS})
_UPSERT_PAYMENT = Statement(
    _insert_payment.on_conflict_do_update(
        index_elements=["bank_id", "payment_id"],
        set_={name: _insert_payment.excluded[name] for name in _PAYMENT_FIELDS[2:]} | {"reconciled_at": null()},
    )
)
_INSERT_REFUND = Statement(
    postgresql.insert(refunds)
    .values({column.name: bindparam(column.name) for column in (*REFUND_COLUMNS, refunds.c.next_at)})
    .on_conflict_do_nothing()
)
_COMPLETE_REFUND = Statement(
    update(refunds)
    .where(refunds.c.id == bindparam("refund_id"), refunds.c.status == "requested")
    .values(status=bindparam("new_status"), last_response=bindparam("response"))
)
_SELECT_REFUNDS = Statement(
    select(*REFUND_COLUMNS)
    .where(refunds.c.order_id == bindparam("order_id"), refunds.c.bank_id == bindparam("bank_id"))
    .order_by(refunds.c.created_at, refunds.c.id)
)
_CLAIM_DUE_REFUNDS = Statement(
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
    .values(attempts=refunds.c.attempts + 1, next_at=bindparam("lease_until"))
    .returning(*REFUND_COLUMNS)
)
_RESCHEDULE_REFUND = Statement(
    update(refunds)
    .where(
        refunds.c.id == bindparam("refund_id"),
        refunds.c.status == "requested",
        refunds.c.attempts == bindparam("attempt"),
    )
    .values(next_at=bindparam("not_before"), last_response=bindparam("response"))
)
_INSERT_ALERT = Statement(postgresql.insert(alerts).values(bind_all_columns(alerts)).on_conflict_do_nothing())


def refund_from_row(row: dict[str, Any]) -> Refund:
    """Convert a row to a refund."""
    return Refund(**(row | {"status": RefundStatus(row["status"]), "trace": row["trace"] or {}}))


class PostgresPaymentsUnitOfWork:
    """One transaction over payments, payment callbacks, refunds and alerts."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def register_callback(self, bank_id: str, webhook_id: str, payment_id: str) -> ProcessedCallback | None:
        """Register a callback; return None if it is new, otherwise its first result."""
        if await self._transaction.execute(
            _INSERT_CALLBACK, bank_id=bank_id, webhook_id=webhook_id, payment_id=payment_id
        ):
            return None
        row = await self._transaction.fetch_one(_SELECT_CALLBACK, bank=bank_id, webhook=webhook_id)
        return None if row is None else ProcessedCallback(row["payment_id"], PaymentOutcome(row["outcome"]))

    async def save_callback_outcome(self, bank_id: str, webhook_id: str, outcome: PaymentOutcome) -> None:
        """Store the outcome of a registered callback."""
        await self._transaction.execute(_UPDATE_CALLBACK_OUTCOME, bank=bank_id, webhook=webhook_id, new_outcome=outcome)

    async def get_payment_outcome_for_update(self, bank_id: str, payment_id: str) -> PaymentOutcome | None:
        """Return the outcome of a recorded payment, None for a new one; waits for a concurrent transaction on it."""
        await advisory_lock.acquire(self._transaction, AdvisoryLock.PAYMENT, bank_id, payment_id)
        row = await self._transaction.fetch_one(_SELECT_PAYMENT_OUTCOME, bank_id=bank_id, payment_id=payment_id)
        return None if row is None else PaymentOutcome(row["outcome"])

    async def save_payment(self, record: PaymentRecord) -> None:
        """Insert or overwrite a payment; a failed payment may succeed later."""
        await self._transaction.execute(_UPSERT_PAYMENT, **asdict(record))

    async def add_refund(self, refund: Refund) -> None:
        """Insert a requested refund; an existing one is unchanged."""
        row = asdict(refund) | {"trace": Jsonb(tracing.get_context_headers())}
        await self._transaction.execute(_INSERT_REFUND, **row, next_at=refund.created_at)

    async def complete_refund(self, refund: Refund, response: str) -> bool:
        """Store the final status of a refund; return False if it was already final."""
        if not await self._transaction.execute(
            _COMPLETE_REFUND, refund_id=refund.id, new_status=refund.status, response=response
        ):
            return False
        if refund.status is RefundStatus.REFUNDED:
            self._transaction.add_after_commit_hook(lambda: metrics.record_refund(refund))
        return True

    async def list_refunds(self, order_id: str, bank_id: str) -> list[Refund]:
        """Return all refunds of an order at a bank."""
        return [
            refund_from_row(row)
            for row in await self._transaction.fetch_all(_SELECT_REFUNDS, order_id=order_id, bank_id=bank_id)
        ]

    async def register_alert(self, subject: str, reason: str, at: datetime) -> bool:
        """Register an alert; return False if it was raised before."""
        return await self._transaction.execute(_INSERT_ALERT, subject=subject, reason=reason, at=at) == 1


class PostgresRefundQueue:
    """Queue of due refunds, with leases."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim_due_refunds(self, now: datetime, lease_until: datetime, size: int) -> list[Refund]:
        """Lease due refunds exclusively until `lease_until` and count one more attempt for each."""
        rows = await self._database.fetch_all(_CLAIM_DUE_REFUNDS, now=now, lease_until=lease_until, size=size)
        return [refund_from_row(row) for row in rows]

    async def reschedule_refund(self, refund: Refund, not_before: datetime, response: str) -> None:
        """Schedule the next attempt at a refund, unless another process has claimed it since."""
        await self._database.execute(
            _RESCHEDULE_REFUND,
            refund_id=refund.id,
            attempt=refund.attempts,
            not_before=not_before,
            response=response,
        )
