"""Repository and unit of work of notifications in PostgreSQL."""

from typing import override

from generated.events import NotificationsEvent
from services.notifications.adapters.postgres.agents import PostgresAgentReader, PostgresAgentRepository
from services.notifications.adapters.postgres.delivery_queue import PostgresJobRepository, PostgresJobStore
from services.notifications.adapters.postgres.devices import PostgresDeviceReader, PostgresDeviceRepository
from services.notifications.adapters.postgres.users import PostgresUserReader, PostgresUserRepository
from services.notifications.usecases.agents import AgentsRepository, AgentUnitOfWork
from services.notifications.usecases.ports import PreparedEvent
from services.runtime.messaging.outbox import Outbox
from services.runtime.storage.database import Database
from services.runtime.storage.encryption import SecretBox
from services.runtime.storage.transactions.transaction import Transaction
from services.runtime.storage.unit_of_work import PostgresIdempotentUnitOfWorkFactory


class PostgresUnitOfWork(AgentUnitOfWork):
    """One transaction over users, agents and delivery jobs in PostgreSQL."""

    def __init__(self, transaction: Transaction, outbox: Outbox[NotificationsEvent], secret_box: SecretBox) -> None:
        self._transaction = transaction
        self._outbox = outbox
        self.users = PostgresUserRepository(transaction)
        self.devices = PostgresDeviceRepository(transaction)
        self.agents = PostgresAgentRepository(transaction, secret_box)
        self.jobs = PostgresJobRepository(transaction)

    @override
    async def publish(self, event: NotificationsEvent) -> None:
        self._outbox.add(self._transaction, event)


class PostgresRepository(PostgresIdempotentUnitOfWorkFactory[AgentUnitOfWork], AgentsRepository):
    """Read access to users and agents in PostgreSQL, and the units of work that change them."""

    def __init__(
        self, database: Database, outbox: Outbox[NotificationsEvent], secret_box: SecretBox, agents: PostgresAgentReader
    ) -> None:
        super().__init__(database, lambda transaction: PostgresUnitOfWork(transaction, outbox, secret_box))
        self._outbox = outbox
        self.users = PostgresUserReader(database)
        self.devices = PostgresDeviceReader(database)
        self.jobs = PostgresJobStore(database, secret_box)
        self.agents = agents

    @override
    def prepare_event(self, event: NotificationsEvent) -> PreparedEvent:
        return self._outbox.to_row(event)
