"""Inbox: ids of processed events, written in the transaction of their effects, so that consumers are idempotent.

Entries are deleted after `INBOX_DAYS`, which is far longer than the automatic retries of a message take. Operators
should replay dead letters before that.
"""

from collections.abc import Iterable
from datetime import UTC, datetime

from sqlalchemy import Column, Index, MetaData, PrimaryKeyConstraint, Table, Text, bindparam, func, select
from sqlalchemy.dialects.postgresql import ARRAY, insert

from services.runtime.storage.database import TIMESTAMPTZ, Database, Statement, Transaction, build_batch_delete


def define_inbox_table(metadata: MetaData) -> Table:
    """Define the inbox table, which is the same in the database of every consuming service."""
    return Table(
        "inbox",
        metadata,
        Column("queue", Text, nullable=False),
        Column("event_id", Text, nullable=False),
        Column("at", TIMESTAMPTZ, nullable=False),
        PrimaryKeyConstraint("queue", "event_id"),
        Index("inbox_by_time", "at"),
    )


_table = define_inbox_table(MetaData())
_INSERT = Statement(
    insert(_table)
    .values(queue=bindparam("queue"), event_id=bindparam("event_id"), at=bindparam("at"))
    .on_conflict_do_nothing()
)
_DELETE_OLD = build_batch_delete(_table, _table.c.at < bindparam("before"))
_new_rows = select(
    func.unnest(bindparam("queues", type_=ARRAY(Text))),
    func.unnest(bindparam("ids", type_=ARRAY(Text))),
    bindparam("now", type_=TIMESTAMPTZ),
)
_INSERT_MANY = Statement(
    insert(_table)
    .from_select(["queue", "event_id", "at"], _new_rows)
    .on_conflict_do_nothing()
    .returning(_table.c.queue, _table.c.event_id)
)


async def mark_processed(transaction: Transaction, queue: str, event_id: str) -> bool:
    """Mark the event as processed by the queue. Return whether it was not processed before."""
    return await transaction.execute(_INSERT, queue=queue, event_id=event_id, at=datetime.now(UTC)) == 1


async def mark_processed_many(transaction: Transaction, events: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """Mark pairs of (queue, event id) as processed. Return those that were not processed before."""
    # Sorted to prevent deadlocks between concurrent transactions with common pairs.
    pairs = sorted(set(events))
    queues, ids = [queue for queue, _ in pairs], [event_id for _, event_id in pairs]
    rows = await transaction.fetch_all(_INSERT_MANY, queues=queues, ids=ids, now=datetime.now(UTC))
    return {(row["queue"], row["event_id"]) for row in rows}


async def delete_older_than(database: Database, cutoff: datetime) -> int:
    """Delete a batch of entries older than the cutoff. Return their number, 0 if none are left."""
    return await database.execute(_DELETE_OLD, before=cutoff)
