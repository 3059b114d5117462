"""Inbox: which events are marked as processed, with a fake transaction."""

import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import MetaData

from services.runtime.messaging import inbox
from services.runtime.storage.database import Database, Transaction

PAIRS = st.tuples(st.sampled_from(["orders.users", "orders.history"]), st.sampled_from("abcdef"))


class FakeTransaction:
    """Table of pairs in memory, which records the order of insertion."""

    def __init__(self, processed: Iterable[tuple[str, str]] = ()) -> None:
        self.processed = set(processed)
        self.inserted: list[tuple[str, str]] = []

    async def execute(self, _: object, *, queue: str, event_id: str, at: datetime) -> int:
        assert abs(datetime.now(UTC) - at) < timedelta(minutes=1)
        return len(self._insert([(queue, event_id)]))

    async def fetch_all(self, _: object, *, queues: list[str], ids: list[str], now: datetime) -> list[dict[str, Any]]:
        assert now.tzinfo is UTC
        rows = self._insert(list(zip(queues, ids, strict=True)))
        return [{"queue": queue, "event_id": event_id} for queue, event_id in rows]

    def _insert(self, pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
        self.inserted += pairs
        new = [pair for pair in pairs if pair not in self.processed]
        self.processed |= {*new}
        return new


async def test_event_is_processed_once_per_queue() -> None:
    transaction = cast(Transaction, FakeTransaction())
    assert await inbox.mark_processed(transaction, "orders.users", "e1")
    assert not await inbox.mark_processed(transaction, "orders.users", "e1")
    assert await inbox.mark_processed(transaction, "orders.history", "e1")


@given(processed=st.sets(PAIRS), events=st.lists(PAIRS))
async def test_new_events_are_those_not_processed_before(
    processed: set[tuple[str, str]], events: list[tuple[str, str]]
) -> None:
    fake = FakeTransaction(processed)
    assert await inbox.mark_processed_many(cast(Transaction, fake), events) == {*events} - processed
    assert fake.processed == processed | {*events}


@given(events=st.lists(PAIRS), seed=st.integers(0, 9))
async def test_pairs_are_inserted_once_in_a_common_order(events: list[tuple[str, str]], seed: int) -> None:
    """Concurrent transactions that lock common rows in different orders would deadlock."""
    shuffled = [*events]
    random.Random(seed).shuffle(shuffled)  # noqa: S311
    transactions = FakeTransaction(), FakeTransaction()
    for transaction, pairs in zip(transactions, (events, shuffled), strict=True):
        await inbox.mark_processed_many(cast(Transaction, transaction), iter(pairs))
    assert transactions[0].inserted == transactions[1].inserted == sorted({*events})


async def test_cleanup_deletes_entries_before_the_cutoff() -> None:
    class FakeDatabase:
        async def execute(self, statement: Any, **values: Any) -> int:
            assert statement.summary == "DELETE inbox"
            assert values == {"before": datetime(2026, 1, 1, tzinfo=UTC)}
            return 7

    database = cast(Database, FakeDatabase())
    assert await inbox.delete_older_than(database, datetime(2026, 1, 1, tzinfo=UTC)) == 7


def test_table_key_is_queue_and_event() -> None:
    table = inbox.define_inbox_table(MetaData())
    assert [column.name for column in table.primary_key.columns] == ["queue", "event_id"]
