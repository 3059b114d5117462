"""What orders can do, each as one function:

- orders: create_order, get_order, list_orders, list_available_deliveries, get_history, cancel_order, report_ready,
  assign_order, complete_order, expire_orders, forget_customer, record_history
- payments: pay_order (a bank's callback is verified, judged, recorded), record_payment
- refunds: send_refunds (the bank is asked until it answers for good)
- ports: what they need of the world
"""

from services.orders.usecases.orders import (
    assign_order,
    cancel_order,
    complete_order,
    create_order,
    expire_orders,
    forget_customer,
    get_history,
    get_order,
    list_available_deliveries,
    list_banks,
    list_orders,
    record_history,
    report_ready,
)
from services.orders.usecases.payments import pay_order, record_payment
from services.orders.usecases.refunds import send_refunds

__all__ = [
    "assign_order",
    "cancel_order",
    "complete_order",
    "create_order",
    "expire_orders",
    "forget_customer",
    "get_history",
    "get_order",
    "list_available_deliveries",
    "list_banks",
    "list_orders",
    "pay_order",
    "record_history",
    "record_payment",
    "report_ready",
    "send_refunds",
]
