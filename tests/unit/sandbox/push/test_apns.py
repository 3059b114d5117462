"""Emulated APNs: authentication, validation of headers and payload, faults and delivery."""

import json
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from services.sandbox.fault_injection import FaultInjector, PushFaultMode
from services.sandbox.push.apns import MAX_PAYLOAD_BYTES, MAX_TOKEN_AGE_S, ApnsCredentials, ApnsEmulator
from services.sandbox.push.devices import Devices
from services.sandbox.rendering import PageRenderer
from services.sandbox.store import SqliteDatabase

KEY, OTHER_KEY = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
CREDENTIALS = ApnsCredentials("LOCALKEY01", "LOCALTEAM1", "test.delivery.app", KEY.public_key())
DEVICE = "ab" * 32
PAYLOAD = {"aps": {"alert": {"title": "Paid", "body": "Thanks."}}, "order_id": "o1"}


def create_token(key: ec.EllipticCurvePrivateKey = KEY, key_id: str = "LOCALKEY01", **claims: Any) -> str:
    claims = {"iss": "LOCALTEAM1", "iat": int(time.time())} | claims
    present = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(present, key, "ES256", {"kid": key_id})


@pytest.fixture
def devices(database: SqliteDatabase, renderer: PageRenderer) -> Devices:
    return Devices(database, renderer)


@pytest.fixture
def client(devices: Devices, fault_injector: FaultInjector) -> httpx.AsyncClient:
    app = ApnsEmulator(devices, fault_injector, CREDENTIALS).create_app()
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://apns.test")


async def send(
    client: httpx.AsyncClient,
    payload: dict[str, Any] | bytes = PAYLOAD,
    device: str = DEVICE,
    path: str = "/3/device/",
    **changes: str | None,
) -> httpx.Response:
    """Send a notification with valid headers, changed by the keyword arguments; None removes a header."""
    headers = {
        "authorization": f"Bearer {create_token()}",
        "apns-topic": "test.delivery.app",
        "apns-push-type": "alert",
    } | {name.replace("_", "-"): value for name, value in changes.items()}
    content = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    present = {name: value for name, value in headers.items() if value is not None}
    return await client.post(f"{path}{device}", content=content, headers=present)


def list_messages(devices: Devices) -> list[tuple[str, str, dict[str, str]]]:
    return [(each.title, each.body, each.data) for each in devices._load_messages(DEVICE)]


def get_reason(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["reason"]


async def test_notification_is_delivered_with_custom_data(client: httpx.AsyncClient, devices: Devices) -> None:
    apns_id = str(uuid4())
    response = await send(client, apns_id=apns_id)
    assert (response.status_code, response.content, response.headers["apns-id"]) == (200, b"", apns_id)
    assert list_messages(devices) == [("Paid", "Thanks.", {"order_id": "o1"})]


async def test_id_is_created_if_absent(client: httpx.AsyncClient) -> None:
    assert len((await send(client)).headers["apns-id"]) == 36


@pytest.mark.parametrize(
    ("aps", "message"),
    [
        ({"alert": "Text"}, ("", "Text")),
        ({"alert": {"title": "Title"}}, ("Title", "")),
        ({"content-available": 1}, ("", "")),
    ],
)
async def test_every_form_of_alert_is_accepted(
    client: httpx.AsyncClient, devices: Devices, aps: dict[str, Any], message: tuple[str, str]
) -> None:
    assert (await send(client, {"aps": aps})).status_code == 200
    assert list_messages(devices) == [(*message, {})]


async def test_notification_with_same_collapse_id_replaces_the_earlier(
    client: httpx.AsyncClient, devices: Devices
) -> None:
    for title in ("Paid", "Ready"):
        await send(client, {"aps": {"alert": {"title": title}}}, apns_collapse_id="o1")
    assert list_messages(devices) == [("Ready", "", {})]


@pytest.mark.parametrize("authorization", [None, "", "Bearer ", "Basic x"])
async def test_missing_provider_token_is_rejected(client: httpx.AsyncClient, authorization: str | None) -> None:
    assert get_reason(await send(client, authorization=authorization)) == (403, "MissingProviderToken")


@pytest.mark.parametrize(
    "create",
    [
        lambda: "nonsense",
        lambda: create_token(OTHER_KEY),
        lambda: create_token(key_id="OTHERKEY01"),
        lambda: create_token(iss="OTHERTEAM1"),
        lambda: create_token(iss=None),
        lambda: create_token(iat=None),
        lambda: create_token(iat="today"),
        lambda: jwt.encode({"iss": "LOCALTEAM1", "iat": 0}, "secret" * 8, "HS256", {"kid": "LOCALKEY01"}),
    ],
    ids=[
        "malformed",
        "other key",
        "other key id",
        "other team",
        "no team",
        "no time",
        "invalid time",
        "other algorithm",
    ],
)
async def test_invalid_provider_token_is_rejected(
    client: httpx.AsyncClient, devices: Devices, create: Callable[[], str]
) -> None:
    assert get_reason(await send(client, authorization=f"Bearer {create()}")) == (403, "InvalidProviderToken")
    assert list_messages(devices) == []


@pytest.mark.parametrize(
    ("age_s", "status"),
    [
        (MAX_TOKEN_AGE_S - 60, 200),
        (60 - MAX_TOKEN_AGE_S, 200),
        (MAX_TOKEN_AGE_S + 60, 403),
        (-MAX_TOKEN_AGE_S - 60, 403),
    ],
)
async def test_provider_token_is_valid_for_an_hour(client: httpx.AsyncClient, age_s: int, status: int) -> None:
    token = create_token(iat=int(time.time()) - age_s)
    response = await send(client, authorization=f"Bearer {token}")
    assert response.status_code == status
    assert status == 200 or response.json()["reason"] == "ExpiredProviderToken"


@pytest.mark.parametrize("device", ["", "xyz", "a" * 63, "a" * 65, "ab" * 101, "ab" * 32 + "/x"])
async def test_malformed_device_token_is_rejected(client: httpx.AsyncClient, device: str) -> None:
    assert get_reason(await send(client, device=device)) == (400, "BadDeviceToken")


@pytest.mark.parametrize(
    ("header", "value", "reason"),
    [
        ("apns_topic", None, "MissingTopic"),
        ("apns_topic", "other.app", "DeviceTokenNotForTopic"),
        ("apns_push_type", None, "InvalidPushType"),
        ("apns_push_type", "other", "InvalidPushType"),
        ("apns_priority", "7", "BadPriority"),
        ("apns_expiration", "-1", "BadExpirationDate"),
        ("apns_expiration", "soon", "BadExpirationDate"),
        ("apns_collapse_id", "x" * 65, "BadCollapseId"),
        ("apns_id", "not-a-uuid", "BadMessageId"),
    ],
)
async def test_invalid_header_is_rejected(
    client: httpx.AsyncClient, header: str, value: str | None, reason: str
) -> None:
    assert get_reason(await send(client, **{header: value})) == (400, reason)


@pytest.mark.parametrize("header", [{"apns_priority": "1"}, {"apns_expiration": "0"}, {"apns_collapse_id": "x" * 64}])
async def test_header_at_its_limit_is_accepted(client: httpx.AsyncClient, header: dict[str, str]) -> None:
    assert (await send(client, **header)).status_code == 200


@pytest.mark.parametrize(
    ("payload", "status", "reason"),
    [
        (b"", 400, "PayloadEmpty"),
        (b"{", 400, "BadMessage"),
        (b"{}", 400, "BadMessage"),
        (b'{"aps": {"alert": 1}}', 400, "BadMessage"),
        (b'{"aps": {"content-available": 2}}', 400, "BadMessage"),
        (b'{"aps": {}, "x": "\xff"}', 400, "BadMessage"),
    ],
)
async def test_invalid_payload_is_rejected(client: httpx.AsyncClient, payload: bytes, status: int, reason: str) -> None:
    assert get_reason(await send(client, payload)) == (status, reason)


@pytest.mark.parametrize(("excess", "status"), [(0, 200), (1, 413), (10**6, 413)])
async def test_payload_size_is_limited(client: httpx.AsyncClient, excess: int, status: int) -> None:
    payload = json.dumps({"aps": {}, "x": ""}).encode()
    padding = b"x" * (MAX_PAYLOAD_BYTES - len(payload) + excess)
    response = await send(client, payload.replace(b'""', b'"' + padding + b'"'))
    assert response.status_code == status
    assert status == 200 or response.json()["reason"] == "PayloadTooLarge"


async def test_other_method_or_path_is_rejected(client: httpx.AsyncClient) -> None:
    assert get_reason(await client.get(f"/3/device/{DEVICE}")) == (405, "MethodNotAllowed")
    assert get_reason(await send(client, path="/2/device/")) == (404, "BadPath")


@pytest.mark.parametrize(
    ("mode", "status", "reason"),
    [
        (PushFaultMode.UNAVAILABLE, 503, "ServiceUnavailable"),
        (PushFaultMode.UNREGISTERED, 410, "Unregistered"),
        (PushFaultMode.QUOTA, 429, "TooManyRequests"),
    ],
)
async def test_fault_fails_the_given_number_of_notifications(
    client: httpx.AsyncClient,
    devices: Devices,
    fault_injector: FaultInjector,
    mode: PushFaultMode,
    status: int,
    reason: str,
) -> None:
    fault_injector.set("push:apns", mode, 1)
    response = await send(client)
    assert get_reason(response) == (status, reason)
    assert ("timestamp" in response.json()) == (status == 410)
    assert ("retry-after" in response.headers) == (status == 503)
    assert list_messages(devices) == []
    assert (await send(client)).status_code == 200


@pytest.mark.parametrize("mode", [PushFaultMode.SLOW, PushFaultMode.INVALID_RESPONSE])
async def test_notification_with_unclear_response_is_delivered(
    client: httpx.AsyncClient, devices: Devices, fault_injector: FaultInjector, mode: PushFaultMode
) -> None:
    fault_injector.set("push:apns", mode, 1)
    assert ("apns-id" in (await send(client)).headers) == (mode is PushFaultMode.SLOW)
    assert len(list_messages(devices)) == 1


async def test_invalid_request_does_not_use_up_a_fault(
    client: httpx.AsyncClient, fault_injector: FaultInjector
) -> None:
    fault_injector.set("push:apns", PushFaultMode.QUOTA, 1)
    await send(client, b"")
    assert fault_injector.get("push:apns") == ("quota", 1)
