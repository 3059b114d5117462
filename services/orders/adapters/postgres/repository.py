"""Repository and unit of work of orders in PostgreSQL."""

from collections.abc import Callable
from datetime import datetime
from typing import override

from sqlalchemy import bindparam, delete
from sqlalchemy.dialects.postgresql import insert

from generated.events import OrdersEvent
from services.orders.adapters.postgres.banks import PostgresBankReader, PostgresBankRepository
from services.orders.adapters.postgres.deliverer_positions import (
    PostgresDelivererPositionReader,
    PostgresDelivererPositionRepository,
)
from services.orders.adapters.postgres.orders import PostgresOrderReader, PostgresOrderRepository
from services.orders.adapters.postgres.partner_acknowledgements import Acknowledgement, PostgresAcknowledgementStore
from services.orders.adapters.postgres.payments import PostgresPaymentRepository
from services.orders.adapters.postgres.refunds import PostgresRefundReader, PostgresRefundRepository
from services.orders.adapters.postgres.tables import alerts
from services.orders.usecases.event_ids import derive_event_id
from services.orders.usecases.ports import Repository, UnitOfWork
from services.runtime.core.unit_of_work import LocksRequired
from services.runtime.messaging import inbox
from services.runtime.messaging.outbox import Outbox
from services.runtime.storage.database import Database
from services.runtime.storage.statements.statement import Statement, bind_columns
from services.runtime.storage.transactions.transaction import Transaction
from services.runtime.storage.unit_of_work import PostgresIdempotentUnitOfWorkFactory

_DELETE_ALERT = Statement(
    delete(alerts).where(alerts.c.subject == bindparam("subject"), alerts.c.reason == bindparam("reason"))
)
_INSERT_ALERT = Statement(insert(alerts).values(bind_columns(alerts)).on_conflict_do_nothing())


def _ignore() -> None:
    """Leave a due refund to the next poll."""


class PostgresUnitOfWork(UnitOfWork):
    """One transaction over orders, payments, refunds and banks in PostgreSQL."""

    def __init__(
        self, transaction: Transaction, outbox: Outbox[OrdersEvent], on_refund_due: Callable[[], None] = _ignore
    ) -> None:
        self._transaction = transaction
        self._outbox = outbox
        self.orders = PostgresOrderRepository(transaction)
        self.positions = PostgresDelivererPositionRepository(transaction)
        self.payments = PostgresPaymentRepository(transaction)
        self.refunds = PostgresRefundRepository(transaction, on_refund_due)
        self.banks = PostgresBankRepository(transaction)

    @override
    async def register_alert(self, subject: str, reason: str, at: datetime) -> bool:
        return await self._transaction.execute(_INSERT_ALERT, subject=subject, reason=reason, at=at) == 1

    @override
    async def clear_alert(self, subject: str, reason: str) -> None:
        await self._transaction.execute(_DELETE_ALERT, subject=subject, reason=reason)

    @override
    async def mark_event_processed(self, queue: str, event_id: str) -> bool:
        return await inbox.mark_processed(self._transaction, queue, event_id)

    @override
    def require_locks(self) -> None:
        if self._transaction.is_optimistic:
            raise LocksRequired("the operation needs locks")

    @override
    async def publish(self, event: OrdersEvent) -> None:
        self._outbox.add(self._transaction, event, derive_event_id(event))


class PostgresRepository(PostgresIdempotentUnitOfWorkFactory[UnitOfWork], Repository):
    """Read access to orders, banks and refunds in PostgreSQL, and the units of work that change them.

    `on_refund_due` is called after the commit of a transaction that has made a refund due.
    """

    def __init__(
        self, database: Database, outbox: Outbox[OrdersEvent], on_refund_due: Callable[[], None] = _ignore
    ) -> None:
        super().__init__(database, lambda transaction: PostgresUnitOfWork(transaction, outbox, on_refund_due))
        self.orders = PostgresOrderReader(database)
        self.positions = PostgresDelivererPositionReader(database)
        self.banks = PostgresBankReader(database)
        self.refunds = PostgresRefundReader(database)
        self._acknowledgements = PostgresAcknowledgementStore(database)

    @override
    async def record_partner_notified(self, order_id: str, partner_id: int, at: datetime) -> None:
        await self._acknowledgements.record(Acknowledgement(order_id, partner_id, at))
