"""Accounts in PostgreSQL."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import override

from services.gateway.adapters.postgres import account_statements as statements
from services.gateway.domain.accounts import Account, AccountFilter
from services.gateway.usecases.ports import AccountReader, AccountRepository
from services.runtime.core.repository import TimeKey
from services.runtime.storage.database import Database
from services.runtime.storage.transactions.transaction import Transaction

_FIRST_PAGE_CURSOR = (datetime.max.replace(tzinfo=UTC), "")


class PostgresAccountReader(AccountReader):
    """Read access to accounts in PostgreSQL."""

    def __init__(self, database: Database | Transaction) -> None:
        self._database = database

    @override
    async def get(self, key: str) -> Account | None:
        return await self._database.fetch_one(statements.GET_ACCOUNT, user_id=key)

    @override
    async def get_by_email(self, email: str) -> Account | None:
        return await self._database.fetch_one(statements.GET_ACCOUNT_BY_EMAIL, email=email)

    @override
    async def list_before(self, before: TimeKey | None, size: int, entity_filter: AccountFilter) -> list[Account]:
        before_at, before_id = before or _FIRST_PAGE_CURSOR
        return await self._database.fetch_all(
            statements.LIST_ACCOUNTS, size=size, before_at=before_at, before_id=before_id, **entity_filter._asdict()
        )

    @override
    async def list_unfinished(self, before: datetime, size: int) -> list[Account]:
        return await self._database.fetch_all(statements.LIST_UNFINISHED_ACCOUNTS, before=before, size=size)

    @override
    async def list_avatar_names(self) -> set[str]:
        return {row["avatar"] for row in await self._database.fetch_all(statements.LIST_AVATAR_NAMES)}


class PostgresAccountRepository(AccountRepository):
    """Accounts of one transaction in PostgreSQL."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    @override
    async def get_for_update(self, key: str) -> Account | None:
        return await self._transaction.fetch_one(statements.LOCK_ACCOUNT, user_id=key)

    @override
    async def save(self, entity: Account) -> None:
        values = {f"new_{name}": getattr(entity, name) for name in statements.MUTABLE_FIELDS}
        await self._transaction.execute(statements.SAVE_ACCOUNT, user_id=entity.id, **values)

    @override
    async def add(self, account: Account) -> None:
        await self._transaction.execute(statements.ADD_ACCOUNT, **asdict(account))

    @override
    async def activate(self, user_id: str) -> bool:
        return await self._transaction.execute(statements.ACTIVATE_ACCOUNT, user_id=user_id) == 1

    @override
    async def delete_unfinished(self, user_id: str) -> None:
        await self._transaction.execute(statements.DELETE_UNFINISHED_ACCOUNT, user_id=user_id)
