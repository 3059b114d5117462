"""What orders can do, each as one function:

- orders: create_order, get_order, list_orders, list_available_deliveries, get_history, cancel_order, report_ready,
  partner_told, partner_unreachable, assign_order, complete_order, expire_orders, forget_customer, record_history
- watching: watch_order
- banks: list_banks, create_bank, get_bank, update_bank, rotate_bank_secret
- payments: pay_order (a bank's callback is verified, judged, recorded), list_payments, record_payment
- refunds: send_refunds (the bank is asked until it answers for good)
- reconcile: reconcile, alert_stuck, warn_of_waiting (what all stores say of an order is compared, mended, reported)
- ports: what they need of the world
"""

from services.orders.usecases.banks import create_bank, get_bank, list_banks, rotate_bank_secret, update_bank
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
    list_orders,
    partner_told,
    partner_unreachable,
    record_history,
    report_ready,
)
from services.orders.usecases.payments import list_payments, pay_order, record_payment
from services.orders.usecases.reconcile import alert_stuck, reconcile, warn_of_waiting
from services.orders.usecases.refunds import send_refunds
from services.orders.usecases.watching import watch_order

__all__ = [
    "alert_stuck",
    "assign_order",
    "cancel_order",
    "complete_order",
    "create_bank",
    "create_order",
    "expire_orders",
    "forget_customer",
    "get_bank",
    "get_history",
    "get_order",
    "list_available_deliveries",
    "list_banks",
    "list_orders",
    "list_payments",
    "partner_told",
    "partner_unreachable",
    "pay_order",
    "reconcile",
    "record_history",
    "record_payment",
    "report_ready",
    "rotate_bank_secret",
    "send_refunds",
    "update_bank",
    "warn_of_waiting",
    "watch_order",
]
