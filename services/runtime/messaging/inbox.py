"""What a consumer has done already, written in the transaction that did it, so that a repeat changes nothing.

It is forgotten after `INBOX_DAYS`: far longer than messages are tried again by themselves, and than operators should
leave dead letters lying that they mean to send again.
"""

from collections.abc import Iterable
from datetime import UTC, datetime

from sqlalchemy import Column, DateTime, Index, MetaData, PrimaryKeyConstraint, Table, Text, bindparam, func, select
from sqlalchemy.dialects.postgresql import ARRAY, insert

from services.runtime.storage.database import Database, Statement, Transaction, build_batch_delete


def define_inbox_table(metadata: MetaData) -> Table:
    """The same table in every service's database that consumes events."""
    return Table(
        "inbox",
        metadata,
        Column("queue", Text, nullable=False),
        Column("event_id", Text, nullable=False),
        Column("at", DateTime(timezone=True), nullable=False),
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
    bindparam("now", type_=DateTime(timezone=True)),
)
_INSERT_MANY = Statement(
    insert(_table)
    .from_select(["queue", "event_id", "at"], _new_rows)
    .on_conflict_do_nothing()
    .returning(_table.c.queue, _table.c.event_id)
)


async def mark_processed(transaction: Transaction, queue: str, event_id: str) -> bool:
    """Whether this event is new to this queue; from now on it is not, if the transaction commits."""
    return await transaction.execute(_INSERT, queue=queue, event_id=event_id, at=datetime.now(UTC)) == 1


async def mark_processed_many(transaction: Transaction, events: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """Those of (queue, event id) that are new, as `first` says of one."""
    # In order, so that two who add some of the same do not wait for each other.
    pairs = sorted(set(events))
    queues, ids = [queue for queue, _ in pairs], [event_id for _, event_id in pairs]
    rows = await transaction.fetch_all(_INSERT_MANY, queues=queues, ids=ids, now=datetime.now(UTC))
    return {(row["queue"], row["event_id"]) for row in rows}


async def delete_older_than(database: Database, cutoff: datetime) -> int:
    """Forgets some of what was done before that; returns how many, 0 when there is nothing more."""
    return await database.execute(_DELETE_OLD, before=cutoff)
