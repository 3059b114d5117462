"""Conversion of domain objects to protobuf messages."""

from collections.abc import Callable
from dataclasses import asdict, fields

from generated.proto.delivery.orders import v1
from services.orders.domain.addresses import Address
from services.orders.domain.orders import Bank, Item, Order, Partner, RefundStatus
from services.orders.usecases.order_tracking import OrderUpdate
from services.orders.usecases.refund_administration import RefundReport
from services.runtime.rpc.codec import get_codec

FIELD_POINTERS = {name: f"/{name}" for name in ("id", "title", "webcheckout_url", "api_url")}
"""JSON pointer into the body of a request by field of a bank."""

_ORDER_FIELDS, _PARTNER_FIELDS, _ITEM_FIELDS = (
    tuple(field.name for field in fields(each)) for each in (Order, Partner, Item)
)


def bank_to_proto(bank: Bank) -> v1.Bank:
    """Convert a bank, without its secrets."""
    return v1.Bank(
        id=bank.id,
        title=bank.title,
        webcheckout_url=bank.webcheckout_url,
        api_url=bank.api_url,
        active=bank.active,
    )


def order_to_proto(order: Order) -> v1.Order:
    """Convert an order."""
    unchanged = {name: getattr(order, name) for name in _ORDER_FIELDS}
    converted = {
        "status": v1.OrderStatus[order.status.name],
        "refund_status": v1.RefundStatus[order.refund_status.name],
        "partner": v1.OrderPartner(**{name: getattr(order.partner, name) for name in _PARTNER_FIELDS}),
        "items": [v1.OrderItem(**{name: getattr(item, name) for name in _ITEM_FIELDS}) for item in order.items],
        "address": None if order.address is None else _address_to_proto(order.address),
    }
    return v1.Order(**(unchanged | converted))


def _address_to_proto(address: Address) -> v1.Address:
    coordinates = None if address.coordinates is None else v1.Coordinates(**asdict(address.coordinates))
    return v1.Address(**(asdict(address) | {"coordinates": coordinates}))


def order_update_to_proto(update: OrderUpdate) -> v1.WatchOrderResponse:
    """Convert an update of a watched order."""
    position = update.position
    return v1.WatchOrderResponse(
        version=update.version,
        status=v1.OrderStatus[update.status.name],
        at=update.at,
        deliverer_position=None
        if position is None
        else v1.Coordinates(latitude=position.latitude, longitude=position.longitude),
    )


def refund_to_proto(report: RefundReport) -> v1.Refund:
    """Convert a refund and the actions on it."""
    refund = report.refund
    is_requested = refund.status is RefundStatus.REQUESTED
    return v1.Refund(
        id=refund.id,
        bank_id=refund.bank_id,
        payment_id=refund.payment_id,
        order_id=refund.order_id,
        amount=refund.amount,
        currency=refund.currency,
        status=v1.RefundStatus[refund.status.name],
        attempts=refund.attempts,
        last_response=refund.last_response,
        next_attempt_at=refund.next_at if is_requested else None,
        created_at=refund.created_at,
        actions=[
            v1.RefundAction(
                kind=v1.RefundActionKind[action.kind.name], actor=action.actor, note=action.note, at=action.at
            )
            for action in report.actions
        ],
    )


def encode_created_order(
    build_payment_instructions: Callable[[Order, Bank], v1.PaymentInstructions], order: Order, bank: Bank
) -> bytes:
    """Encode the response to the creation of an order, with the payment instructions for its customer."""
    payment = build_payment_instructions(order, bank)
    return get_codec().encode(v1.CreateOrderResponse(order=order_to_proto(order), payment=payment))


def encode_created_bank(bank: Bank) -> bytes:
    """Encode the response to the creation of a bank, without its webhook secret."""
    return get_codec().encode(v1.CreateBankResponse(bank=bank_to_proto(bank), version=bank.version))
