"""What the providers' answers mean to us, on the sandbox's wire: the fault table."""

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
from tests.integration.sandbox.conftest import PROJECT, Sandbox, free_port

type Provider = FcmClient | ApnsClient

DOWN = "http://127.0.0.1:9"


def push(**changes: object) -> Push:
    made = Push(
        id=str(uuid4()),
        title="Paid",
        body="The kitchen has your order. Grüße",
        data={"order_id": "o1"},
        expires_at=datetime.now(UTC) + timedelta(hours=1),
        is_urgent=True,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


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
    made = FcmClient(account, sandbox.url) if request.param == "fcm" else ApnsClient(apple(sandbox), key)
    yield made
    await made.close()


def apple(sandbox: Sandbox) -> str:
    return f"http://127.0.0.1:{sandbox.apns_port}"


def fault(http: httpx.Client, provider: Provider, mode: str) -> None:
    name = "fcm" if isinstance(provider, FcmClient) else "apns"
    answer = http.put("/push/fault", json={"provider": name, "mode": mode, "count": 1})
    assert answer.status_code == 204


def shown_on(http: httpx.Client, token: str) -> list[dict[str, Any]]:
    return http.get(f"/devices/{token}/messages").json()  # type: ignore[no-any-return]


def mailbox(http: httpx.Client, address: str) -> list[dict[str, Any]]:
    return http.get(f"/mailbox/{address}").json()  # type: ignore[no-any-return]


@pytest.fixture
def token() -> str:
    return secrets.token_hex(32)


async def test_google_is_not_asked_behind_our_back(
    sandbox: Sandbox, account: dict[str, str], token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    monkeypatch.setattr(boundaries._RegionalAccessBoundaryRefreshThread, "run", asked.append)
    provider = FcmClient(account, sandbox.url)
    assert await provider.push(token, push()) == ACCEPTED_RESPONSE
    await provider.close()
    assert asked == []


async def test_a_phone_shows_it_once_however_often_it_is_sent(
    http: httpx.Client, provider: Provider, token: str
) -> None:
    sent = push()
    assert [await provider.push(token, sent) for _ in range(3)] == [ACCEPTED_RESPONSE] * 3
    assert await provider.push(token, push(title="Ready")) == ACCEPTED_RESPONSE
    shown = shown_on(http, token)
    assert [one["title"] for one in shown] == ["Paid", "Ready"]
    assert shown[0]["body"] == sent.body
    assert shown[0]["data"]["order_id"] == "o1"


@pytest.mark.parametrize(
    ("mode", "verdict", "words", "gone"),
    [
        ("unavailable", Outcome.BUSY, {"UNAVAILABLE", "ServiceUnavailable"}, False),
        ("quota", Outcome.BUSY, {"QUOTA_EXCEEDED", "TooManyRequests"}, False),
        ("unregistered", Outcome.REJECTED, {"UNREGISTERED", "Unregistered"}, True),
        ("lie", Outcome.UNCLEAR, {"NONSENSE"}, False),
    ],
)
async def test_each_fault_means_what_it_should(
    http: httpx.Client, provider: Provider, token: str, mode: str, verdict: Outcome, words: set[str], gone: bool
) -> None:
    fault(http, provider, mode)
    answer = await provider.push(token, push())
    assert (answer.outcome, answer.is_unregistered) == (verdict, gone)
    assert answer.code in words
    if mode == "unavailable":
        assert answer.retry_after == 1.0


async def test_a_slow_answer_is_unclear_and_the_repeat_is_no_double(
    http: httpx.Client, provider: Provider, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if isinstance(provider, ApnsClient):
        provider._client.timeout = httpx.Timeout(0.1)
    else:
        monkeypatch.setattr(fcm, "TOTAL_TIMEOUT_S", 0.1)
    fault(http, provider, "slow")
    sent = push()
    assert (await provider.push(token, sent)).outcome is Outcome.UNCLEAR
    if isinstance(provider, ApnsClient):
        provider._client.timeout = httpx.Timeout(5)
    monkeypatch.setattr(fcm, "TOTAL_TIMEOUT_S", 10.0)
    assert await provider.push(token, sent) == ACCEPTED_RESPONSE
    assert len(shown_on(http, token)) == 1


async def test_who_is_down_has_not_taken_it(account: dict[str, str], key: ApnsKey, token: str) -> None:
    for made in (
        FcmClient(account, DOWN),
        ApnsClient(DOWN, key),
        FcmClient(account | {"token_uri": f"{DOWN}/token"}, DOWN),
    ):
        answer = await made.push(token, push())
        assert (answer.outcome, answer.code) in (
            (Outcome.BUSY, "UNREACHABLE"),
            (Outcome.BUSY, "AUTH_UNAVAILABLE"),
        )
        await made.close()


async def test_who_hangs_up_may_have_taken_it(account: dict[str, str], key: ApnsKey, token: str) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.close()

    port = free_port()
    async with await asyncio.start_server(hang_up, "127.0.0.1", port):
        url = f"http://127.0.0.1:{port}"
        for made in (FcmClient(account, url), ApnsClient(url, key)):
            assert (await made.push(token, push())).outcome is Outcome.UNCLEAR
            await made.close()


async def test_a_payload_that_is_too_large_is_refused_before_it_leaves(provider: Provider, token: str) -> None:
    answer = await provider.push(token, push(body="ü" * 2100))
    assert (answer.outcome, answer.code) == (Outcome.REJECTED, "PAYLOAD_TOO_LARGE")
    assert await provider.push(token, push(body="ü" * 1900)) == ACCEPTED_RESPONSE


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"key_id": "OTHERKEY01"}, "InvalidProviderToken"),
        ({"team_id": "OTHERTEAM1"}, "InvalidProviderToken"),
        ({"topic": "another.app"}, "DeviceTokenNotForTopic"),
    ],
)
async def test_apple_knows_its_keys_and_apps(
    sandbox: Sandbox, key: ApnsKey, token: str, wrong: dict[str, str], word: str
) -> None:
    made = ApnsClient(apple(sandbox), key._replace(**wrong))
    answer = await made.push(token, push())
    assert answer.code == word
    assert answer.outcome is (Outcome.BUSY if word in apns.CREDENTIAL_REASONS else Outcome.REJECTED)
    await made.close()


async def test_a_token_of_an_hour_ago_is_made_anew(sandbox: Sandbox, key: ApnsKey, token: str) -> None:
    times = iter([0.0, 4e9, 4e9])
    old = ApnsClient(apple(sandbox), key, lambda: next(times))
    assert (await old.push(token, push())).code == "ExpiredProviderToken"
    assert old._token == ""
    await old.close()
    fresh = ApnsClient(apple(sandbox), key)
    assert await fresh.push("zz", push()) == fresh_refusal("BadDeviceToken")
    assert await fresh.push(token, push(id="not-a-uuid")) == ACCEPTED_RESPONSE
    await fresh.close()


def fresh_refusal(word: str) -> object:
    return replace(ACCEPTED_RESPONSE, outcome=Outcome.REJECTED, code=word, is_unregistered=True)


async def test_many_at_once_share_a_connection(sandbox: Sandbox, http: httpx.Client, key: ApnsKey) -> None:
    made, tokens = ApnsClient(apple(sandbox), key), [secrets.token_hex(32) for _ in range(60)]
    answers = await asyncio.gather(*(made.push(token, push()) for token in tokens))
    assert answers == [ACCEPTED_RESPONSE] * 60
    await made.close()
    assert all(len(shown_on(http, token)) == 1 for token in tokens)


async def test_mail_arrives_once_a_server_takes_it(sandbox: Sandbox, http: httpx.Client) -> None:
    to = f"{uuid4().hex}@delivery.test"
    mail = Mail("m1", to, "Hällo\nBcc: eve@evil.test", "Your code: abc123\n", "<p>Your code: abc123</p>")
    down = SmtpClient(f"smtp://127.0.0.1:{free_port()}", "Delivery <no-reply@delivery.test>")
    assert await down.send(mail) == replace(ACCEPTED_RESPONSE, outcome=Outcome.BUSY, code="UNREACHABLE")
    up = SmtpClient(f"smtp://127.0.0.1:{sandbox.smtp_port}", "Delivery <no-reply@delivery.test>")
    assert await up.send(mail) == ACCEPTED_RESPONSE
    assert (await up.send(replace(mail, to="a@b.c, d@e.f"))).code == "ADDRESS_INVALID"
    [got] = mailbox(http, to)
    assert (got["subject"], got["code"]) == ("Hällo Bcc: eve@evil.test", "abc123")
    assert mailbox(http, "eve@evil.test") == []


@pytest.mark.parametrize(
    ("reply", "verdict"), [("452 full", Outcome.BUSY), ("550 no such user", Outcome.REJECTED), ("", Outcome.UNCLEAR)]
)
async def test_what_a_mail_server_replies_is_what_it_means(reply: str, verdict: Outcome) -> None:
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

    port = free_port()
    async with await asyncio.start_server(serve, "127.0.0.1", port):
        answer = await SmtpClient(f"smtp://127.0.0.1:{port}", "a@b.c").send(Mail("m", "d@e.f", "s", "t", "h"))
        assert answer.outcome is verdict
