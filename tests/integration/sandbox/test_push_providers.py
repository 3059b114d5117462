"""Push and mail provider clients against the sandbox: delivery and classification of errors."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from google.auth import _regional_access_boundary_utils as boundaries

from services.notifications.adapters.providers import apns, fcm
from services.notifications.adapters.providers.apns import ApnsClient, ApnsKey
from services.notifications.adapters.providers.fcm import FcmClient
from services.notifications.adapters.providers.smtp import SmtpClient
from services.notifications.domain.notifications import ACCEPTED_RESPONSE, Mail, Outcome, Push
from tests.free_ports import find_free_port
from tests.integration.sandbox.conftest import PROJECT, Sandbox

type Provider = FcmClient | ApnsClient

UNREACHABLE_URL = "http://127.0.0.1:9"


def create_push(**changes: object) -> Push:
    message = Push(
        id=str(uuid4()),
        title="Paid",
        body="The kitchen has your order. Grüße",
        data={"order_id": "o1"},
        expires_at=datetime.now(UTC) + timedelta(hours=1),
        is_urgent=True,
    )
    return replace(message, **changes)  # type: ignore[arg-type]


@pytest.fixture
def account(sandbox: Sandbox, signing_key: bytes) -> dict[str, str]:
    return {
        "type": "service_account",
        "project_id": PROJECT,
        "private_key_id": "local",
        "private_key": signing_key.decode(),
        "client_email": f"push@{PROJECT}.iam.gserviceaccount.com",
        "token_uri": f"{sandbox.url}/oauth2/token",
    }


@pytest.fixture
def key(apple_key: bytes) -> ApnsKey:
    return ApnsKey("LOCALKEY01", "LOCALTEAM1", "test.delivery.app", apple_key.decode())


@pytest.fixture(params=["fcm", "apns"])
async def provider(
    request: pytest.FixtureRequest, sandbox: Sandbox, account: dict[str, str], key: ApnsKey
) -> AsyncIterator[Provider]:
    client = FcmClient(account, sandbox.url) if request.param == "fcm" else ApnsClient(apns_url(sandbox), key)
    yield client
    await client.close()


def apns_url(sandbox: Sandbox) -> str:
    return f"http://127.0.0.1:{sandbox.apns_port}"


def set_fault(http: httpx.Client, provider: Provider, mode: str) -> None:
    name = "fcm" if isinstance(provider, FcmClient) else "apns"
    response = http.put("/push/fault", json={"provider": name, "mode": mode, "count": 1})
    assert response.status_code == 204


def list_notifications(http: httpx.Client, token: str) -> list[dict[str, Any]]:
    return http.get(f"/devices/{token}/messages").json()  # type: ignore[no-any-return]


def list_mails(http: httpx.Client, address: str) -> list[dict[str, Any]]:
    return http.get(f"/mailbox/{address}").json()  # type: ignore[no-any-return]


@pytest.fixture
def token() -> str:
    return secrets.token_hex(32)


async def test_fcm_client_starts_no_background_requests(
    sandbox: Sandbox, account: dict[str, str], token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    background_requests: list[object] = []
    monkeypatch.setattr(boundaries._RegionalAccessBoundaryRefreshThread, "run", background_requests.append)
    provider = FcmClient(account, sandbox.url)
    assert await provider.push(token, create_push()) == ACCEPTED_RESPONSE
    await provider.close()
    assert background_requests == []


async def test_repeated_push_replaces_notification(http: httpx.Client, provider: Provider, token: str) -> None:
    sent = create_push()
    assert [await provider.push(token, sent) for _ in range(3)] == [ACCEPTED_RESPONSE] * 3
    assert await provider.push(token, create_push(title="Ready")) == ACCEPTED_RESPONSE
    notifications = list_notifications(http, token)
    assert [notification["title"] for notification in notifications] == ["Paid", "Ready"]
    assert notifications[0]["body"] == sent.body
    assert notifications[0]["data"]["order_id"] == "o1"


@pytest.mark.parametrize(
    ("mode", "outcome", "codes", "is_unregistered"),
    [
        ("unavailable", Outcome.BUSY, {"UNAVAILABLE", "ServiceUnavailable"}, False),
        ("quota", Outcome.BUSY, {"QUOTA_EXCEEDED", "TooManyRequests"}, False),
        ("unregistered", Outcome.REJECTED, {"UNREGISTERED", "Unregistered"}, True),
        ("invalid_response", Outcome.UNCLEAR, {"NONSENSE"}, False),
    ],
)
async def test_provider_errors_are_classified(
    http: httpx.Client,
    provider: Provider,
    token: str,
    mode: str,
    outcome: Outcome,
    codes: set[str],
    is_unregistered: bool,
) -> None:
    set_fault(http, provider, mode)
    response = await provider.push(token, create_push())
    assert (response.outcome, response.is_unregistered) == (outcome, is_unregistered)
    assert response.code in codes
    if mode == "unavailable":
        assert response.retry_after == timedelta(seconds=1)


async def test_timeout_is_unclear_and_retry_creates_no_duplicate(
    http: httpx.Client, provider: Provider, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if isinstance(provider, ApnsClient):
        provider._client.timeout = httpx.Timeout(0.1)
    else:
        monkeypatch.setattr(fcm, "TOTAL_TIMEOUT_S", 0.1)
    set_fault(http, provider, "slow")
    sent = create_push()
    assert (await provider.push(token, sent)).outcome is Outcome.UNCLEAR
    if isinstance(provider, ApnsClient):
        provider._client.timeout = httpx.Timeout(5)
    monkeypatch.setattr(fcm, "TOTAL_TIMEOUT_S", 10.0)
    assert await provider.push(token, sent) == ACCEPTED_RESPONSE
    assert len(list_notifications(http, token)) == 1


async def test_connection_failure_is_classified_busy(account: dict[str, str], key: ApnsKey, token: str) -> None:
    for client in (
        FcmClient(account, UNREACHABLE_URL),
        ApnsClient(UNREACHABLE_URL, key),
        FcmClient(account | {"token_uri": f"{UNREACHABLE_URL}/token"}, UNREACHABLE_URL),
    ):
        response = await client.push(token, create_push())
        assert (response.outcome, response.code) in (
            (Outcome.BUSY, "UNREACHABLE"),
            (Outcome.BUSY, "AUTH_UNAVAILABLE"),
        )
        await client.close()


async def test_dropped_connection_is_classified_unclear(account: dict[str, str], key: ApnsKey, token: str) -> None:
    async def drop_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.close()

    port = find_free_port()
    async with await asyncio.start_server(drop_connection, "127.0.0.1", port):
        url = f"http://127.0.0.1:{port}"
        for client in (FcmClient(account, url), ApnsClient(url, key)):
            assert (await client.push(token, create_push())).outcome is Outcome.UNCLEAR
            await client.close()


async def test_oversized_payload_is_rejected_locally(provider: Provider, token: str) -> None:
    response = await provider.push(token, create_push(body="ü" * 2100))
    assert (response.outcome, response.code) == (Outcome.REJECTED, "PAYLOAD_TOO_LARGE")
    assert await provider.push(token, create_push(body="ü" * 1900)) == ACCEPTED_RESPONSE


@pytest.mark.parametrize(
    ("invalid_field", "reason"),
    [
        ({"key_id": "OTHERKEY01"}, "InvalidProviderToken"),
        ({"team_id": "OTHERTEAM1"}, "InvalidProviderToken"),
        ({"topic": "another.app"}, "DeviceTokenNotForTopic"),
    ],
)
async def test_apns_rejects_unknown_key_team_and_topic(
    sandbox: Sandbox, key: ApnsKey, token: str, invalid_field: dict[str, str], reason: str
) -> None:
    client = ApnsClient(apns_url(sandbox), key._replace(**invalid_field))
    response = await client.push(token, create_push())
    assert response.code == reason
    assert response.outcome is (Outcome.BUSY if reason in apns.CREDENTIAL_REASONS else Outcome.REJECTED)
    await client.close()


async def test_expired_apns_token_is_renewed(sandbox: Sandbox, key: ApnsKey, token: str) -> None:
    times = iter([0.0, 4e9, 4e9])
    client = ApnsClient(apns_url(sandbox), key, lambda: next(times))
    assert (await client.push(token, create_push())).code == "ExpiredProviderToken"
    assert client._token == ""
    await client.close()
    renewed = ApnsClient(apns_url(sandbox), key)
    assert await renewed.push("zz", create_push()) == rejected_as_unregistered("BadDeviceToken")
    assert await renewed.push(token, create_push(id="not-a-uuid")) == ACCEPTED_RESPONSE
    await renewed.close()


def rejected_as_unregistered(code: str) -> object:
    return replace(ACCEPTED_RESPONSE, outcome=Outcome.REJECTED, code=code, is_unregistered=True)


async def test_concurrent_pushes_share_connection(sandbox: Sandbox, http: httpx.Client, key: ApnsKey) -> None:
    client, tokens = ApnsClient(apns_url(sandbox), key), [secrets.token_hex(32) for _ in range(60)]
    responses = await asyncio.gather(*(client.push(token, create_push()) for token in tokens))
    assert responses == [ACCEPTED_RESPONSE] * 60
    await client.close()
    assert all(len(list_notifications(http, token)) == 1 for token in tokens)


async def test_mail_is_delivered_once_server_is_up(sandbox: Sandbox, http: httpx.Client) -> None:
    to = f"{uuid4().hex}@delivery.test"
    mail = Mail("m1", to, "Hällo\nBcc: eve@evil.test", "Your code: abc123\n", "<p>Your code: abc123</p>")
    down = SmtpClient(f"smtp://127.0.0.1:{find_free_port()}", "Delivery <no-reply@delivery.test>")
    assert await down.send(mail) == replace(ACCEPTED_RESPONSE, outcome=Outcome.BUSY, code="UNREACHABLE")
    up = SmtpClient(f"smtp://127.0.0.1:{sandbox.smtp_port}", "Delivery <no-reply@delivery.test>")
    assert await up.send(mail) == ACCEPTED_RESPONSE
    assert (await up.send(replace(mail, to="a@b.c, d@e.f"))).code == "ADDRESS_INVALID"
    [received] = list_mails(http, to)
    assert (received["subject"], received["code"]) == ("Hällo Bcc: eve@evil.test", "abc123")
    assert list_mails(http, "eve@evil.test") == []


@pytest.mark.parametrize(
    ("reply", "outcome"), [("452 full", Outcome.BUSY), ("550 no such user", Outcome.REJECTED), ("", Outcome.UNCLEAR)]
)
async def test_smtp_replies_are_classified(reply: str, outcome: Outcome) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hello\r\n")
        while line := await reader.readline():
            if line.upper().startswith(b"RCPT"):
                if not reply:
                    break
                writer.write(reply.encode() + b"\r\n")
            else:
                writer.write(b"250 ok\r\n")
        writer.close()

    port = find_free_port()
    async with await asyncio.start_server(serve, "127.0.0.1", port):
        response = await SmtpClient(f"smtp://127.0.0.1:{port}", "a@b.c").send(Mail("m", "d@e.f", "s", "t", "h"))
        assert response.outcome is outcome
