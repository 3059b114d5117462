"""Use cases of orders, by module.

- bank_reconciliation: reconcile_banks
- banks: list_banks, list_registered_banks, create_bank, upsert_banks, get_bank, update_bank, rotate_bank_secret
- checkout: check_return_url, get_checkout
- deliverer_positions: report_deliverer_position
- order_tracking: watch_order
- orders: create_order, get_order, list_orders, list_available_deliveries, get_history, cancel_order, mark_order_ready,
  record_partner_notified, cancel_order_for_unreachable_partner, assign_order, complete_order, expire_orders,
  anonymise_customer, record_history
- payment_callbacks: handle_payment_callback, list_payments, record_payment
- reconciliation: alert_stuck_orders, warn_about_outbox_backlog
- reconciliation_run: reconcile, reconcile_documents
- refund_administration: list_refunds, retry_refund, settle_refund
- refunds: send_refund, record_refund_error

`event_factory` converts domain objects to events, and `event_ids` derives their ids. `ports` defines the interfaces
that the adapters implement.
"""

from services.orders.usecases.bank_reconciliation import reconcile_banks
from services.orders.usecases.banks import (
    create_bank,
    get_bank,
    list_banks,
    list_registered_banks,
    rotate_bank_secret,
    update_bank,
    upsert_banks,
)
from services.orders.usecases.checkout import check_return_url, get_checkout
from services.orders.usecases.deliverer_positions import report_deliverer_position
from services.orders.usecases.order_tracking import watch_order
from services.orders.usecases.orders import (
    OrderRequest,
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
from services.orders.usecases.payment_callbacks import (
    handle_payment_callback,
    list_payments,
    record_payment,
)
from services.orders.usecases.reconciliation import alert_stuck_orders, warn_about_outbox_backlog
from services.orders.usecases.reconciliation_run import reconcile, reconcile_documents
from services.orders.usecases.refund_administration import list_refunds, retry_refund, settle_refund
from services.orders.usecases.refunds import record_refund_error, send_refund

__all__ = [
    "OrderRequest",
    "alert_stuck_orders",
    "anonymise_customer",
    "assign_order",
    "cancel_order",
    "cancel_order_for_unreachable_partner",
    "check_return_url",
    "complete_order",
    "create_bank",
    "create_order",
    "expire_orders",
    "get_bank",
    "get_checkout",
    "get_history",
    "get_order",
    "handle_payment_callback",
    "list_available_deliveries",
    "list_banks",
    "list_orders",
    "list_payments",
    "list_refunds",
    "list_registered_banks",
    "mark_order_ready",
    "reconcile",
    "reconcile_banks",
    "reconcile_documents",
    "record_history",
    "record_partner_notified",
    "record_payment",
    "record_refund_error",
    "report_deliverer_position",
    "retry_refund",
    "rotate_bank_secret",
    "send_refund",
    "settle_refund",
    "update_bank",
    "upsert_banks",
    "warn_about_outbox_backlog",
    "watch_order",
]
