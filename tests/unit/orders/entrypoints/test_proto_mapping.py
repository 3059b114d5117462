"""Conversion of domain objects of orders to protobuf messages."""

from dataclasses import fields, replace

import pytest

from generated.proto.delivery.orders import v1
from services.orders.domain.addresses import Address, Coordinates, DelivererPosition
from services.orders.domain.orders import OrderStatus, RefundStatus
from services.orders.entrypoints import proto_mapping
from services.orders.usecases.order_tracking import OrderUpdate
from services.runtime.rpc.codec import get_codec
from tests.unit.fake_transactions import NOW
from tests.unit.orders.fakes import BANK, build_order


def test_bank_message_has_no_secret() -> None:
    message = proto_mapping.bank_to_proto(replace(BANK, old_secret=b"old"))
    assert message == v1.Bank(
        id="visa", title="Visa", webcheckout_url=BANK.webcheckout_url, api_url=BANK.api_url, active=True
    )
    encoded = proto_mapping.encode_created_bank(BANK)
    assert b"encrypted" not in encoded
    response = get_codec().decode(v1.CreateBankResponse, encoded)
    assert (response.bank, response.version, response.webhook_secret) == (message, 1, None)


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


@pytest.mark.parametrize("coordinates", [None, Coordinates(39.78, -89.65)])
def test_order_message_contains_address(coordinates: Coordinates | None) -> None:
    address = Address("1 Long Street", "Springfield", "US", coordinates=coordinates)
    order = replace(build_order(), address=address, note="No onions", tip_amount=50, delivery_fee=250)
    message = proto_mapping.order_to_proto(order)
    decoded = get_codec().decode(v1.Order, get_codec().encode(message))
    assert (decoded.note, decoded.tip_amount, decoded.delivery_fee) == ("No onions", 50, 250)
    position = coordinates and v1.Coordinates(latitude=coordinates.latitude, longitude=coordinates.longitude)
    assert decoded.address == v1.Address(street="1 Long Street", city="Springfield", country="US", coordinates=position)


def test_created_order_is_encoded_with_payment_instructions() -> None:
    order, payment = build_order(), v1.PaymentInstructions(webcheckout_url="https://visa.test/pay?signature=s")
    encoded = proto_mapping.encode_created_order(lambda order, bank: payment, order, BANK)
    response = get_codec().decode(v1.CreateOrderResponse, encoded)
    assert response == v1.CreateOrderResponse(order=proto_mapping.order_to_proto(order), payment=payment)


def test_update_message_contains_position_of_deliverer() -> None:
    update = OrderUpdate(4, OrderStatus.DELIVERING, NOW)
    message = v1.WatchOrderResponse(version=4, status=v1.OrderStatus.DELIVERING, at=NOW)
    assert proto_mapping.order_update_to_proto(update) == message
    update = update._replace(position=DelivererPosition("o1", 0, -89.65, NOW))
    message.deliverer_position = v1.Coordinates(latitude=0, longitude=-89.65)
    encoded = get_codec().encode(proto_mapping.order_update_to_proto(update))
    assert get_codec().decode(v1.WatchOrderResponse, encoded) == message
