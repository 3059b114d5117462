"""Conversion of protobuf requests to domain objects."""

from enum import Enum

from generated.problems import Reason
from generated.proto.delivery.orders import v1
from services.orders.domain.addresses import Address, Coordinates
from services.orders.domain.orders import Basket, Item, Partner
from services.orders.usecases import OrderRequest
from services.runtime.core.errors import ApiError, FieldError


def order_request_from_proto(request: v1.CreateOrderRequest) -> OrderRequest:
    """Convert a request to create an order.

    Raises ApiError: INVALID_REQUEST for a rejection that is no reason of the error catalogue.
    """
    basket = None if request.basket is None else _basket_from_proto(request.basket)
    rejection = None if request.rejection is None else _parse_rejection(request.rejection)
    return OrderRequest(request.check_id, basket, request.cache_unavailable, rejection)


def _basket_from_proto(basket: v1.CheckedBasket) -> Basket:
    partner = basket.partner or v1.OrderPartner()
    return Basket(
        partner=Partner(partner.id, partner.title, partner.brand),
        items=tuple(Item(item.product_id, item.title, item.quantity, item.price) for item in basket.items),
        total_amount=basket.total_amount,
        currency=basket.currency,
        bank_id=basket.bank_id,
        delivery_address=basket.delivery_address,
        customer_name=basket.customer_name,
        customer_phone=basket.customer_phone,
        address=None if basket.address is None else _address_from_proto(basket.address),
        note=basket.note,
        tip_amount=basket.tip_amount,
        delivery_fee=basket.delivery_fee,
    )


def _address_from_proto(address: v1.Address) -> Address:
    coordinates = address.coordinates
    return Address(
        street=address.street,
        city=address.city,
        country=address.country,
        unit=address.unit,
        postal_code=address.postal_code,
        region=address.region,
        coordinates=None if coordinates is None else Coordinates(coordinates.latitude, coordinates.longitude),
    )


def _parse_rejection(rejection: str) -> Reason:
    try:
        return Reason(rejection)
    except ValueError as error:
        raise ApiError(Reason.INVALID_REQUEST, errors=[FieldError("rejection", "is not a known reason")]) from error


def parse_status[E: Enum](enum_type: type[E], value: Enum | None) -> E | None:
    """Convert a status filter.

    Raises ApiError: INVALID_REQUEST for a number without a name in this version of the contract.
    """
    if value is None:
        return None
    try:
        return enum_type[value.name or ""]
    except KeyError as error:
        raise ApiError(Reason.INVALID_REQUEST, errors=[FieldError("status", "is not a known status")]) from error
