"""Repository and unit of work of partners in PostgreSQL."""

from collections.abc import Callable
from typing import override

from generated.events import PartnersEvent
from services.partners.adapters.postgres.accepted_calls import PostgresAcceptedCallStore
from services.partners.adapters.postgres.catalog import PostgresAvailabilityRepository, PostgresCatalogReader
from services.partners.adapters.postgres.catalog_entities import (
    PARTNERS,
    PRODUCTS,
    PostgresCatalogEntityReader,
    PostgresCatalogEntityRepository,
)
from services.partners.adapters.postgres.circuit_breakers import PostgresBreakerRepository, PostgresCallTargetReader
from services.partners.adapters.postgres.partner_calls import PostgresCallReader, PostgresCallRepository
from services.partners.adapters.postgres.ready_callbacks import PostgresReadyReportStore
from services.partners.usecases.partner_calls import CallUnitOfWork, PartnerCallsRepository
from services.runtime.messaging import inbox
from services.runtime.messaging.outbox import Outbox
from services.runtime.storage.database import Database
from services.runtime.storage.transactions.transaction import Transaction
from services.runtime.storage.unit_of_work import PostgresIdempotentUnitOfWorkFactory


def _ignore() -> None:
    """Leave a due call to the next poll."""


class PostgresUnitOfWork(CallUnitOfWork):
    """One transaction over partners, products, prices, calls and circuit breakers in PostgreSQL."""

    def __init__(
        self, transaction: Transaction, outbox: Outbox[PartnersEvent], on_call_due: Callable[[], None] = _ignore
    ) -> None:
        self._transaction = transaction
        self._outbox = outbox
        self.partners = PostgresCatalogEntityRepository(transaction, PARTNERS)
        self.products = PostgresCatalogEntityRepository(transaction, PRODUCTS)
        self.availability = PostgresAvailabilityRepository(transaction)
        self.calls = PostgresCallRepository(transaction, on_call_due)
        self.breakers = PostgresBreakerRepository(transaction)

    @override
    async def mark_event_processed(self, queue: str, event_id: str) -> bool:
        return await inbox.mark_processed(self._transaction, queue, event_id)

    @override
    async def publish(self, event: PartnersEvent) -> None:
        self._outbox.add(self._transaction, event)


class PostgresRepository(PostgresIdempotentUnitOfWorkFactory[CallUnitOfWork], PartnerCallsRepository):
    """Read access to partners, products, catalog and calls in PostgreSQL, and the units of work that change them.

    `on_call_due` is called after the commit of a transaction after which calls may be due.
    """

    def __init__(
        self, database: Database, outbox: Outbox[PartnersEvent], on_call_due: Callable[[], None] = _ignore
    ) -> None:
        super().__init__(database, lambda transaction: PostgresUnitOfWork(transaction, outbox, on_call_due))
        self.partners = PostgresCatalogEntityReader(database, PARTNERS)
        self.products = PostgresCatalogEntityReader(database, PRODUCTS)
        self.catalog = PostgresCatalogReader(database)
        self.calls = PostgresCallReader(database)
        self.call_targets = PostgresCallTargetReader(database)
        self.accepted_calls = PostgresAcceptedCallStore(database, outbox)
        self.ready_reports = PostgresReadyReportStore(database, outbox)
