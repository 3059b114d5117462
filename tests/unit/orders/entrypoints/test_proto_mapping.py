"""Conversion between domain objects of orders and protobuf messages."""

import base64
import hmac
from collections.abc import Mapping
from dataclasses import fields, replace
from urllib.parse import parse_qs, urlsplit

import pytest

from generated.proto.delivery.orders import v1
from services.orders.domain.orders import Basket, Item, OrderStatus, Partner, RefundStatus
from services.orders.entrypoints import proto_mapping
from services.runtime.rpc.codec import get_codec
from tests.unit.orders.fakes import BANK, BASKET, build_order


def test_bank_message_has_no_secret() -> None:
    message = proto_mapping.bank_to_proto(replace(BANK, old_secret=b"old"))
    assert message == v1.Bank(
        id="visa", title="Visa", webcheckout_url=BANK.webcheckout_url, api_url=BANK.api_url, active=True
    )
    encoded = proto_mapping.encode_created_bank(BANK)
    assert b"encrypted" not in encoded
    response = get_codec().decode(v1.CreateBankResponse, encoded)
    assert (response.bank, response.version, response.webhook_secret) == (message, 1, None)


def test_basket_message_becomes_equal_basket() -> None:
    message = v1.CheckedBasket(
        partner=v1.OrderPartner(id=1, title="Green Bowl", brand="Bowls"),
        items=[v1.OrderItem(product_id=1, title="Lemonade", quantity=2, price=100)],
        total_amount=200,
        currency="USD",
        bank_id="visa",
        delivery_address="1 Long Street",
    )
    assert proto_mapping.basket_from_proto(message) == BASKET


def test_empty_basket_message_is_converted() -> None:
    basket = proto_mapping.basket_from_proto(v1.CheckedBasket())
    assert basket == Basket(Partner(0, "", ""), (), 0, "", "", "", None, None)


@pytest.mark.parametrize("status", OrderStatus)
@pytest.mark.parametrize("refund_status", RefundStatus)
def test_order_message_contains_every_field(status: OrderStatus, refund_status: RefundStatus) -> None:
    order = replace(build_order(status), refund_status=refund_status, deliverer_id="bob", cancel_reason="why not")
    message = proto_mapping.order_to_proto(order)
    decoded = get_codec().decode(v1.Order, get_codec().encode(message))
    assert (decoded.status.name, decoded.refund_status.name) == (status.name, refund_status.name)
    assert decoded.partner == v1.OrderPartner(id=1, title="Green Bowl", brand="Bowls")
    assert decoded.items == [v1.OrderItem(product_id=1, title="Lemonade", quantity=2, price=100)]
    converted = {"status", "refund_status", "partner", "items"}
    for name in {field.name for field in fields(order)} - converted:
        assert getattr(decoded, name) == getattr(order, name), name


SECRET, OLD_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"


def sign_checkout(secret: str, query: Mapping[str, list[str]]) -> str:
    """Return the signature that the contract of banks defines."""
    names = ("order_id", "timestamp", "amount", "currency", "callback_url")
    content = ".".join(query[name][0] for name in names).encode()
    digest = hmac.digest(base64.b64decode(secret.removeprefix("whsec_")), content, "sha256")
    return f"v1,{base64.b64encode(digest).decode()}"


@pytest.mark.parametrize(
    "webcheckout_url", ["https://visa.test/pay", "https://visa.test/pay?shop=1", "https://visa.test/pay?"]
)
def test_payment_instructions_contain_order_and_callback(webcheckout_url: str) -> None:
    order = replace(build_order(), items=(Item(1, "L", 1, 200),))
    encoded = proto_mapping.encode_created_order(
        "https://api.test", lambda _: [SECRET, OLD_SECRET], order, replace(BANK, webcheckout_url=webcheckout_url)
    )
    response = get_codec().decode(v1.CreateOrderResponse, encoded)
    payment = response.payment
    assert payment.callback_url == "https://api.test/api/v1/callbacks/payments/visa"
    url = urlsplit(payment.webcheckout_url)
    query = parse_qs(url.query, strict_parsing=url.query[0] != "&")
    assert f"{url.scheme}://{url.netloc}{url.path}" == "https://visa.test/pay"
    assert query.get("shop", ["1"]) == ["1"]
    assert {name: values for name, values in query.items() if name != "shop"} == {
        "order_id": ["o1"],
        "amount": ["200"],
        "currency": ["USD"],
        "callback_url": [payment.callback_url],
        "timestamp": [str(int(order.created_at.timestamp()))],
        "signature": [" ".join(sign_checkout(secret, query) for secret in (SECRET, OLD_SECRET))],
    }
    assert response.order == proto_mapping.order_to_proto(order)
