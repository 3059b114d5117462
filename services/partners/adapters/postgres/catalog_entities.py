"""Partners and products in PostgreSQL: statements and repositories of a table with generated integer ids."""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, override

import msgspec
from psycopg.types.json import Jsonb
from sqlalchemy import Table, bindparam, delete, insert, select, update

from services.partners.adapters.postgres.tables import partners, products
from services.partners.domain.opening_hours import OpeningHours
from services.partners.domain.partners import Partner, Product
from services.partners.usecases.ports import CatalogEntityReader, CatalogEntityRepository
from services.runtime.storage.database import Database
from services.runtime.storage.statements.statement import Statement
from services.runtime.storage.transactions.transaction import Transaction


class CatalogEntityStatements[Entity: Partner | Product]:
    """Compiled statements on the table of one kind of entity. The fields of an entity are columns of its table.

    `json_fields` are the types of the fields that are stored as JSON.
    """

    def __init__(self, table: Table, entity_type: type[Entity], json_fields: Mapping[str, Any]) -> None:
        self._entity_type = entity_type
        self._json_fields = json_fields
        self.columns = [field.name for field in fields(entity_type) if field.name != "id"]
        entities = select(*(table.c[field.name] for field in fields(entity_type)))
        with_id = table.c.id == bindparam("id")
        self.get = Statement(entities.where(with_id))
        self.list_after = Statement(
            entities.where(table.c.id > bindparam("after")).order_by(table.c.id).limit(bindparam("size"))
        )
        self.list_pictures = Statement(
            select(table.c.id, table.c.picture_url)
            .where(table.c.id > bindparam("after"), table.c.picture_url.is_not(None))
            .order_by(table.c.id)
            .limit(bindparam("size"))
        )
        self.get_for_update = Statement(entities.where(with_id).with_for_update())
        self.lock_for_share = Statement(select(table.c.id).where(with_id).with_for_update(read=True, key_share=True))
        self.add = Statement(
            insert(table).values({name: bindparam(name) for name in self.columns}).returning(table.c.id)
        )
        self.save = Statement(
            update(table)
            .where(table.c.id == bindparam("entity_id"))
            .values({name: bindparam(f"new_{name}") for name in self.columns})
        )
        self.delete = Statement(delete(table).where(with_id))

    def read_row(self, row: dict[str, Any]) -> Entity:
        """Convert a row to an entity."""
        documents = {name: msgspec.convert(row[name], type_ | None) for name, type_ in self._json_fields.items()}
        return self._entity_type(**(row | documents))

    def build_row(self, entity: Entity) -> dict[str, Any]:
        """Return the values of the columns, without the id."""
        values = {name: getattr(entity, name) for name in self.columns}
        documents = {name: values[name] for name in self._json_fields if values[name] is not None}
        return values | {name: Jsonb(msgspec.to_builtins(value)) for name, value in documents.items()}


PARTNERS = CatalogEntityStatements(partners, Partner, {"opening_hours": OpeningHours})
PRODUCTS = CatalogEntityStatements(products, Product, {})


class PostgresCatalogEntityReader[Entity: Partner | Product](CatalogEntityReader[Entity]):
    """Read access to partners or products in PostgreSQL."""

    def __init__(self, database: Database, statements: CatalogEntityStatements[Entity]) -> None:
        self._database = database
        self._statements = statements

    @override
    async def get(self, key: int) -> Entity | None:
        row = await self._database.fetch_one(self._statements.get, id=key)
        return None if row is None else self._statements.read_row(row)

    @override
    async def list_after(self, after: int, size: int) -> list[Entity]:
        rows = await self._database.fetch_all(self._statements.list_after, after=after, size=size)
        return [self._statements.read_row(row) for row in rows]

    @override
    async def list_pictures(self, after: int, size: int) -> list[tuple[int, str]]:
        rows = await self._database.fetch_all(self._statements.list_pictures, after=after, size=size)
        return [(row["id"], row["picture_url"]) for row in rows]


class PostgresCatalogEntityRepository[Entity: Partner | Product](CatalogEntityRepository[Entity]):
    """Partners or products of one transaction in PostgreSQL."""

    def __init__(self, transaction: Transaction, statements: CatalogEntityStatements[Entity]) -> None:
        self._transaction = transaction
        self._statements = statements

    @override
    async def get_for_update(self, key: int) -> Entity | None:
        row = await self._transaction.fetch_one(self._statements.get_for_update, id=key)
        return None if row is None else self._statements.read_row(row)

    @override
    async def lock_for_share(self, key: int) -> bool:
        return await self._transaction.fetch_one(self._statements.lock_for_share, id=key) is not None

    @override
    async def add(self, entity: Entity) -> Entity:
        row = await self._transaction.fetch_one(self._statements.add, **self._statements.build_row(entity))
        return replace(entity, id=row["id"]) if row else entity

    @override
    async def save(self, entity: Entity) -> None:
        values = {f"new_{name}": value for name, value in self._statements.build_row(entity).items()}
        await self._transaction.execute(self._statements.save, entity_id=entity.id, **values)

    @override
    async def delete(self, key: int) -> None:
        await self._transaction.execute(self._statements.delete, id=key)
