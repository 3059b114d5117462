"""Inbox: ids of processed events, written in the transaction of their effects, so that consumers are idempotent.

Entries are deleted after `INBOX_DAYS`, which is far longer than the automatic retries of a message take. Operators
should replay dead letters before that.
"""

from datetime import UTC, datetime

from sqlalchemy import (
    CTE,
    Column,
    FromClause,
    Index,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    bindparam,
    func,
    select,
)
from sqlalchemy.dialects.postgresql import insert

from services.runtime.storage.database import Database
from services.runtime.storage.statements.statement import TIMESTAMPTZ, Statement, build_batch_delete
from services.runtime.storage.transactions.transaction import Transaction


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
_insertion = insert(_table).values(queue=bindparam("queue"), event_id=bindparam("event_id"), at=bindparam("at"))
_INSERT_NEW = Statement(_insertion)
_INSERT = Statement(_insertion.on_conflict_do_nothing())
_DELETE_OLD = build_batch_delete(_table, _table.c.at < bindparam("before"))


async def mark_processed(transaction: Transaction, queue: str, event_id: str) -> bool:
    """Mark the event as processed by the queue. Return whether it was not processed before.

    Return True in an optimistic transaction, which fails if the event was processed before.
    """
    values = {"queue": queue, "event_id": event_id, "at": datetime.now(UTC)}
    if transaction.is_optimistic:
        transaction.defer(_INSERT_NEW, **values)
        return True
    return await transaction.execute(_INSERT, **values) == 1


def build_new_events(events: FromClause) -> CTE:
    """Build the expression that marks events as processed, and returns those that were not processed before.

    `events` has the distinct columns `queue` and `event_id`, in an order that is the same in concurrent statements:
    otherwise these could deadlock.
    """
    rows = select(events.c.queue, events.c.event_id, func.now())
    insertion = insert(_table).from_select(["queue", "event_id", "at"], rows).on_conflict_do_nothing()
    return insertion.returning(_table.c.queue, _table.c.event_id).cte("new_events")


async def delete_older_than(database: Database, cutoff: datetime) -> int:
    """Delete a batch of entries older than the cutoff. Return their number, 0 if none are left."""
    return await database.execute(_DELETE_OLD, before=cutoff)
