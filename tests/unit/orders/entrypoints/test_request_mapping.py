"""Conversion of protobuf requests of orders to domain objects."""

from dataclasses import replace

import pytest

from generated.problems import Reason
from generated.proto.delivery.orders import v1
from services.orders.domain.addresses import Address, Coordinates
from services.orders.domain.orders import Basket, OrderStatus, Partner, RefundStatus
from services.orders.entrypoints.request_mapping import order_request_from_proto, parse_status
from services.orders.usecases import OrderRequest
from tests.unit.fake_transactions import raises_reason
from tests.unit.orders.fakes import BASKET


def test_basket_message_becomes_equal_basket() -> None:
    message = v1.CheckedBasket(
        partner=v1.OrderPartner(id=1, title="Green Bowl", brand="Bowls"),
        items=[v1.OrderItem(product_id=1, title="Lemonade", quantity=2, price=100)],
        total_amount=200,
        currency="USD",
        bank_id="visa",
        delivery_address="1 Long Street",
    )
    request = v1.CreateOrderRequest(check_id="c1", basket=message, cache_unavailable=True)
    assert order_request_from_proto(request) == OrderRequest("c1", BASKET, True)


def test_address_note_and_tip_become_part_of_basket() -> None:
    address = v1.Address(street="1 Long Street", unit="2 B", postal_code="62701", city="Springfield", country="US")
    message = v1.CheckedBasket(address=address, note="No onions", tip_amount=50, delivery_fee=250)
    basket = order_request_from_proto(v1.CreateOrderRequest(basket=message)).basket
    expected = Address("1 Long Street", "Springfield", "US", "2 B", "62701")
    assert basket is not None
    assert (basket.address, basket.note, basket.tip_amount, basket.delivery_fee) == (expected, "No onions", 50, 250)
    address.coordinates = v1.Coordinates(latitude=39.78, longitude=-89.65)
    basket = order_request_from_proto(v1.CreateOrderRequest(basket=message)).basket
    assert basket is not None
    assert basket.address == replace(expected, coordinates=Coordinates(39.78, -89.65))


def test_empty_basket_message_is_converted() -> None:
    basket = order_request_from_proto(v1.CreateOrderRequest(basket=v1.CheckedBasket())).basket
    assert basket == Basket(Partner(0, "", ""), (), 0, "", "", "", None, None)


def test_request_with_rejection_names_its_reason() -> None:
    request = v1.CreateOrderRequest(check_id="c1", rejection="PARTNER_UNAVAILABLE")
    assert order_request_from_proto(request) == OrderRequest("c1", None, False, Reason.PARTNER_UNAVAILABLE)
    with raises_reason(Reason.INVALID_REQUEST) as raised:
        order_request_from_proto(v1.CreateOrderRequest(check_id="c1", rejection="NO_REASON"))
    assert [error.field for error in raised.value.errors] == ["rejection"]


@pytest.mark.parametrize("status", OrderStatus)
def test_status_filter_is_parsed_by_name(status: OrderStatus) -> None:
    assert parse_status(OrderStatus, v1.OrderStatus[status.name]) is status


@pytest.mark.parametrize("value", [v1.RefundStatus(99), v1.RefundStatus(0)])
def test_status_without_name_is_rejected(value: v1.RefundStatus) -> None:
    assert parse_status(RefundStatus, None) is None
    with raises_reason(Reason.INVALID_REQUEST) as raised:
        parse_status(RefundStatus, value)
    assert [error.field for error in raised.value.errors] == ["status"]
