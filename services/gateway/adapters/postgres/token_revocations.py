"""Token revocations in PostgreSQL, with LISTEN/NOTIFY to all processes of the gateway."""

import asyncio
from datetime import datetime

import msgspec
from sqlalchemy import bindparam, func, select
from sqlalchemy.dialects.postgresql import insert

from services.gateway.adapters.postgres.tables import token_revocations
from services.gateway.usecases.token_revocations import MAX_TOKEN_LIFETIME, RevokedTokens, TokenRevocation
from services.runtime.concurrency.periodic import run_periodically
from services.runtime.core.clock import Clock
from services.runtime.storage.database import Database, Statement, Transaction, build_batch_delete
from services.runtime.storage.listener import Listener

NOTIFY_CHANNEL = "token_revocations"
"""Channel that the trigger on `token_revocations` notifies, with the row as payload in JSON."""

RELOAD_INTERVAL_S = 60.0
"""Seconds between reloads while notifications are received."""

POLL_INTERVAL_S = 0.5
"""Seconds between reloads while no notifications are received, and after a failed reload."""

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
    """Loads the stored revocations into memory, and adds later ones when notified."""

    def __init__(self, database: Database, revoked_tokens: RevokedTokens, clock: Clock) -> None:
        self._database = database
        self._revoked_tokens = revoked_tokens
        self._clock = clock
        self._is_loaded = False
        self._reload = asyncio.Event()
        self._listener = Listener(
            database.url,
            NOTIFY_CHANNEL,
            on_notification=self._add,
            on_state_change=self._reload.set,
        )

    async def run(self) -> None:
        """Load and listen until cancelled. Without a LISTEN connection, reload every POLL_INTERVAL_S seconds."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listener.run())
            tasks.create_task(
                run_periodically(self._get_interval_s, "loading token revocations", self._load, self._reload)
            )

    def _add(self, payload: str) -> None:
        notification = _decode_notification(payload)
        self._revoked_tokens.add(TokenRevocation(notification.user_id, notification.revoked_at))

    def _get_interval_s(self) -> float:
        return RELOAD_INTERVAL_S if self._is_loaded and self._listener.is_listening else POLL_INTERVAL_S

    async def _load(self) -> int:
        """Load all revocations. Returns 0 for `run_periodically`, since nothing is left to load."""
        self._is_loaded = False
        since = self._clock() - MAX_TOKEN_LIFETIME
        self._revoked_tokens.load(await self._database.fetch_all(_LIST, since=since))
        self._is_loaded = True
        return 0
