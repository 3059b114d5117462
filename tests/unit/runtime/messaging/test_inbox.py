"""Inbox: which events are marked as processed, with a fake transaction."""

from datetime import UTC, datetime, timedelta
from typing import Any, cast

from sqlalchemy import Column, MetaData, Text, select

from services.runtime.messaging import inbox
from services.runtime.storage.database import Database
from services.runtime.storage.statements.row_parameters import build_rows
from services.runtime.storage.statements.statement import Statement
from services.runtime.storage.transactions.transaction import Transaction


class FakeTransaction:
    """Table of pairs in memory."""

    def __init__(self, *, is_optimistic: bool = False) -> None:
        self.processed: set[tuple[str, str]] = set()
        self.is_optimistic = is_optimistic
        self.deferred: list[Statement] = []

    def defer(self, statement: Statement, **_: object) -> None:
        self.deferred.append(statement)

    async def execute(self, _: object, *, queue: str, event_id: str, at: datetime) -> int:
        assert abs(datetime.now(UTC) - at) < timedelta(minutes=1)
        is_new = (queue, event_id) not in self.processed
        self.processed.add((queue, event_id))
        return int(is_new)


async def test_event_is_processed_once_per_queue() -> None:
    transaction = cast(Transaction, FakeTransaction())
    assert await inbox.mark_processed(transaction, "orders.users", "e1")
    assert not await inbox.mark_processed(transaction, "orders.users", "e1")
    assert await inbox.mark_processed(transaction, "orders.history", "e1")


async def test_optimistic_transaction_inserts_the_event_or_fails() -> None:
    fake = FakeTransaction(is_optimistic=True)
    assert await inbox.mark_processed(cast(Transaction, fake), "orders.users", "e1")
    (insertion,) = fake.deferred
    assert insertion.summary == "INSERT inbox"
    assert b"ON CONFLICT" not in insertion.sql


def test_new_events_are_inserted_unless_processed_before() -> None:
    events = build_rows("events", [Column("queue", Text), Column("event_id", Text)])
    new_events = inbox.build_new_events(events)
    sql = " ".join(Statement(select(new_events.c.event_id)).sql.decode().split())
    assert sql.startswith(
        "WITH new_events AS (INSERT INTO inbox (queue, event_id, at) SELECT events.queue AS queue,"
        " events.event_id AS event_id, now() AS now_1 FROM unnest(%(queue)s::TEXT[], %(event_id)s::TEXT[])"
        " AS events(queue, event_id) ON CONFLICT DO NOTHING RETURNING inbox.queue, inbox.event_id)"
    )


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
