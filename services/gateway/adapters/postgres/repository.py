"""Repository and unit of work of the gateway in PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from datetime import datetime
from typing import override

from generated.events import GatewayEvent
from services.gateway.adapters.postgres import account_statements as statements
from services.gateway.adapters.postgres import token_revocations
from services.gateway.adapters.postgres.accounts import PostgresAccountReader, PostgresAccountRepository
from services.gateway.adapters.postgres.codes import (
    PostgresCodeReader,
    PostgresCodeRepository,
    PostgresCodeRequestQueue,
    PostgresCodeRequestRepository,
)
from services.gateway.domain.accounts import TAKEOVER_PURPOSES, CodePurpose
from services.gateway.usecases.token_revocations import TokenRevocation
from services.gateway.usecases.verification_codes import VerificationRepository, VerificationUnitOfWork
from services.runtime.messaging.outbox import Outbox
from services.runtime.storage.database import Database
from services.runtime.storage.transactions.transaction import Transaction
from services.runtime.storage.unit_of_work import PostgresUnitOfWorkFactory

MAX_LIMITED_UNITS = 3
"""Maximum number of units of work that call another system at a time. Each holds a connection meanwhile."""

type RevocationHook = Callable[[TokenRevocation], None]
"""Called after the commit of a revocation, which this process must apply at least as early as others."""


class PostgresUnitOfWork(VerificationUnitOfWork):
    """One transaction over accounts, codes and token revocations in PostgreSQL."""

    def __init__(
        self, transaction: Transaction, outbox: Outbox[GatewayEvent], on_tokens_revoked: RevocationHook
    ) -> None:
        self._transaction = transaction
        self._outbox = outbox
        self._on_tokens_revoked = on_tokens_revoked
        self.accounts = PostgresAccountRepository(transaction)
        self.account_reader = PostgresAccountReader(transaction)
        self.codes = PostgresCodeRepository(transaction)
        self.code_requests = PostgresCodeRequestRepository(transaction)

    @override
    async def revoke_tokens(self, user_id: str, revoked_at: datetime) -> None:
        revocation = TokenRevocation(user_id, revoked_at)
        await token_revocations.revoke(self._transaction, revocation)
        self._transaction.add_after_commit_hook(lambda: self._on_tokens_revoked(revocation))

    @override
    async def invalidate_codes(self, user_id: str, purposes: Collection[CodePurpose] = TAKEOVER_PURPOSES) -> None:
        # A transaction that sends a requested code has deleted the request. Its code exists when it has ended.
        await self._transaction.execute(statements.DELETE_CODE_REQUESTS, user_id=user_id)
        await self._transaction.execute(
            statements.DELETE_CODES_OF_PURPOSES, user_id=user_id, purposes=list(map(str, purposes))
        )

    @override
    async def publish(self, event: GatewayEvent) -> None:
        self._outbox.add(self._transaction, event)


class PostgresRepository(PostgresUnitOfWorkFactory[VerificationUnitOfWork], VerificationRepository):
    """Read access to accounts and codes in PostgreSQL, and the units of work that change them."""

    def __init__(
        self,
        database: Database,
        outbox: Outbox[GatewayEvent],
        on_tokens_revoked: RevocationHook = lambda _: None,
    ) -> None:
        super().__init__(database, lambda transaction: PostgresUnitOfWork(transaction, outbox, on_tokens_revoked))
        self.accounts = PostgresAccountReader(database)
        self.codes = PostgresCodeReader(database)
        self.code_requests = PostgresCodeRequestQueue(database)
        self._limited_units = asyncio.Semaphore(MAX_LIMITED_UNITS)

    @override
    @asynccontextmanager
    async def limited_unit_of_work(self) -> AsyncIterator[VerificationUnitOfWork]:
        async with self._limited_units, self.unit_of_work() as unit:
            yield unit
