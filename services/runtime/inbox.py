"""What a consumer has done already, written in the transaction that did it, so that a repeat changes nothing."""

from datetime import UTC, datetime

from sqlalchemy import Column, DateTime, MetaData, PrimaryKeyConstraint, Table, Text, bindparam
from sqlalchemy.dialects.postgresql import insert

from services.runtime.database import Statement, Transaction


def inbox_table(metadata: MetaData) -> Table:
    """The same table in every service's database that consumes events."""
    return Table(
        "inbox",
        metadata,
        Column("queue", Text, nullable=False),
        Column("event_id", Text, nullable=False),
        Column("at", DateTime(timezone=True), nullable=False),
        PrimaryKeyConstraint("queue", "event_id"),
    )


_ADD = Statement(
    insert(inbox_table(MetaData()))
    .values(queue=bindparam("queue"), event_id=bindparam("event_id"), at=bindparam("at"))
    .on_conflict_do_nothing()
)


async def first(transaction: Transaction, queue: str, event_id: str) -> bool:
    """Whether this event is new to this queue; from now on it is not, if the transaction commits."""
    return await transaction.run(_ADD, queue=queue, event_id=event_id, at=datetime.now(UTC)) == 1
