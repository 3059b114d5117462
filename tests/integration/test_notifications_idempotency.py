"""Idempotent creation of agents and cleanup of the inbox and idempotency keys, on a real database."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from generated.problems import Reason
from generated.proto.delivery.notifications import v1
from services.notifications.entrypoints.rpc import NotificationsRpc
from services.runtime.core.clock import now
from services.runtime.core.errors import ApiError
from services.runtime.core.ids import generate_id
from services.runtime.core.principal import Principal
from services.runtime.messaging import inbox
from services.runtime.rpc.codec import get_codec
from services.runtime.storage import idempotency, migrations
from tests.integration.fixtures.notifications import NotificationsHarness
from tests.integration.fixtures.servers import Servers

ROOT = Principal("root", "admin", "root@delivery.test", True, now() + timedelta(hours=1))


@pytest.fixture
async def harness(servers: Servers) -> AsyncIterator[NotificationsHarness]:
    migrations.migrate("notifications", servers.settings("notifications")["DATABASE_URL"])
    async with NotificationsHarness(servers) as harness:
        yield harness


def make_create_request(key: str | None, name: str) -> v1.CreateAgentRequest:
    private_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    account = {"type": "service_account", "project_id": "p", "client_email": "x@y.z", "token_uri": "https://t"}
    return v1.CreateAgentRequest(
        name=name,
        priority=3,
        providers=[v1.Provider.FCM],
        preferences=v1.Preferences(ttl_s=600),
        enabled=True,
        keys=v1.AgentKeys(fcm=json.dumps(account | {"private_key": pem})),
        idempotency_key=key,
    )


async def create_agent(rpc: NotificationsRpc, request: v1.CreateAgentRequest) -> v1.CreateAgentResponse:
    response = await rpc.create_agent(request, ROOT)
    return get_codec().decode(v1.CreateAgentResponse, response.data)


async def test_concurrent_create_agent_is_idempotent_and_stores_no_secret(
    harness: NotificationsHarness,
) -> None:
    rpc = NotificationsRpc(harness.repository, harness.history, now)
    request = make_create_request(generate_id(), generate_id())
    results = await asyncio.gather(*(create_agent(rpc, request) for _ in range(5)), return_exceptions=True)
    responses = [result for result in results if isinstance(result, v1.CreateAgentResponse)]
    error_reasons = [result.reason for result in results if isinstance(result, ApiError)]
    assert set(error_reasons) <= {Reason.IDEMPOTENCY_KEY_BUSY}
    assert len(responses) + len(error_reasons) == 5
    assert [response.replayed for response in responses].count(False) == 1
    repeated = await create_agent(rpc, request)
    assert (repeated.replayed, repeated.agent, repeated.etag) == (True, responses[0].agent, responses[0].etag)
    async with harness.database.connection() as connection:
        cursor = await connection.connection.execute("SELECT id FROM agents WHERE name = %s", (request.name,))
        assert len(await cursor.fetchall()) == 1
        cursor = await connection.connection.execute(
            "SELECT response FROM idempotency_keys WHERE key = %s", (request.idempotency_key,)
        )
        row = await cursor.fetchone()
    assert row is not None
    assert b"PRIVATE KEY" not in bytes(row["response"])
    with pytest.raises(ApiError) as raised:
        await create_agent(rpc, make_create_request(request.idempotency_key, request.name))
    assert raised.value.reason is Reason.IDEMPOTENCY_KEY_REUSED


async def test_inbox_cleanup_deletes_only_old_entries(harness: NotificationsHarness) -> None:
    old, new = generate_id(), generate_id()
    async with harness.database.transaction() as transaction:
        for event_id in (old, new):
            assert await inbox.mark_processed(transaction, "q", event_id)
        await transaction.connection.execute(
            "UPDATE inbox SET at = at - interval '31 days' WHERE event_id = %s", (old,)
        )
    while await inbox.delete_older_than(harness.database, now() - timedelta(days=30)):
        pass
    async with harness.database.transaction() as transaction:
        assert await inbox.mark_processed(transaction, "q", old)
        assert not await inbox.mark_processed(transaction, "q", new)


async def test_expired_idempotency_keys_are_deleted_in_batches(harness: NotificationsHarness) -> None:
    async with harness.database.connection() as connection:
        await connection.connection.execute(
            "INSERT INTO idempotency_keys SELECT 'old', 'op', n::text, '', NULL, '', now() - interval '25 hours' "
            "FROM generate_series(1, 1500) n"
        )
    assert await idempotency.delete_expired(harness.database) == 1000
    assert await idempotency.delete_expired(harness.database) >= 500
    assert await idempotency.delete_expired(harness.database) == 0
