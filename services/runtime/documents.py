"""The document store, by pymongo's asyncio client."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import PyMongoError

from generated.problems import Reason
from services.runtime.refusal import Refusal

type Document = dict[str, Any]


def connect(url: str) -> tuple[AsyncMongoClient[Document], AsyncDatabase[Document]]:
    """A client, and the database that the URL's path names. Connections are made when they are needed."""
    client: AsyncMongoClient[Document] = AsyncMongoClient(
        url, tz_aware=True, serverSelectionTimeoutMS=2000, connectTimeoutMS=2000, timeoutMS=4000, maxPoolSize=16
    )
    return client, client[urlsplit(url).path.lstrip("/")]


@contextmanager
def available() -> Iterator[None]:
    """Refuses UPSTREAM_UNAVAILABLE when the store is away or fails."""
    try:
        yield
    except PyMongoError as error:
        raise Refusal(Reason.UPSTREAM_UNAVAILABLE, "The document store is away.", retry_after=2) from error
