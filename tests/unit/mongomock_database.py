"""mongomock databases with the asynchronous API of pymongo that the document repositories use."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Self

import mongomock
from mongomock.collection import BulkOperationBuilder
from pymongo.results import BulkWriteResult

type Document = dict[str, Any]


def create_database() -> mongomock.Database:
    """Return an empty database that returns times with their zone, as `mongo.connect` configures it."""
    return mongomock.MongoClient(tz_aware=True).get_database("test")


class AsyncDatabase:
    """Asynchronous view of a mongomock database."""

    def __init__(self, database: mongomock.Database) -> None:
        self._database = database

    def __getitem__(self, name: str) -> "AsyncCollection":
        return AsyncCollection(self._database[name])


class AsyncCollection:
    """Asynchronous view of a mongomock collection."""

    def __init__(self, collection: mongomock.Collection) -> None:
        self._collection = collection

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        async def call(*arguments: Any, **options: Any) -> Any:
            return getattr(self._collection, name)(*arguments, **options)

        return call

    def find(self, *arguments: Any) -> "AsyncCursor":
        return AsyncCursor(self._collection.find(*arguments))

    async def bulk_write(self, operations: Sequence[Any], *, ordered: bool = True) -> BulkWriteResult:
        """Run the operations in order, as mongomock's method does, which fails with pymongo 4.11 and later."""
        builder = _BulkOperationBuilder(self._collection, ordered=ordered)
        for operation in operations:
            operation._add_to_bulk(builder)
        return BulkWriteResult(builder.execute(), acknowledged=True)


class AsyncCursor:
    """Asynchronous view of a mongomock cursor."""

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor

    def sort(self, *arguments: Any) -> Self:
        self._cursor.sort(*arguments)
        return self

    def limit(self, count: int) -> Self:
        self._cursor.limit(count)
        return self

    async def to_list(self) -> list[Document]:
        return list(self._cursor)


class _BulkOperationBuilder(BulkOperationBuilder):  # type: ignore[misc]
    """Builder that accepts the argument `sort`, which pymongo passes since 4.11."""

    def add_replace(self, *arguments: Any, sort: None, **options: Any) -> None:
        super().add_replace(*arguments, **options)
