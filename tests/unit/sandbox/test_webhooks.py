"""Webhooks of banks and partners: secrets, signatures and responses to callbacks."""

import logging
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from services.sandbox.http_helpers import HttpError
from services.sandbox.store import SqliteDatabase
from services.sandbox.webhooks import CallbackResponse, SetSecretRequest, WebhookClient
from tests.unit.sandbox.components import CALLBACK_URL, OTHER_SECRET, SECRET, CallbackReceiver, sign

BODY = b'{"order_id":"o1"}'
TRACE_ID = "0af7651916cd43dd8448eb211c80319c"


async def send(client: WebhookClient, url: str = CALLBACK_URL) -> CallbackResponse:
    return await client.send("bank:visa", url, "msg_1", {"order_id": "o1"})


async def test_callback_is_signed_json(webhook_client: WebhookClient, callback_receiver: CallbackReceiver) -> None:
    assert await send(webhook_client) == CallbackResponse(200, {"ok": True})
    assert callback_receiver.verify() == {"order_id": "o1"}
    (request,) = callback_receiver.requests
    assert (request.method, str(request.url)) == ("POST", CALLBACK_URL)
    assert (request.headers["content-type"], request.headers["webhook-id"]) == ("application/json", "msg_1")


async def test_latest_secret_of_the_owner_is_used(
    webhook_client: WebhookClient, callback_receiver: CallbackReceiver
) -> None:
    webhook_client.set_secret("bank:visa", SetSecretRequest(OTHER_SECRET))
    await send(webhook_client)
    assert callback_receiver.verify(secret=OTHER_SECRET)
    with pytest.raises(WebhookVerificationError):
        callback_receiver.verify(secret=SECRET)
    assert webhook_client.has_valid_signature("bank:visa", sign(BODY, secret=OTHER_SECRET), BODY)
    assert not webhook_client.has_valid_signature("bank:visa", sign(BODY), BODY)
    assert webhook_client.has_valid_signature("bank:km", sign(BODY), BODY), "other owners have the default secret"


def test_secret_survives_a_restart(database: SqliteDatabase, webhook_client: WebhookClient) -> None:
    webhook_client.set_secret("bank:visa", SetSecretRequest(OTHER_SECRET))
    restarted = WebhookClient(database, SECRET, httpx.AsyncClient())
    assert restarted.has_valid_signature("bank:visa", sign(BODY, secret=OTHER_SECRET), BODY)


@pytest.mark.parametrize("secret", ["", "whsec_", "c2VjcmV0", "whsec_a"])
def test_invalid_secret_is_rejected(webhook_client: WebhookClient, secret: str) -> None:
    with pytest.raises(HttpError) as raised:
        webhook_client.set_secret("bank:visa", SetSecretRequest(secret))
    assert raised.value.status == 400
    assert webhook_client.has_valid_signature("bank:visa", sign(BODY), BODY), "the previous secret stays valid"


@pytest.mark.parametrize("header", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_request_without_signature_header_is_invalid(webhook_client: WebhookClient, header: str) -> None:
    headers = {name: value for name, value in sign(BODY).items() if name != header}
    assert not webhook_client.has_valid_signature("bank:visa", headers, BODY)


def test_changed_body_or_header_is_invalid(webhook_client: WebhookClient) -> None:
    headers = sign(BODY)
    assert webhook_client.has_valid_signature("bank:visa", headers, BODY)
    assert not webhook_client.has_valid_signature("bank:visa", headers, BODY + b" ")
    assert not webhook_client.has_valid_signature("bank:visa", headers | {"webhook-id": "msg_2"}, BODY)
    assert not webhook_client.has_valid_signature("bank:visa", headers | {"webhook-timestamp": "now"}, BODY)


@pytest.mark.parametrize(("minutes", "is_valid"), [(-6, False), (-4, True), (4, True), (6, False)])
def test_signature_is_valid_for_five_minutes(webhook_client: WebhookClient, minutes: int, is_valid: bool) -> None:
    sent_at = datetime.now(UTC) + timedelta(minutes=minutes)
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(sent_at.timestamp())),
        "webhook-signature": Webhook(SECRET).sign("msg_1", sent_at, BODY.decode()),
    }
    assert webhook_client.has_valid_signature("bank:visa", headers, BODY) == is_valid


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (httpx.Response(202), CallbackResponse(202, None)),
        (httpx.Response(404, json={"reason": "ORDER_NOT_FOUND"}), CallbackResponse(404, {"reason": "ORDER_NOT_FOUND"})),
        (httpx.Response(502, text="<h1>Bad gateway</h1>"), CallbackResponse(502, "<h1>Bad gateway</h1>")),
        (httpx.Response(307, headers={"location": "/elsewhere"}), CallbackResponse(307, None)),
    ],
)
async def test_any_response_is_reported(
    webhook_client: WebhookClient,
    callback_receiver: CallbackReceiver,
    response: httpx.Response,
    expected: CallbackResponse,
) -> None:
    callback_receiver.responses = [response]
    assert await send(webhook_client) == expected


@pytest.mark.parametrize(
    ("header", "trace_id"), [(f"00-{TRACE_ID}-b7ad6b7169203331-01", TRACE_ID), ("", None), ("nonsense", None)]
)
async def test_trace_id_is_that_of_the_response(
    webhook_client: WebhookClient, callback_receiver: CallbackReceiver, header: str, trace_id: str | None
) -> None:
    callback_receiver.responses = [httpx.Response(200, headers={"traceresponse": header})]
    assert (await send(webhook_client)).trace_id == trace_id


@pytest.mark.parametrize(
    "error", [httpx.ConnectError("refused"), httpx.ReadTimeout("slow"), httpx.RemoteProtocolError("malformed")]
)
async def test_missing_response_is_reported_and_logged(
    webhook_client: WebhookClient,
    callback_receiver: CallbackReceiver,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
) -> None:
    callback_receiver.responses = [error]
    with caplog.at_level(logging.WARNING):
        assert await send(webhook_client) == CallbackResponse(0, type(error).__name__)
    assert "callback of bank:visa failed: no response to msg_1" in caplog.text


async def test_invalid_url_is_reported(webhook_client: WebhookClient) -> None:
    assert (await send(webhook_client, "https://edge.test:port/")).status == 0
