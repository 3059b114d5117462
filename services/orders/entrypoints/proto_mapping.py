"""Conversion between domain objects and protobuf messages."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, fields

from generated.proto.delivery.orders import v1
from services.orders.domain.orders import Bank, Basket, Item, Order, Partner, RefundStatus
from services.orders.usecases.refund_administration import RefundReport
from services.runtime.outbound import base_url, webhooks
from services.runtime.rpc.codec import get_codec

FIELD_POINTERS = {name: f"/{name}" for name in ("id", "title", "webcheckout_url", "api_url")}
"""JSON pointer into the body of a request by field of a bank."""


def bank_to_proto(bank: Bank) -> v1.Bank:
    """Convert a bank, without its secrets."""
    return v1.Bank(
        id=bank.id,
        title=bank.title,
        webcheckout_url=bank.webcheckout_url,
        api_url=bank.api_url,
        active=bank.active,
    )


def basket_from_proto(basket: v1.CheckedBasket) -> Basket:
    """Convert a checked basket."""
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
    )


def order_to_proto(order: Order) -> v1.Order:
    """Convert an order."""
    unchanged = {field.name: getattr(order, field.name) for field in fields(order)}
    converted = {
        "status": v1.OrderStatus[order.status.name],
        "refund_status": v1.RefundStatus[order.refund_status.name],
        "partner": v1.OrderPartner(**asdict(order.partner)),
        "items": [v1.OrderItem(**asdict(item)) for item in order.items],
    }
    return v1.Order(**(unchanged | converted))


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
    public_url: str, list_secrets: Callable[[Bank], Sequence[str]], order: Order, bank: Bank
) -> bytes:
    """Encode the response to the creation of an order, with the payment instructions for its customer."""
    payment = build_payment_instructions(public_url, order, bank, list_secrets(bank))
    return get_codec().encode(v1.CreateOrderResponse(order=order_to_proto(order), payment=payment))


def encode_created_bank(bank: Bank) -> bytes:
    """Encode the response to the creation of a bank, without its webhook secret."""
    return get_codec().encode(v1.CreateBankResponse(bank=bank_to_proto(bank), version=bank.version))


def build_payment_instructions(
    public_url: str, order: Order, bank: Bank, secrets: Sequence[str]
) -> v1.PaymentInstructions:
    """Return the URL of the bank's checkout page, with signed parameters, and the URL of its callback."""
    callback_url = f"{public_url}/api/v1/callbacks/payments/{bank.id}"
    parameters: dict[str, str | int] = {
        "order_id": order.id,
        "amount": order.total_amount,
        "currency": order.currency,
        "callback_url": callback_url,
    }
    parameters |= webhooks.sign_checkout(
        order.id, order.created_at, order.total_amount, order.currency, callback_url, secrets
    )
    webcheckout_url = base_url.add_query(bank.webcheckout_url, parameters)
    return v1.PaymentInstructions(webcheckout_url=webcheckout_url, callback_url=callback_url)
