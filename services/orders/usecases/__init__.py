"""What orders can do, each as one function:

- orders: create_order, get_order, list_orders, list_available_deliveries, get_history, cancel_order, mark_order_ready,
  record_partner_notified, partner_unreachable, assign_order, complete_order, expire_orders, anonymise_customer, record_history
- watching: watch_order
- banks: list_banks, create_bank, get_bank, update_bank, rotate_bank_secret
- payments: pay_order (a bank's callback is verified, judged, recorded), list_payments, record_payment
- refunds: send_due_refunds (the bank is asked until it answers for good)
- reconcile: reconcile, alert_stuck_orders, warn_about_outbox_backlog (what all stores say of an order is compared, repaired, reported)
- ports: what they need of the world
"""

from services.orders.usecases.banks import create_bank, get_bank, list_banks, rotate_bank_secret, update_bank
from services.orders.usecases.orders import (
    anonymise_customer,
    assign_order,
    cancel_order,
    cancel_order_for_unreachable_partner,
    complete_order,
    create_order,
    expire_orders,
    get_history,
    get_order,
    list_available_deliveries,
    list_orders,
    mark_order_ready,
    record_history,
    record_partner_notified,
)
from services.orders.usecases.payment_callbacks import list_payments, pay_order, record_payment
from services.orders.usecases.reconcile import alert_stuck_orders, reconcile, warn_about_outbox_backlog
from services.orders.usecases.refunds import send_due_refunds
from services.orders.usecases.watch_order import watch_order

__all__ = [
    "alert_stuck_orders",
    "anonymise_customer",
    "assign_order",
    "cancel_order",
    "cancel_order_for_unreachable_partner",
    "complete_order",
    "create_bank",
    "create_order",
    "expire_orders",
    "get_bank",
    "get_history",
    "get_order",
    "list_available_deliveries",
    "list_banks",
    "list_orders",
    "list_payments",
    "mark_order_ready",
    "pay_order",
    "reconcile",
    "record_history",
    "record_partner_notified",
    "record_payment",
    "rotate_bank_secret",
    "send_due_refunds",
    "update_bank",
    "warn_about_outbox_backlog",
    "watch_order",
]
