"""HTTP client of payment systems: refund requests and the interpretation of responses."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx
import msgspec
import pytest
from cryptography.fernet import Fernet

from generated.problems import Reason
from services.orders.adapters.payment_system_client import FINAL_STATUS_CODES, HttpPaymentSystem
from services.orders.domain.orders import Bank, RefundStatus
from services.orders.domain.payments import BankPaymentPage, Payment, Refund, RefundResponse
from services.runtime.outbound import webhooks
from services.runtime.outbound.signed_client import MAX_RESPONSE_BYTES
from services.runtime.outbound.webhook_secrets import generate_secret
from services.runtime.outbound.webhooks import SignedRequest
from services.runtime.storage.encryption import SecretBox
from tests.unit.fake_transactions import raises_reason

NOW = datetime.now(UTC)
SECRET_BOX = SecretBox(Fernet.generate_key().decode())
OLD_SECRET, NEW_SECRET = generate_secret(), generate_secret()
BANK = Bank("visa", "Visa", "http://pay.test/", "http://bank.test/visa", True, SECRET_BOX.encrypt(NEW_SECRET))
REFUND = Refund("ref_1", "visa", "pay_8d3f", "0b6f", 34, "USD", RefundStatus.REQUESTED, NOW)
PAYLOAD = {"refund_id": "ref_1", "payment_id": "pay_8d3f", "amount": 34, "currency": "USD"}

type Handler = Callable[[httpx.Request], httpx.Response]


async def send_refund(handler: Handler, bank: Bank = BANK, refund: Refund = REFUND) -> RefundResponse:
    def handle(request: httpx.Request) -> httpx.Response:
        """Return the response as an unread stream, as a network transport does."""
        response = handler(request)
        if not response.is_stream_consumed:
            return response
        return httpx.Response(response.status_code, headers=response.headers, stream=httpx.ByteStream(response.content))

    return await HttpPaymentSystem(httpx.MockTransport(handle), SECRET_BOX, lambda: NOW, 5).refund(bank, refund)


async def test_refund_with_undecryptable_secret_is_retried() -> None:
    bank = replace(BANK, webhook_secret=SecretBox(Fernet.generate_key().decode()).encrypt(NEW_SECRET))
    response = await send_refund(lambda _: httpx.Response(200), bank)
    assert response == RefundResponse(False, False, "not sent: the secret cannot be decrypted")


async def test_refund_request_is_signed_with_all_active_secrets() -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        assert str(request.url) == "http://bank.test/visa/refunds"
        assert msgspec.json.decode(request.content) == PAYLOAD
        names = ("webhook-id", "webhook-timestamp", "webhook-signature")
        signed = SignedRequest(*(request.headers[name] for name in names), request.content)
        assert signed.id == "ref_1"
        for secret in (OLD_SECRET, NEW_SECRET):
            webhooks.verify_signature(signed, [secret])
        return httpx.Response(200, json={**PAYLOAD, "more": 1})

    rotated = replace(BANK, old_secret=SECRET_BOX.encrypt(OLD_SECRET), old_secret_until=NOW + timedelta(seconds=1))
    assert await send_refund(handle, rotated) == RefundResponse(True, True, "200")


async def test_amounts_with_decimal_point_are_integers() -> None:
    confirmation = httpx.Response(200, json={**PAYLOAD, "amount": 34.0})
    assert await send_refund(lambda _: confirmation) == RefundResponse(True, True, "200")
    entry = {"payment_id": "pay_1", "order_id": "0b6f", "amount": 200.0, "currency": "USD"}
    page = await list_payments(lambda _: stream(200, {"payments": [entry]}))
    assert page is not None
    assert [payment.amount for payment in page.payments] == [200]


@pytest.mark.parametrize(
    ("response", "message"),
    [
        (httpx.Response(200, json={**PAYLOAD, "amount": 35}), "200: response is for another refund"),
        (httpx.Response(200, json={**PAYLOAD, "currency": "usd"}), "200: response violates the contract"),
        (httpx.Response(200, json={"refund_id": "ref_1"}), "200: response violates the contract"),
        (httpx.Response(200, html="<h1>It works!</h1>"), "200: response violates the contract"),
        (httpx.Response(200, content=msgspec.json.encode(PAYLOAD)), "200: response violates the contract"),
        (
            httpx.Response(200, content=b"\xff", headers={"content-type": "application/json"}),
            "200: response violates the contract",
        ),
        (httpx.Response(204), "204"),
        (httpx.Response(302, headers={"location": "http://127.0.0.1/"}), "302"),
        (httpx.Response(503), "503"),
        (httpx.Response(403), "403"),
        (httpx.Response(410), "410"),
    ],
)
async def test_response_outside_contract_is_retried(response: httpx.Response, message: str) -> None:
    assert await send_refund(lambda request: response) == RefundResponse(False, False, message)


@pytest.mark.parametrize("status", sorted(FINAL_STATUS_CODES))
async def test_final_status_code_is_not_retried(status: int) -> None:
    assert await send_refund(lambda request: httpx.Response(status)) == RefundResponse(False, True, str(status))


@pytest.mark.parametrize("refund", [replace(REFUND, amount=0), replace(REFUND, currency="usd")])
async def test_request_outside_contract_is_not_sent(refund: Refund) -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        raise AssertionError(request.content)

    expected = RefundResponse(False, False, "not sent: request violates the contract")
    assert await send_refund(handle, refund=refund) == expected


async def test_network_error_is_returned_and_retried() -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("x")

    assert await send_refund(handle) == RefundResponse(False, False, "ConnectError")


async def test_oversized_response_is_aborted() -> None:
    read_bytes = 0

    async def stream_endlessly() -> AsyncIterator[bytes]:
        nonlocal read_bytes
        while True:
            read_bytes += 1024
            yield b"x" * 1024

    response = await send_refund(lambda request: httpx.Response(200, content=stream_endlessly()))
    assert response == RefundResponse(False, False, f"response larger than {MAX_RESPONSE_BYTES} bytes")
    assert read_bytes <= MAX_RESPONSE_BYTES + 1024


async def list_payments(handler: Handler, page_token: str | None = None) -> BankPaymentPage | None:
    system = HttpPaymentSystem(httpx.MockTransport(handler), SECRET_BOX, lambda: NOW, 5)
    return await system.list_payments(BANK, NOW - timedelta(days=7), NOW, page_token)


async def test_captured_payments_are_listed_in_pages() -> None:
    entry = {"payment_id": "pay_1", "order_id": "0b6f", "amount": 200, "currency": "USD", "note": "open"}

    def handle(request: httpx.Request) -> httpx.Response:
        assert str(request.url) == "http://bank.test/visa/payments/list"
        page = {"payments": [entry]}
        if "page_token" not in msgspec.json.decode(request.content):
            return stream(200, page | {"next_page_token": "7"})
        return stream(200, page)

    payment = Payment("visa", "pay_1", "0b6f", 200, "USD", succeeded=True)
    assert await list_payments(handle) == BankPaymentPage([payment], "7")
    assert await list_payments(handle, "7") == BankPaymentPage([payment], None)


def stream(status: int, body: object) -> httpx.Response:
    content = msgspec.json.encode(body)
    headers = {"content-type": "application/json"}
    return httpx.Response(status, headers=headers, stream=httpx.ByteStream(content))


@pytest.mark.parametrize("status", [404, 405, 501])
async def test_bank_without_list_of_payments_is_skipped(status: int) -> None:
    assert await list_payments(lambda _: stream(status, {})) is None


@pytest.mark.parametrize(("status", "body"), [(503, {}), (200, {}), (200, {"payments": [{"payment_id": "p"}]})])
async def test_invalid_list_of_payments_is_unavailable(status: int, body: object) -> None:
    with raises_reason(Reason.UPSTREAM_UNAVAILABLE):
        await list_payments(lambda _: stream(status, body))
