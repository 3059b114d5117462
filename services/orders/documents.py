"""Order history and payments in the document store, each document written any number of times to one effect."""

from dataclasses import asdict
from typing import Any

from pymongo import ASCENDING
from pymongo.asynchronous.database import AsyncDatabase

from services.orders.domain import HistoryEntry, OrderStatus
from services.orders.money import PaymentRecord
from services.runtime.documents import Document, available


class OrdersDocuments:
    """The collections `history` and `payments`."""

    def __init__(self, database: AsyncDatabase[Document]) -> None:
        self._history = database["history"]
        self._payments = database["payments"]

    async def prepare(self) -> None:
        """Makes the indexes that are missing."""
        with available():
            await self._history.create_index([("order_id", ASCENDING), ("version", ASCENDING)])
            await self._payments.create_index([("order_id", ASCENDING)])

    async def put_history(self, entry: HistoryEntry) -> None:
        """Keyed by order and version."""
        await self._put(self._history, f"{entry.order_id}:{entry.version}", asdict(entry))

    async def put_payment(self, record: PaymentRecord) -> None:
        """Keyed by bank and payment."""
        await self._put(self._payments, f"{record.bank_id}:{record.payment_id}", asdict(record))

    async def _put(self, collection: Any, key: str, document: Document) -> None:
        with available():
            await collection.replace_one({"_id": key}, {"_id": key, **document}, upsert=True)

    async def history(self, order_id: str, size: int, after: int) -> list[HistoryEntry]:
        """Oldest first, versions above `after`."""
        with available():
            cursor = self._history.find({"order_id": order_id, "version": {"$gt": after}}, {"_id": False})
            found = await cursor.sort("version", ASCENDING).limit(size).to_list()
        return [HistoryEntry(**(document | {"status": OrderStatus(document["status"])})) for document in found]
