"""Payment callbacks: parsing of their bodies, which the gateway forwards as received."""

import msgspec
import pytest

from generated.proto.delivery.orders.v1 import HandlePaymentCallbackRequest
from services.orders.domain.payments import Payment
from services.orders.entrypoints.payment_callback import parse_payment
from services.runtime.core.errors import ApiError

MAX_AMOUNT = 2**53 - 1
BODY = {"payment_id": "p1", "order_id": "o", "amount": 200, "currency": "USD", "status": "succeeded"}


def parse(body: bytes) -> Payment:
    return parse_payment(HandlePaymentCallbackRequest(bank_id="visa", body=body))


@pytest.mark.parametrize(("status", "succeeded"), [("succeeded", True), ("failed", False)])
def test_parsed_payment_belongs_to_the_bank(status: str, succeeded: bool) -> None:
    body = msgspec.json.encode(BODY | {"status": status, "more": 1})
    assert parse(body) == Payment("visa", "p1", "o", 200, "USD", succeeded)


@pytest.mark.parametrize("amount", [405, MAX_AMOUNT])
def test_integral_float_amount_is_accepted(amount: int) -> None:
    assert parse(msgspec.json.encode(BODY | {"amount": float(amount)})).amount == amount


INVALID_FIELDS = [
    ("/payment_id", ""),
    ("/payment_id", "p" * 129),
    ("/order_id", "o" * 65),
    ("/order_id", "a b"),
    ("/order_id", "a\n"),
    ("/amount", -1),
    ("/amount", "200"),
    ("/amount", 1.5),
    ("/amount", MAX_AMOUNT + 1),
    ("/currency", "usd"),
    ("/status", "x"),
]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        *((body, "") for body in (b"", b"\xff", b"no JSON", b"[]", b"{}")),
        *((msgspec.json.encode(BODY | {field[1:]: value}), field) for field, value in INVALID_FIELDS),
    ],
)
def test_invalid_body_is_reported_by_json_pointer(body: bytes, field: str) -> None:
    with pytest.raises(ApiError, match="INVALID_REQUEST") as raised:
        parse(body)
    assert {error.field for error in raised.value.errors} == {field}
