"""Emulated FCM: credentials, validation, faults and delivery."""

from typing import Any

import httpx
import pytest

from services.sandbox.fault_injection import FaultInjector
from services.sandbox.identity.tokens import TokenIssuer
from services.sandbox.push.devices import Devices
from services.sandbox.push.fcm import MAX_PAYLOAD_BYTES, FcmEmulator
from services.sandbox.rendering import PageRenderer
from services.sandbox.store import SqliteDatabase
from tests.unit.sandbox.components import create_client

SEND = "/v1/projects/delivery-local/messages:send"
OWNER = {"authorization": "Bearer owner"}
MESSAGE = {"token": "phone", "notification": {"title": "Paid", "body": "Thanks."}}


@pytest.fixture
def client(
    database: SqliteDatabase, token_issuer: TokenIssuer, fault_injector: FaultInjector, renderer: PageRenderer
) -> httpx.AsyncClient:
    devices = Devices(database, renderer)
    return create_client(devices, FcmEmulator(devices, token_issuer, fault_injector, "delivery-local"))


async def send(client: httpx.AsyncClient, message: dict[str, Any] = MESSAGE, **options: Any) -> httpx.Response:
    return await client.post(SEND, json={"message": message} | options, headers=OWNER)


async def list_messages(client: httpx.AsyncClient, device: str = "phone") -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = (await client.get(f"/devices/{device}/messages")).json()
    return messages


def get_error_code(response: httpx.Response) -> str:
    error = response.json()["error"]
    assert error["code"] == response.status_code
    return str(error["details"][0]["errorCode"])


async def test_message_is_delivered_and_its_name_returned(client: httpx.AsyncClient) -> None:
    response = await send(client, MESSAGE | {"data": {"order_id": "o1"}})
    assert response.status_code == 200
    (message,) = await list_messages(client)
    assert response.json() == {"name": f"projects/delivery-local/messages/{message['id']}"}
    assert (message["title"], message["body"], message["data"]) == ("Paid", "Thanks.", {"order_id": "o1"})


async def test_access_token_of_a_service_account_is_accepted(
    client: httpx.AsyncClient, token_issuer: TokenIssuer
) -> None:
    headers = {"authorization": f"Bearer {token_issuer.create_access_token('fcm@delivery.test')}"}
    assert (await client.post(SEND, json={"message": MESSAGE}, headers=headers)).status_code == 200


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer other"}, {"authorization": "owner"}])
async def test_other_credentials_are_rejected(client: httpx.AsyncClient, headers: dict[str, str]) -> None:
    response = await client.post(SEND, json={"message": MESSAGE}, headers=headers)
    assert (response.status_code, get_error_code(response)) == (401, "THIRD_PARTY_AUTH_ERROR")


async def test_other_project_is_rejected(client: httpx.AsyncClient) -> None:
    response = await client.post(SEND.replace("local", "other"), json={"message": MESSAGE}, headers=OWNER)
    assert (response.status_code, get_error_code(response)) == (403, "SENDER_ID_MISMATCH")


@pytest.mark.parametrize(
    "message",
    [
        {"notification": {"title": "x"}},
        {"token": "t", "fid": "f"},
        {"token": ""},
        {"token": "t", "data": {"n": 1}},
        {"token": "t", "android": {"ttl": 60}},
        {"token": "t", "android": {"ttl": "60"}},
        {"token": "t", "android": {"priority": "urgent"}},
        {"token": "t", "titel": "x"},
        {"token": "t", "data": {"text": "x" * MAX_PAYLOAD_BYTES}},
    ],
    ids=str,
)
async def test_invalid_message_is_rejected(client: httpx.AsyncClient, message: dict[str, Any]) -> None:
    response = await send(client, message)
    assert (response.status_code, get_error_code(response)) == (400, "INVALID_ARGUMENT")
    assert await list_messages(client, "t") == []


@pytest.mark.parametrize(("length", "status"), [(MAX_PAYLOAD_BYTES - 15, 200), (MAX_PAYLOAD_BYTES - 14, 400)])
async def test_payload_size_is_limited(client: httpx.AsyncClient, length: int, status: int) -> None:
    response = await send(client, {"token": "phone", "data": {"t": "x" * length}})
    assert response.status_code == status
    assert status == 200 or response.json()["error"]["message"] == "Message is too big."


async def test_validated_message_is_not_delivered(client: httpx.AsyncClient) -> None:
    assert (await send(client, validate_only=True)).status_code == 200
    assert await list_messages(client) == []


@pytest.mark.parametrize(
    "options",
    [
        lambda tag: {"android": {"notification": {"tag": tag}}},
        lambda tag: {"apns": {"headers": {"apns-collapse-id": tag}}},
    ],
    ids=["android", "apns"],
)
async def test_message_with_same_tag_replaces_the_earlier(client: httpx.AsyncClient, options: Any) -> None:
    for title in ("Paid", "Ready"):
        await send(client, {"token": "phone", "notification": {"title": title}} | options("o1"))
    assert [(each["title"], each["times_received"]) for each in await list_messages(client)] == [("Ready", 2)]


async def test_options_for_android_take_precedence(client: httpx.AsyncClient) -> None:
    android = {"notification": {"title": "Android"}, "data": {"b": "2", "a": "3"}}
    await send(client, MESSAGE | {"data": {"a": "1"}, "android": android})
    (message,) = await list_messages(client)
    assert (message["title"], message["body"], message["data"]) == ("Android", "Thanks.", {"a": "3", "b": "2"})


async def test_message_to_an_installation_id_is_delivered(client: httpx.AsyncClient) -> None:
    await send(client, {"fid": "installation", "notification": {"title": "Paid"}})
    assert len(await list_messages(client, "installation")) == 1


@pytest.mark.parametrize(
    ("mode", "status", "error_code"),
    [("unavailable", 503, "UNAVAILABLE"), ("unregistered", 404, "UNREGISTERED"), ("quota", 429, "QUOTA_EXCEEDED")],
)
async def test_fault_fails_the_given_number_of_messages(
    client: httpx.AsyncClient, mode: str, status: int, error_code: str
) -> None:
    fault = {"provider": "fcm", "mode": mode, "count": 1}
    assert (await client.put("/push/fault", json=fault)).status_code == 204
    response = await send(client)
    assert (response.status_code, get_error_code(response)) == (status, error_code)
    assert ("retry-after" in response.headers) == (status in (429, 503))
    assert await list_messages(client) == []
    assert (await send(client)).status_code == 200


@pytest.mark.parametrize("mode", ["slow", "invalid_response"])
async def test_message_with_unclear_response_is_delivered(client: httpx.AsyncClient, mode: str) -> None:
    await client.put("/push/fault", json={"provider": "fcm", "mode": mode, "count": 1})
    response = await send(client)
    assert ("name" in response.json()) == (mode == "slow")
    assert len(await list_messages(client)) == 1


async def test_invalid_message_does_not_use_up_a_fault(
    client: httpx.AsyncClient, fault_injector: FaultInjector
) -> None:
    await client.put("/push/fault", json={"provider": "fcm", "mode": "quota", "count": 1})
    await send(client, {})
    assert fault_injector.get("push:fcm") == ("quota", 1)


@pytest.mark.parametrize("fault", [{"provider": "smtp", "mode": "slow"}, {"provider": "fcm", "mode": "gone"}, {}])
async def test_invalid_fault_is_rejected(client: httpx.AsyncClient, fault: dict[str, str]) -> None:
    assert (await client.put("/push/fault", json=fault)).status_code == 400
