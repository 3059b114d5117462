"""Payment callbacks: verification of the signature, then decoding of the body."""

from datetime import UTC, datetime

import msgspec
import pytest

from generated.problems import Reason
from generated.proto.delivery.orders.v1 import HandlePaymentCallbackRequest
from services.orders.domain.payments import Payment
from services.orders.entrypoints.payment_callback import MAX_AMOUNT, decode_payment, verify_and_decode_payment
from services.runtime.core.errors import ApiError
from services.runtime.outbound import webhooks
from services.runtime.outbound.webhook_secrets import generate_secret

OLD_SECRET, SECRET = generate_secret(), generate_secret()
BODY = {"payment_id": "p1", "order_id": "o", "amount": 200, "currency": "USD", "status": "succeeded"}


def build_request(body: bytes, secret: str = SECRET) -> HandlePaymentCallbackRequest:
    headers = webhooks.sign_message("w1", datetime.now(UTC), body, secret)
    return HandlePaymentCallbackRequest(
        bank_id="visa",
        webhook_id=headers["webhook-id"],
        webhook_timestamp=headers["webhook-timestamp"],
        webhook_signature=headers["webhook-signature"],
        body=body,
    )


@pytest.mark.parametrize(("status", "succeeded"), [("succeeded", True), ("failed", False)])
def test_decode_payment_returns_payment_of_the_bank(status: str, succeeded: bool) -> None:
    body = msgspec.json.encode(BODY | {"status": status, "more": 1})
    assert decode_payment("visa", body) == Payment("visa", "p1", "o", 200, "USD", succeeded)


@pytest.mark.parametrize("amount", [405, MAX_AMOUNT])
def test_decode_payment_accepts_integral_float_amount(amount: int) -> None:
    assert decode_payment("visa", msgspec.json.encode(BODY | {"amount": float(amount)})).amount == amount


INVALID_FIELDS = [
    {"payment_id": ""},
    {"payment_id": "p" * 129},
    {"order_id": "o" * 65},
    {"order_id": "a b"},
    {"amount": -1},
    {"amount": MAX_AMOUNT + 1},
    {"currency": "usd"},
    {"status": "x"},
]


@pytest.mark.parametrize(
    "body", [b"", b"\xff", b"[]", *(msgspec.json.encode(BODY | fields) for fields in INVALID_FIELDS)]
)
def test_decode_payment_with_invalid_body_raises_invalid_request(body: bytes) -> None:
    with pytest.raises(ApiError) as raised:
        decode_payment("visa", body)
    assert raised.value.reason is Reason.INVALID_REQUEST


def test_signed_callback_with_invalid_body_raises_invalid_request() -> None:
    with pytest.raises(ApiError) as raised:
        verify_and_decode_payment(build_request(b"no JSON"), [SECRET])
    assert raised.value.reason is Reason.INVALID_REQUEST


@pytest.mark.parametrize("secrets", [[], [OLD_SECRET]])
def test_invalid_signature_is_reported_before_invalid_body(secrets: list[str]) -> None:
    with pytest.raises(ApiError) as raised:
        verify_and_decode_payment(build_request(b"no JSON"), secrets)
    assert raised.value.reason is Reason.SIGNATURE_INVALID


def test_callback_signed_with_previous_secret_is_accepted() -> None:
    request = build_request(msgspec.json.encode(BODY), OLD_SECRET)
    assert verify_and_decode_payment(request, [SECRET, OLD_SECRET]).payment_id == "p1"
