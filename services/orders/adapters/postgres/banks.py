"""Banks in PostgreSQL."""

from dataclasses import asdict
from typing import override

from sqlalchemy import Boolean, bindparam, cast, or_, select
from sqlalchemy.dialects import postgresql

from services.orders.adapters.postgres.tables import banks
from services.orders.domain.orders import Bank
from services.orders.usecases.ports import BankReader, BankRepository
from services.runtime.storage.database import Database
from services.runtime.storage.statements.statement import Statement, bind_columns, build_upsert
from services.runtime.storage.transactions.transaction import Transaction

_SELECT_BANK = Statement(select(banks).where(banks.c.id == bindparam("id")), row_type=Bank)
_SELECT_BANK_FOR_UPDATE = Statement(select(banks).where(banks.c.id == bindparam("id")).with_for_update(), row_type=Bank)
_INSERT_BANK = Statement(postgresql.insert(banks).values(bind_columns(banks)).on_conflict_do_nothing())
_UPSERT_BANK = build_upsert(banks)
_active_param = cast(bindparam("active"), Boolean)
_SELECT_BANKS_AFTER = Statement(
    select(banks)
    .where(banks.c.id > bindparam("after"), or_(_active_param.is_(None), banks.c.active == _active_param))
    .order_by(banks.c.id)
    .limit(bindparam("size")),
    row_type=Bank,
)


class PostgresBankReader(BankReader):
    """Read access to banks in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @override
    async def get(self, key: str) -> Bank | None:
        return await self._database.fetch_one(_SELECT_BANK, id=key)

    @override
    async def list_after(self, after: str, size: int, *, active: bool | None = None) -> list[Bank]:
        return await self._database.fetch_all(_SELECT_BANKS_AFTER, size=size, after=after, active=active)


class PostgresBankRepository(BankRepository):
    """Banks of one transaction in PostgreSQL."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    @override
    async def get(self, key: str) -> Bank | None:
        return await self._transaction.fetch_one(_SELECT_BANK, id=key)

    @override
    async def get_for_update(self, key: str) -> Bank | None:
        return await self._transaction.fetch_one(_SELECT_BANK_FOR_UPDATE, id=key)

    @override
    async def add(self, bank: Bank) -> bool:
        return await self._transaction.execute(_INSERT_BANK, **asdict(bank)) == 1

    @override
    async def save(self, entity: Bank) -> None:
        await self._transaction.execute(_UPSERT_BANK, **asdict(entity))
