"""Token revocations in PostgreSQL, with LISTEN/NOTIFY to all processes of the gateway."""

import asyncio
import time
from datetime import datetime

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import DictRow
from sqlalchemy import bindparam, func, select
from sqlalchemy.dialects.postgresql import insert

from services.gateway.adapters.postgres.tables import token_revocations
from services.gateway.usecases.token_revocations import MAX_TOKEN_LIFETIME, RevokedTokens, TokenRevocation
from services.runtime.concurrency.periodic import run_periodically
from services.runtime.core.clock import Clock
from services.runtime.storage.database import Database
from services.runtime.storage.listener import Heartbeat, Listener
from services.runtime.storage.statements.statement import Statement, build_batch_delete
from services.runtime.storage.transactions.transaction import Transaction

NOTIFY_CHANNEL = "token_revocations"
"""Channel that the trigger on `token_revocations` notifies, with the row as payload in JSON."""

RELOAD_INTERVAL_S = 60.0
"""Seconds between reloads while notifications are received."""

POLL_INTERVAL_S = 0.5
"""Seconds between reloads while no notifications are received."""

_insert = insert(token_revocations).values(user_id=bindparam("user_id"), revoked_at=bindparam("revoked_at"))
_REVOKE = Statement(
    _insert.on_conflict_do_update(
        index_elements=["user_id"],
        set_={"revoked_at": func.greatest(token_revocations.c.revoked_at, _insert.excluded.revoked_at)},
    )
)
_LIST = Statement(
    select(token_revocations).where(token_revocations.c.revoked_at >= bindparam("since")), row_type=TokenRevocation
)
_DELETE_EXPIRED = build_batch_delete(token_revocations, token_revocations.c.revoked_at < bindparam("before"))


class _Notification(msgspec.Struct):
    user_id: str
    revoked_at: datetime


_decode_notification = msgspec.json.Decoder(_Notification).decode


async def revoke(transaction: Transaction, revocation: TokenRevocation) -> None:
    """Store a revocation, or replace an earlier one of the user."""
    await transaction.execute(_REVOKE, user_id=revocation.user_id, revoked_at=revocation.revoked_at)


async def delete_expired(database: Database, clock: Clock) -> int:
    """Delete a batch of revocations whose tokens have expired. Returns their number."""
    return await database.execute(_DELETE_EXPIRED, before=clock() - MAX_TOKEN_LIFETIME)


class TokenRevocationListener:
    """Loads the stored revocations into memory, adds later ones when notified, and confirms that they are complete.

    They are loaded on the LISTEN connection: the idle connections of the pool may have been lost without notice.
    """

    def __init__(self, database: Database, revoked_tokens: RevokedTokens, clock: Clock) -> None:
        self._database = database
        self._revoked_tokens = revoked_tokens
        self._clock = clock
        self._reload_at = 0.0
        self._poll_trigger = asyncio.Event()
        heartbeat = Heartbeat(self._confirm, lambda: revoked_tokens.is_in_use)
        revoked_tokens.on_use = heartbeat.request
        self._listener = Listener(
            database.url,
            NOTIFY_CHANNEL,
            on_notification=self._add,
            on_state_change=self._poll_trigger.set,
            heartbeat=heartbeat,
        )

    async def run(self) -> None:
        """Load and listen until cancelled. Without a LISTEN connection, load every POLL_INTERVAL_S seconds."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listener.run())
            tasks.create_task(
                run_periodically(
                    self._get_interval_s, "loading token revocations", self._load_unless_listening, self._poll_trigger
                )
            )

    def _get_interval_s(self) -> float:
        """Return RELOAD_INTERVAL_S while listening: the loss of the connection triggers the next run."""
        return RELOAD_INTERVAL_S if self._listener.is_listening else POLL_INTERVAL_S

    def _add(self, payload: str) -> None:
        notification = _decode_notification(payload)
        self._revoked_tokens.add(TokenRevocation(notification.user_id, notification.revoked_at))

    async def _confirm(self, connection: AsyncConnection[DictRow]) -> None:
        """Confirm the revocations by a response on the LISTEN connection, which its notifications precede.

        They are loaded on a new connection, and then every RELOAD_INTERVAL_S seconds, which removes expired ones.
        """
        started_at = time.monotonic()
        if self._listener.is_listening and started_at < self._reload_at:
            await connection.execute("SELECT 1")
        else:
            await self._load(self._database.bind(connection))
            self._reload_at = started_at + RELOAD_INTERVAL_S
        self._revoked_tokens.confirm(started_at)

    async def _load_unless_listening(self) -> int:
        """Load the revocations unless notifications are received. Returns 0 for `run_periodically`."""
        if not self._listener.is_listening:
            started_at = time.monotonic()
            await self._load(self._database)
            self._revoked_tokens.confirm(started_at)
        return 0

    async def _load(self, source: Database | Transaction) -> None:
        since = self._clock() - MAX_TOKEN_LIFETIME
        self._revoked_tokens.load(await source.fetch_all(_LIST, since=since))
