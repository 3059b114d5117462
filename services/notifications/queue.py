"""What is on its way, in PostgreSQL: the most urgent first, and a claim that ends by itself when its worker dies."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from psycopg.types.json import Jsonb
from sqlalchemy import Text, bindparam, delete, func, insert, select, tuple_, update
from sqlalchemy.dialects.postgresql import ARRAY

from generated.events import NotificationsEvent
from services.notifications.domain.notifications import Mail, Notification, Provider
from services.notifications.domain.progress import Job
from services.notifications.tables import outgoing
from services.runtime import inbox
from services.runtime.batches import Batches
from services.runtime.database import Database, Statement
from services.runtime.outbox import Outbox
from services.runtime.vault import Vault

_ADD = Statement(insert(outgoing).values({column.name: bindparam(column.name) for column in outgoing.c}))
_due = (
    select(outgoing.c.id)
    .where(outgoing.c.due_at <= bindparam("now"), outgoing.c.priority >= bindparam("least"))
    .order_by(outgoing.c.priority.desc(), outgoing.c.due_at)
    .limit(bindparam("many"))
    .with_for_update(skip_locked=True)
    .cte("due")
)
_CLAIM = Statement(
    update(outgoing)
    .where(outgoing.c.id.in_(select(_due.c.id)))
    .values(due_at=bindparam("until"))
    .returning(*outgoing.c)
)
_mine = (outgoing.c.id == bindparam("of"), outgoing.c.due_at == bindparam("claim"))
_MOVING = ("notification", "due_at", "provider", "since", "rounds", "settled", "accepted", "unclear")
_KEEP = Statement(update(outgoing).where(*_mine).values({name: bindparam(name) for name in _MOVING}))
_claims = select(
    func.unnest(bindparam("ids", type_=ARRAY(Text))),
    func.unnest(bindparam("claims", type_=ARRAY(outgoing.c.due_at.type))),
)
_FINISH = Statement(
    delete(outgoing)
    .where(tuple_(outgoing.c.id, outgoing.c.due_at).in_(_claims))
    .returning(outgoing.c.id, outgoing.c.due_at)
)
_DROP = Statement(delete(outgoing).where(outgoing.c.user_id == bindparam("user_id"), outgoing.c.mail.is_(None)))


type _Adding = tuple[str, str, Mapping[str, object]]
"""The queue an event came from, its id, and the row of its job."""

type _Finishing = tuple[Job, Mapping[str, object] | None]
"""A job that is over, and the row of the event that says so."""


class PostgresQueue:
    """Every method is one transaction, which what is added or finished at the same time shares."""

    def __init__(self, database: Database, outbox: Outbox[NotificationsEvent], vault: Vault) -> None:
        self._database = database
        self._outbox = outbox
        self._vault = vault
        self._adding = Batches(self._add_all)
        self._finishing = Batches(self._finish_all)

    async def add(self, queue: str, event_id: str, job: Job) -> bool:
        """Puts a job into the queue, once per event consumed; False when it was there."""
        mail = self._vault.lock(msgspec.json.encode(job.mail).decode()) if job.mail else None
        row = {
            "id": job.id,
            "user_id": job.notification.user_id,
            "priority": job.priority,
            "expires_at": job.expires_at,
            "mail": mail,
            "trace": Jsonb(dict(job.trace)),
            **_moving(job, job.notification.created_at),
        }
        return await self._adding.do((queue, event_id, row))

    async def _add_all(self, items: Sequence[_Adding]) -> Sequence[bool]:
        async with self._database.transaction() as transaction:
            new = await inbox.firsts(transaction, ((queue, event_id) for queue, event_id, _ in items))
            rows = {(queue, event_id): row for queue, event_id, row in reversed(items) if (queue, event_id) in new}
            await transaction.each(_ADD, list(rows.values()))
        return [rows.get((queue, event_id)) is row for queue, event_id, row in items]

    async def claim(self, least: int, many: int, now: datetime, until: datetime) -> Sequence[Job]:
        """Jobs that are due, of this priority or more, the most urgent first; nobody else gets them until then."""
        rows = await self._database.many(_CLAIM, least=least, many=many, now=now, until=until)
        return sorted((self._job(row) for row in rows), key=lambda job: -job.priority)

    async def keep(self, job: Job, due: datetime) -> bool:
        """Puts the job back until `due`; False when the claim is lost."""
        return await self._database.run(_KEEP, of=job.id, claim=job.claim, **_moving(job, due)) == 1

    async def finish(self, job: Job, event: NotificationsEvent | None) -> bool:
        """Removes the job, and lets the event leave; False when the claim is lost."""
        return await self._finishing.do((job, None if event is None else self._outbox.row(event)))

    async def _finish_all(self, items: Sequence[_Finishing]) -> Sequence[bool]:
        async with self._database.transaction() as transaction:
            ids, claims = [job.id for job, _ in items], [job.claim for job, _ in items]
            gone = {(row["id"], row["due_at"]) for row in await transaction.many(_FINISH, ids=ids, claims=claims)}
            told = [event for job, event in items if event is not None and (job.id, job.claim) in gone]
            await self._outbox.add_rows(transaction, told)
        return [(job.id, job.claim) in gone for job, _ in items]

    async def drop(self, user_id: str) -> None:
        """Removes what a user was to be told, but for mails: the one that says the account is gone is among them."""
        await self._database.run(_DROP, user_id=user_id)

    def _job(self, row: Mapping[str, Any]) -> Job:
        mail = row["mail"]
        return Job(
            notification=msgspec.convert(row["notification"], Notification),
            priority=row["priority"],
            expires_at=row["expires_at"],
            mail=None if mail is None else msgspec.json.decode(self._vault.unlock(mail), type=Mail),
            provider=None if row["provider"] is None else Provider(row["provider"]),
            since=row["since"],
            rounds=row["rounds"],
            settled=tuple(row["settled"]),
            accepted=row["accepted"],
            unclear=row["unclear"],
            claim=row["due_at"],
            trace=tuple(row["trace"].items()),
        )


def _moving(job: Job, due: datetime) -> dict[str, object]:
    """The columns that change on the way."""
    return {
        "notification": Jsonb(job.notification),
        "due_at": due,
        "provider": job.provider,
        "since": job.since,
        "rounds": job.rounds,
        "settled": list(job.settled),
        "accepted": job.accepted,
        "unclear": job.unclear,
    }
