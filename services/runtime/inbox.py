"""What a consumer has done already, written in the transaction that did it, so that a repeat changes nothing.

It is forgotten after `INBOX_DAYS`: far longer than messages are tried again by themselves, and than operators should
leave dead letters lying that they mean to send again.
"""

from datetime import UTC, datetime

from sqlalchemy import Column, DateTime, Index, MetaData, PrimaryKeyConstraint, Table, Text, bindparam
from sqlalchemy.dialects.postgresql import insert

from services.runtime.database import Database, Statement, Transaction, delete_some


def inbox_table(metadata: MetaData) -> Table:
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


_table = inbox_table(MetaData())
_ADD = Statement(
    insert(_table)
    .values(queue=bindparam("queue"), event_id=bindparam("event_id"), at=bindparam("at"))
    .on_conflict_do_nothing()
)
_FORGET = delete_some(_table, _table.c.at < bindparam("before"))


async def first(transaction: Transaction, queue: str, event_id: str) -> bool:
    """Whether this event is new to this queue; from now on it is not, if the transaction commits."""
    return await transaction.run(_ADD, queue=queue, event_id=event_id, at=datetime.now(UTC)) == 1


async def sweep(database: Database, before: datetime) -> int:
    """Forgets some of what was done before that; returns how many, 0 when there is nothing more."""
    return await database.run(_FORGET, before=before)
