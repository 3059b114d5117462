"""Payments and payment callbacks in PostgreSQL."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, override

from sqlalchemy import Text, bindparam, func, null, select, update
from sqlalchemy.dialects import postgresql

from generated.problems import Reason
from services.orders.adapters.postgres.locks import OrdersLock
from services.orders.adapters.postgres.tables import callbacks, payments, rejected_payments
from services.orders.domain.payments import Payment, PaymentOutcome, PaymentRecord, ProcessedCallback
from services.orders.usecases.ports import PaymentRepository
from services.runtime.core.errors import ApiError
from services.runtime.storage import advisory_lock
from services.runtime.storage.statements.statement import Statement
from services.runtime.storage.transactions.transaction import Transaction

_PAYMENT_FIELDS = tuple(field.name for field in fields(PaymentRecord))

_INSERT_CALLBACK = Statement(
    postgresql.insert(callbacks)
    .values({name: bindparam(name) for name in ("bank_id", "webhook_id", "payment_id", "fingerprint")})
    .on_conflict_do_nothing()
    .returning(advisory_lock.build_acquisition(bindparam("lock_name", type_=Text)))
)
"""Inserts a callback and locks its payment; a callback that exists locks nothing."""

_INSERT_PROCESSED_CALLBACK = Statement(
    postgresql.insert(callbacks).values(
        {name: bindparam(name) for name in ("bank_id", "webhook_id", "payment_id", "fingerprint", "outcome")}
    )
)
_is_this_callback = (callbacks.c.bank_id == bindparam("bank"), callbacks.c.webhook_id == bindparam("webhook"))
_SELECT_CALLBACK = Statement(
    # Rows of an earlier release have no outcome; the outcome of their payment is equal.
    select(
        callbacks.c.payment_id,
        func.coalesce(callbacks.c.outcome, payments.c.outcome).label("outcome"),
        callbacks.c.fingerprint,
    )
    .outerjoin(
        payments, (payments.c.bank_id == callbacks.c.bank_id) & (payments.c.payment_id == callbacks.c.payment_id)
    )
    .where(*_is_this_callback)
)
_UPDATE_CALLBACK_OUTCOME = Statement(
    update(callbacks).where(*_is_this_callback).values(outcome=bindparam("new_outcome"))
)
_SELECT_PAYMENT = Statement(
    select(*(payments.c[name] for name in _PAYMENT_FIELDS)).where(
        payments.c.bank_id == bindparam("bank_id"), payments.c.payment_id == bindparam("payment_id")
    )
)
_insert_payment = postgresql.insert(payments).values({name: bindparam(name) for name in _PAYMENT_FIELDS})
_UPSERT_PAYMENT = Statement(
    _insert_payment.on_conflict_do_update(
        index_elements=["bank_id", "payment_id"],
        set_={name: _insert_payment.excluded[name] for name in _PAYMENT_FIELDS[2:]} | {"reconciled_at": null()},
        where=payments.c.outcome == str(PaymentOutcome.FAILED),
    )
)
"""Inserts a payment, or replaces a failed one."""

_INSERT_PAYMENT = Statement(_insert_payment)
_INSERT_REJECTED = Statement(
    postgresql.insert(rejected_payments)
    .values({name: bindparam(name) for name in _PAYMENT_FIELDS})
    .on_conflict_do_nothing()
)


def payment_from_row(row: dict[str, Any]) -> PaymentRecord:
    """Convert a row of recorded or rejected payments to a record."""
    return PaymentRecord(**(row | {"outcome": PaymentOutcome(row["outcome"])}))


def _to_row(record: PaymentRecord) -> dict[str, Any]:
    return {name: getattr(record, name) for name in _PAYMENT_FIELDS}


class PostgresPaymentRepository(PaymentRepository):
    """Payments and payment callbacks of one transaction in PostgreSQL.

    An optimistic transaction treats callback and payment as new without reading them: it fails if one of them exists.
    """

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction
        self._callback: Mapping[str, object] = {}

    @override
    async def register_callback(self, payment: Payment, webhook_id: str) -> ProcessedCallback | None:
        self._callback = {
            "bank_id": payment.bank_id,
            "webhook_id": webhook_id,
            "payment_id": payment.payment_id,
            "fingerprint": payment.compute_fingerprint(),
        }
        if self._transaction.is_optimistic:
            return None
        lock_name = advisory_lock.build_name(OrdersLock.PAYMENT, payment.bank_id, payment.payment_id)
        if await self._transaction.execute(_INSERT_CALLBACK, **self._callback, lock_name=lock_name):
            return None
        await advisory_lock.acquire(self._transaction, OrdersLock.PAYMENT, payment.bank_id, payment.payment_id)
        row = await self._transaction.fetch_one(_SELECT_CALLBACK, bank=payment.bank_id, webhook=webhook_id)
        if row is None:
            return None
        return ProcessedCallback(row["payment_id"], PaymentOutcome(row["outcome"]), row["fingerprint"])

    @override
    async def save_callback_outcome(self, bank_id: str, webhook_id: str, outcome: PaymentOutcome) -> None:
        if self._transaction.is_optimistic:
            self._transaction.defer(_INSERT_PROCESSED_CALLBACK, **self._callback, outcome=outcome)
            return
        self._transaction.defer(_UPDATE_CALLBACK_OUTCOME, bank=bank_id, webhook=webhook_id, new_outcome=outcome)

    @override
    async def get_locked(self, bank_id: str, payment_id: str) -> PaymentRecord | None:
        if self._transaction.is_optimistic:
            return None
        row = await self._transaction.fetch_one(_SELECT_PAYMENT, bank_id=bank_id, payment_id=payment_id)
        return None if row is None else payment_from_row(row)

    @override
    async def save(self, record: PaymentRecord) -> None:
        if self._transaction.is_optimistic:
            self._transaction.defer(_INSERT_PAYMENT, **_to_row(record))
            return
        # An optimistic transaction does not take the lock of the payment, and may have inserted it since `get_locked`.
        conflict = ApiError(Reason.UPSTREAM_UNAVAILABLE, "The payment has changed concurrently.", retry_after=1)
        self._transaction.defer(_UPSERT_PAYMENT, conflict, **_to_row(record))

    @override
    async def add_rejected(self, record: PaymentRecord) -> bool:
        return await self._transaction.execute(_INSERT_REJECTED, **_to_row(record)) == 1
