"""Token revocations on PostgreSQL: notification of every process, loading after a start, and lost connections."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import pytest

from generated.events import EVENTS, GatewayEvent
from generated.problems import Reason
from services.gateway.adapters.postgres import token_revocations
from services.gateway.adapters.postgres.repository import PostgresRepository
from services.gateway.adapters.postgres.token_revocations import TokenRevocationListener
from services.gateway.usecases.token_revocations import MAX_AGE_S, MAX_TOKEN_LIFETIME, RevokedTokens
from services.runtime.core.clock import now
from services.runtime.core.errors import ApiError
from services.runtime.core.ids import generate_id
from services.runtime.core.principal import Principal
from services.runtime.messaging.outbox import Outbox
from services.runtime.storage import migrations
from services.runtime.storage.database import Database
from services.runtime.storage.listener import HEARTBEAT_INTERVAL_S
from tests.fault_proxy import Fault, FaultProxy
from tests.integration.fixtures.servers import Servers
from tests.wait import tick, wait_until_async


@pytest.fixture
async def database(servers: Servers) -> AsyncIterator[Database]:
    url = servers.settings("gateway")["DATABASE_URL"]
    await asyncio.to_thread(migrations.migrate, "gateway", url)
    async with Database(url) as database:
        yield database


@asynccontextmanager
async def run_gateway(database: Database) -> AsyncIterator[RevokedTokens]:
    """Run the listener of one gateway process."""
    revoked_tokens = RevokedTokens(now)
    task = asyncio.create_task(TokenRevocationListener(database, revoked_tokens, now).run())
    try:
        yield revoked_tokens
    finally:
        task.cancel()
        await asyncio.wait([task])


async def revoke_tokens(repository: PostgresRepository, user_id: str, revoked_at: datetime) -> None:
    async with repository.unit_of_work() as unit:
        await unit.revoke_tokens(user_id, revoked_at)


async def wait_for_revocation(revoked_tokens: RevokedTokens, user_id: str) -> None:
    """Wait until a token of the user is revoked, for at most a second."""
    principal = Principal(user_id, None, "", True, now() + timedelta(hours=1))
    with revoked_tokens.watch(principal) as revoked:
        async with asyncio.timeout(1):
            await revoked


async def test_revocation_reaches_every_process_within_a_second(database: Database) -> None:
    local = RevokedTokens(now)
    repository = PostgresRepository(database, Outbox[GatewayEvent](EVENTS), local.add)
    async with run_gateway(database) as first, run_gateway(database) as second:
        for user_id in (generate_id(), generate_id()):
            waiting = [asyncio.create_task(wait_for_revocation(each, user_id)) for each in (first, second)]
            await asyncio.sleep(0)
            revoked_at = now()
            await revoke_tokens(repository, user_id, revoked_at)
            assert local.find_revocation(user_id, revoked_at) == revoked_at
            await asyncio.gather(*waiting)
            assert first.find_revocation(user_id, revoked_at) == revoked_at


async def measure_acceptance_s(revoked_tokens: RevokedTokens, principal: Principal, rejection: Reason) -> float:
    """Return the seconds until the token was accepted for the last time, before it is rejected for the reason."""
    started = accepted = time.monotonic()

    async def is_rejected() -> bool:
        nonlocal accepted
        try:
            await revoked_tokens.require_valid(principal)
        except ApiError as error:
            return error.reason is rejection
        accepted = time.monotonic()
        return False

    await wait_until_async(is_rejected, 10)
    return accepted - started


@pytest.mark.parametrize(
    ("fault_of_new_connections", "rejection"),
    [(Fault.NONE, Reason.TOKEN_REVOKED), (Fault.UNRESPONSIVE, Reason.UPSTREAM_UNAVAILABLE)],
)
async def test_revoked_token_is_rejected_in_a_second_although_packets_are_lost(
    database: Database, fault_of_new_connections: Fault, rejection: Reason
) -> None:
    repository = PostgresRepository(database, Outbox[GatewayEvent](EVENTS))
    parts = urlsplit(database.url)
    with FaultProxy(parts.hostname or "", parts.port or 0) as proxy:
        netloc = f"{parts.username}:{parts.password}@127.0.0.1:{proxy.port}"
        async with Database(parts._replace(netloc=netloc).geturl()) as proxied, run_gateway(proxied) as revoked_tokens:
            principal = Principal(generate_id(), None, "", True, now() + timedelta(hours=1))
            await revoked_tokens.require_valid(principal)
            proxy.silence_connections(fault_of_new_connections)
            await revoke_tokens(repository, principal.user_id, now())
            assert await measure_acceptance_s(revoked_tokens, principal, rejection) < 1
            proxy.set_fault(Fault.NONE)
            await measure_acceptance_s(revoked_tokens, principal, Reason.TOKEN_REVOKED)


@pytest.mark.parametrize(
    ("fault_of_new_connections", "rejection"),
    [(Fault.NONE, Reason.TOKEN_REVOKED), (Fault.UNRESPONSIVE, Reason.UPSTREAM_UNAVAILABLE)],
)
async def test_revoked_token_is_rejected_after_packets_are_lost_without_requests(
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    fault_of_new_connections: Fault,
    rejection: Reason,
) -> None:
    monkeypatch.setattr("services.gateway.usecases.token_revocations.IN_USE_S", 0.0)
    repository = PostgresRepository(database, Outbox[GatewayEvent](EVENTS))
    parts = urlsplit(database.url)
    with FaultProxy(parts.hostname or "", parts.port or 0) as proxy:
        netloc = f"{parts.username}:{parts.password}@127.0.0.1:{proxy.port}"
        async with Database(parts._replace(netloc=netloc).geturl()) as proxied, run_gateway(proxied) as revoked_tokens:
            principal = Principal(generate_id(), None, "", True, now() + timedelta(hours=1))
            await revoked_tokens.require_valid(principal)
            proxy.silence_connections(fault_of_new_connections)
            await revoke_tokens(repository, principal.user_id, now())
            await asyncio.sleep(MAX_AGE_S)
            with pytest.raises(ApiError) as raised:
                await revoked_tokens.require_valid(principal)
            assert raised.value.reason in {rejection, Reason.UPSTREAM_UNAVAILABLE}


async def test_first_request_after_a_pause_waits_for_one_round_trip(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.gateway.usecases.token_revocations.IN_USE_S", 0.0)
    principal = Principal(generate_id(), None, "", True, now() + timedelta(hours=1))
    async with run_gateway(database) as revoked_tokens:
        await revoked_tokens.require_valid(principal)
        await asyncio.sleep(MAX_AGE_S + 0.5)
        started_at = time.monotonic()
        await revoked_tokens.require_valid(principal)
        assert time.monotonic() - started_at < HEARTBEAT_INTERVAL_S


async def test_token_is_accepted_while_the_revocations_are_confirmed(database: Database) -> None:
    principal = Principal(generate_id(), None, "", True, now() + timedelta(hours=1))
    async with run_gateway(database) as revoked_tokens:
        async for _ in tick(0.02, 1.5):
            await revoked_tokens.require_valid(principal)


async def test_revocation_is_loaded_after_restart(database: Database) -> None:
    user_id = generate_id()
    repository = PostgresRepository(database, Outbox[GatewayEvent](EVENTS))
    await revoke_tokens(repository, user_id, now())
    await revoke_tokens(repository, user_id, now() - timedelta(minutes=1))
    async with run_gateway(database) as revoked_tokens:
        await wait_for_revocation(revoked_tokens, user_id)


async def test_expired_revocation_is_deleted(database: Database) -> None:
    repository = PostgresRepository(database, Outbox[GatewayEvent](EVENTS))
    await revoke_tokens(repository, generate_id(), now() - MAX_TOKEN_LIFETIME)
    await revoke_tokens(repository, user_id := generate_id(), now())
    assert await token_revocations.delete_expired(database, now) >= 1
    async with run_gateway(database) as revoked_tokens:
        await wait_for_revocation(revoked_tokens, user_id)
