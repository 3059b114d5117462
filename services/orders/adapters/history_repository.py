"""MongoDB repository of order history and payments. All writes are idempotent."""

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import fields
from datetime import datetime
from typing import override

from pymongo import ASCENDING, DESCENDING, ReplaceOne
from pymongo.asynchronous.database import AsyncDatabase

from services.orders.domain.orders import HistoryEntry, OrderStatus
from services.orders.domain.payments import PaymentFilter, PaymentOutcome, PaymentRecord
from services.orders.usecases.reconciliation import ReconciliationHistory
from services.runtime.concurrency.micro_batching import MicroBatcher
from services.runtime.storage.mongo import Document, map_unavailable, write_batch

log = logging.getLogger(__name__)

MAX_BATCH_SIZE = 50
"""Maximum number of documents per bulk write."""

BATCH_DELAY_S = 0.02
"""Delay in which further documents join a bulk write, since a relay publishes the events of orders in batches."""

_HISTORY_FIELDS = [field.name for field in fields(HistoryEntry)]
_PAYMENT_FIELDS = [field.name for field in fields(PaymentRecord)]


class MongoHistoryRepository(ReconciliationHistory):
    """Collections `history` and `payments`. Concurrent writes are micro-batched into bulk writes."""

    def __init__(self, database: AsyncDatabase[Document]) -> None:
        self._history = database["history"]
        self._payments = database["payments"]
        self._history_batcher = MicroBatcher(self._save_history_entries, MAX_BATCH_SIZE, delay_s=BATCH_DELAY_S)
        self._payment_batcher = MicroBatcher(self._save_payments, MAX_BATCH_SIZE, delay_s=BATCH_DELAY_S)

    @override
    async def save_history_entry(self, entry: HistoryEntry) -> None:
        await self._history_batcher.submit(entry)

    async def _save_history_entries(self, entries: Sequence[HistoryEntry]) -> Sequence[None]:
        documents = [
            {"_id": f"{entry.order_id}:{entry.version}", **_to_document(entry, _HISTORY_FIELDS)} for entry in entries
        ]
        replacements = [ReplaceOne({"_id": document["_id"]}, document, upsert=True) for document in documents]
        await write_batch(self._history, replacements)
        return [None] * len(entries)

    @override
    async def save_payment(self, record: PaymentRecord) -> None:
        await self._payment_batcher.submit(record)

    async def _save_payments(self, records: Sequence[PaymentRecord]) -> Sequence[None]:
        documents = [
            {"_id": f"{record.bank_id}:{record.key}", **_to_document(record, _PAYMENT_FIELDS)} for record in records
        ]
        replacements = [
            ReplaceOne({"_id": document["_id"], "at": {"$lte": document["at"]}}, document, upsert=True)
            for document in documents
        ]
        # The key is a duplicate if the stored document is newer, since the filter does not match it.
        await write_batch(self._payments, replacements, ignore_duplicates=True)
        return [None] * len(records)

    @override
    async def list_payments(
        self, size: int, before: tuple[datetime, str, str] | None, payment_filter: PaymentFilter
    ) -> list[PaymentRecord]:
        query: Document = {name: value for name, value in payment_filter._asdict().items() if value is not None}
        if before is not None:
            at, before_bank_id, before_key = before
            query["$or"] = [{"at": {"$lt": at}}, {"at": at, "_id": {"$lt": f"{before_bank_id}:{before_key}"}}]
        with map_unavailable():
            cursor = self._payments.find(query).sort([("at", DESCENDING), ("_id", DESCENDING)])
            documents = await cursor.limit(size).to_list()
        return [_parse_payment_record(document) for document in documents]

    @override
    async def list_history(self, order_id: str, size: int, after: int) -> list[HistoryEntry]:
        with map_unavailable():
            cursor = self._history.find({"order_id": order_id, "version": {"$gt": after}}, {"_id": False})
            documents = await cursor.sort("version", ASCENDING).limit(size).to_list()
        return [_parse_history_entry(document) for document in documents]

    @override
    async def iter_order_ids(self, since: datetime, until: datetime, size: int) -> AsyncIterator[list[str]]:
        for collection, query in ((self._history, {"version": 1}), (self._payments, {})):
            page: Document = {"at": {"$gte": since, "$lt": until}}
            while True:
                with map_unavailable():
                    cursor = collection.find(query | page, {"order_id": True, "at": True})
                    documents = await cursor.sort([("at", ASCENDING), ("_id", ASCENDING)]).limit(size).to_list()
                yield list(dict.fromkeys(document["order_id"] for document in documents))
                if len(documents) < size:
                    break
                last = documents[-1]
                page = {
                    "$or": [
                        {"at": {"$gt": last["at"], "$lt": until}},
                        {"at": last["at"], "_id": {"$gt": last["_id"]}},
                    ]
                }

    @override
    async def find_by_orders(self, order_ids: Sequence[str]) -> tuple[list[HistoryEntry], list[PaymentRecord]]:
        query = {"order_id": {"$in": list(order_ids)}}
        with map_unavailable():
            history = await self._history.find(query, {"_id": False}).to_list()
            payments = await self._payments.find(query).to_list()
        return _parse_all_valid(history, _parse_history_entry), _parse_all_valid(payments, _parse_payment_record)


def _to_document(record: HistoryEntry | PaymentRecord, names: Sequence[str]) -> Document:
    return {name: getattr(record, name) for name in names}


def _parse_history_entry(document: Document) -> HistoryEntry:
    return HistoryEntry(**(document | {"status": OrderStatus(document["status"])}))


def _parse_payment_record(document: Document) -> PaymentRecord:
    values = {name: value for name, value in document.items() if name != "_id"}
    return PaymentRecord(**(values | {"outcome": PaymentOutcome(document["outcome"])}))


def _parse_all_valid[T](documents: Sequence[Document], parse: Callable[[Document], T]) -> list[T]:
    parsed = []
    for document in documents:
        try:
            parsed.append(parse(document))
        except (TypeError, ValueError, KeyError) as error:
            log.warning("invalid document of order %s: %s; skipped", document.get("order_id"), error)
    return parsed
