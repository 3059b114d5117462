"""Ids of the events of orders."""

from uuid import UUID, uuid5

from generated.events import OrdersEvent
from generated.proto.delivery.events.v1 import PaymentRecorded, Refunded, RefundFailed, RefundRequested, SystemAlert

_EVENT_ID_NAMESPACE = UUID("6c3f2a51-9a0b-4d0e-8f57-6f2b1c7d9e40")


def derive_event_id(event: OrdersEvent) -> str | None:
    """Derive the event's id from its content, so that consumers deduplicate a republished event.

    None for events that are never republished.
    """
    match event:
        case RefundRequested() | Refunded() | RefundFailed():
            key = event.refund_id
        case PaymentRecorded() | SystemAlert():
            return None
        case _:
            if event.order is None:
                return None
            key = f"{event.order.order_id}:{event.order.version}"
    return str(uuid5(_EVENT_ID_NAMESPACE, f"{type(event).__name__}:{key}"))
