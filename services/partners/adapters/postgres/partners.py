"""Partners in PostgreSQL."""

from dataclasses import asdict, fields, replace
from typing import override

from sqlalchemy import bindparam, insert, select, update

from services.partners.adapters.postgres.tables import partners
from services.partners.domain.partners import Partner
from services.partners.usecases.ports import CatalogEntityRepository
from services.runtime.core.repository import SortedEntityReader
from services.runtime.storage.database import Database, Statement, Transaction

_COLUMNS = [field.name for field in fields(Partner) if field.name != "id"]
_select_partners = select(*(partners.c[field.name] for field in fields(Partner)))
_PARTNER = Statement(_select_partners.where(partners.c.id == bindparam("id")), row_type=Partner)
_PARTNERS = Statement(
    _select_partners.where(partners.c.id > bindparam("after")).order_by(partners.c.id).limit(bindparam("size")),
    row_type=Partner,
)
_PARTNER_FOR_UPDATE = Statement(
    _select_partners.where(partners.c.id == bindparam("id")).with_for_update(), row_type=Partner
)
_LOCK_PARTNER_FOR_SHARE = Statement(
    select(partners.c.id).where(partners.c.id == bindparam("id")).with_for_update(read=True, key_share=True)
)
_ADD_PARTNER = Statement(insert(partners).values({name: bindparam(name) for name in _COLUMNS}).returning(partners.c.id))
_SAVE_PARTNER = Statement(
    update(partners)
    .where(partners.c.id == bindparam("partner_id"))
    .values({name: bindparam(f"new_{name}") for name in _COLUMNS})
)


class PostgresPartnerReader(SortedEntityReader[int, Partner]):
    """Read access to partners in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @override
    async def get(self, key: int) -> Partner | None:
        return await self._database.fetch_one(_PARTNER, id=key)

    @override
    async def list_after(self, after: int, size: int) -> list[Partner]:
        return await self._database.fetch_all(_PARTNERS, after=after, size=size)


class PostgresPartnerRepository(CatalogEntityRepository[Partner]):
    """Partners of one transaction in PostgreSQL."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    @override
    async def get_for_update(self, key: int) -> Partner | None:
        return await self._transaction.fetch_one(_PARTNER_FOR_UPDATE, id=key)

    @override
    async def lock_for_share(self, key: int) -> bool:
        return await self._transaction.fetch_one(_LOCK_PARTNER_FOR_SHARE, id=key) is not None

    @override
    async def add(self, entity: Partner) -> Partner:
        row = await self._transaction.fetch_one(_ADD_PARTNER, **asdict(entity))
        return replace(entity, id=row["id"]) if row else entity

    @override
    async def save(self, entity: Partner) -> None:
        values = {f"new_{name}": getattr(entity, name) for name in _COLUMNS}
        await self._transaction.execute(_SAVE_PARTNER, partner_id=entity.id, **values)
