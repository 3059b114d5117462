"""What is on its way, in PostgreSQL: the most urgent first, and a claim that ends by itself when its worker dies."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from psycopg.types.json import Jsonb
from sqlalchemy import bindparam, delete, insert, select, update

from generated.events import NotificationsEvent
from services.notifications.domain.notifications import Mail, Notification, Provider
from services.notifications.domain.progress import Job
from services.notifications.tables import outgoing
from services.runtime import inbox
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
_FINISH = Statement(delete(outgoing).where(*_mine))
_DROP = Statement(delete(outgoing).where(outgoing.c.user_id == bindparam("user_id"), outgoing.c.mail.is_(None)))


class PostgresQueue:
    """Every method is one transaction."""

    def __init__(self, database: Database, outbox: Outbox[NotificationsEvent], vault: Vault) -> None:
        self._database = database
        self._outbox = outbox
        self._vault = vault

    async def add(self, queue: str, event_id: str, job: Job) -> bool:
        """Puts a job into the queue, once per event consumed; False when it was there."""
        mail = self._vault.lock(msgspec.json.encode(job.mail).decode()) if job.mail else None
        async with self._database.transaction() as transaction:
            if not await inbox.first(transaction, queue, event_id):
                return False
            await transaction.run(
                _ADD,
                id=job.id,
                user_id=job.notification.user_id,
                priority=job.priority,
                expires_at=job.expires_at,
                mail=mail,
                trace=Jsonb(dict(job.trace)),
                **_moving(job, job.notification.created_at),
            )
            return True

    async def claim(self, least: int, many: int, now: datetime, until: datetime) -> Sequence[Job]:
        """Jobs that are due, of this priority or more, the most urgent first; nobody else gets them until then."""
        rows = await self._database.many(_CLAIM, least=least, many=many, now=now, until=until)
        return sorted((self._job(row) for row in rows), key=lambda job: -job.priority)

    async def keep(self, job: Job, due: datetime) -> bool:
        """Puts the job back until `due`; False when the claim is lost."""
        return await self._database.run(_KEEP, of=job.id, claim=job.claim, **_moving(job, due)) == 1

    async def finish(self, job: Job, event: NotificationsEvent | None) -> bool:
        """Removes the job, and lets the event leave; False when the claim is lost."""
        async with self._database.transaction() as transaction:
            if await transaction.run(_FINISH, of=job.id, claim=job.claim) != 1:
                return False
            if event is not None:
                await self._outbox.add(transaction, event)
            return True

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
