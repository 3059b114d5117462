"""Written by `make generate` from api-specs. Do not edit."""

from msgspec import UNSET

from generated.proto.delivery.notifications import v1 as notifications_v1
from generated.proto.delivery.orders import v1 as orders_v1
from generated.proto.delivery.partners import v1 as partners_v1
from generated.rest.delivery import models
from services.runtime.rest.types import there

NOTIFICATION_STATUS = {
    notifications_v1.NotificationStatus.QUEUED: models.NotificationStatus.queued,
    notifications_v1.NotificationStatus.SENT: models.NotificationStatus.sent,
    notifications_v1.NotificationStatus.FAILED: models.NotificationStatus.failed,
    notifications_v1.NotificationStatus.EXPIRED: models.NotificationStatus.expired,
}

ORDER_STATUS = {
    orders_v1.OrderStatus.PENDING: models.OrderStatus.pending,
    orders_v1.OrderStatus.PAID: models.OrderStatus.paid,
    orders_v1.OrderStatus.READY: models.OrderStatus.ready,
    orders_v1.OrderStatus.DELIVERING: models.OrderStatus.delivering,
    orders_v1.OrderStatus.DELIVERED: models.OrderStatus.delivered,
    orders_v1.OrderStatus.CANCELLED: models.OrderStatus.cancelled,
    orders_v1.OrderStatus.EXPIRED: models.OrderStatus.expired,
}

PARTNER_CALL_KIND = {
    partners_v1.PartnerCallKind.ORDER: models.PartnerCallKind.order,
    partners_v1.PartnerCallKind.CANCELLATION: models.PartnerCallKind.cancellation,
}

PARTNER_CALL_STATUS = {
    partners_v1.PartnerCallStatus.WAITING: models.PartnerCallStatus.waiting,
    partners_v1.PartnerCallStatus.DELIVERED: models.PartnerCallStatus.delivered,
    partners_v1.PartnerCallStatus.FAILED: models.PartnerCallStatus.failed,
    partners_v1.PartnerCallStatus.WITHDRAWN: models.PartnerCallStatus.withdrawn,
}

PAYMENT_OUTCOME = {
    orders_v1.PaymentOutcome.PAID: models.PaymentOutcome.paid,
    orders_v1.PaymentOutcome.OVERPAID: models.PaymentOutcome.overpaid,
    orders_v1.PaymentOutcome.INSUFFICIENT: models.PaymentOutcome.insufficient,
    orders_v1.PaymentOutcome.FAILED: models.PaymentOutcome.failed,
    orders_v1.PaymentOutcome.CONFLICT: models.PaymentOutcome.conflict,
    orders_v1.PaymentOutcome.UNKNOWN_ORDER: models.PaymentOutcome.unknown_order,
}

PROVIDER = {
    notifications_v1.Provider.FCM: models.Provider.fcm,
    notifications_v1.Provider.APNS: models.Provider.apns,
    notifications_v1.Provider.EMAIL: models.Provider.email,
}

REFUND_STATUS = {
    orders_v1.RefundStatus.NONE: models.RefundStatus.none,
    orders_v1.RefundStatus.REQUESTED: models.RefundStatus.requested,
    orders_v1.RefundStatus.REFUNDED: models.RefundStatus.refunded,
    orders_v1.RefundStatus.FAILED: models.RefundStatus.failed,
}


def catalog_page(message: partners_v1.ListCatalogResponse) -> models.CatalogPage:
    """delivery.partners.v1.ListCatalogResponse → CatalogPage."""
    return models.CatalogPage(
        items=[catalog_partner(item) for item in message.items],
        next_page_token=UNSET if message.next_page_token is None else message.next_page_token,
    )


def catalog_partner(message: partners_v1.CatalogPartner) -> models.CatalogPartner:
    """delivery.partners.v1.CatalogPartner → CatalogPartner."""
    return models.CatalogPartner(
        id=message.id,
        title=message.title,
        brand=message.brand,
        address=message.address,
        products=[catalog_product(item) for item in message.products],
        products_truncated=message.products_truncated,
    )


def catalog_product(message: partners_v1.CatalogProduct) -> models.CatalogProduct:
    """delivery.partners.v1.CatalogProduct → CatalogProduct."""
    return models.CatalogProduct(
        id=message.id,
        title=message.title,
        description=message.description,
        picture_url=UNSET if message.picture_url is None else message.picture_url,
        price=message.price,
        currency=message.currency,
    )


def product(message: partners_v1.Product) -> models.Product:
    """delivery.partners.v1.Product → Product."""
    return models.Product(
        id=message.id,
        title=message.title,
        description=message.description,
        picture_url=UNSET if message.picture_url is None else message.picture_url,
    )


def catalog_product_page(message: partners_v1.ListPartnerProductsResponse) -> models.CatalogProductPage:
    """delivery.partners.v1.ListPartnerProductsResponse → CatalogProductPage."""
    return models.CatalogProductPage(
        items=[catalog_product(item) for item in message.items],
        next_page_token=UNSET if message.next_page_token is None else message.next_page_token,
    )


def product_page(message: partners_v1.ListProductsResponse) -> models.ProductPage:
    """delivery.partners.v1.ListProductsResponse → ProductPage."""
    return models.ProductPage(
        items=[product(item) for item in message.items],
        next_page_token=UNSET if message.next_page_token is None else message.next_page_token,
    )


def partner(message: partners_v1.Partner) -> models.Partner:
    """delivery.partners.v1.Partner → Partner."""
    return models.Partner(
        id=message.id,
        title=message.title,
        brand=message.brand,
        phone=message.phone,
        email=message.email,
        address=message.address,
        api_url=message.api_url,
        verified=message.verified,
        enabled=message.enabled,
    )


def partner_page(message: partners_v1.ListPartnersResponse) -> models.PartnerPage:
    """delivery.partners.v1.ListPartnersResponse → PartnerPage."""
    return models.PartnerPage(
        items=[partner(item) for item in message.items],
        next_page_token=UNSET if message.next_page_token is None else message.next_page_token,
    )


def availability(message: partners_v1.Availability) -> models.Availability:
    """delivery.partners.v1.Availability → Availability."""
    return models.Availability(
        price=message.price,
        currency=message.currency,
        active=message.active,
    )


def partner_call_page(message: partners_v1.ListPartnerCallsResponse) -> models.PartnerCallPage:
    """delivery.partners.v1.ListPartnerCallsResponse → PartnerCallPage."""
    return models.PartnerCallPage(
        items=[partner_call(item) for item in message.items],
        next_page_token=UNSET if message.next_page_token is None else message.next_page_token,
    )


def partner_call(message: partners_v1.PartnerCall) -> models.PartnerCall:
    """delivery.partners.v1.PartnerCall → PartnerCall."""
    return models.PartnerCall(
        id=message.id,
        partner_id=message.partner_id,
        order_id=message.order_id,
        kind=PARTNER_CALL_KIND[message.kind],
        status=PARTNER_CALL_STATUS[message.status],
        attempts=message.attempts,
        body=message.body,
        tries=[partner_call_try(item) for item in message.tries],
        next_at=UNSET if message.next_at is None else message.next_at,
        created_at=there(message.created_at),
    )


def partner_call_try(message: partners_v1.PartnerCallTry) -> models.PartnerCallTry:
    """delivery.partners.v1.PartnerCallTry → PartnerCallTry."""
    return models.PartnerCallTry(
        at=there(message.at),
        answer=message.answer,
        took_ms=message.took_ms,
    )


def bank_page(message: orders_v1.ListBanksResponse) -> models.BankPage:
    """delivery.orders.v1.ListBanksResponse → BankPage."""
    return models.BankPage(
        items=[bank_summary(item) for item in message.items],
        next_page_token=UNSET if message.next_page_token is None else message.next_page_token,
    )


def bank_summary(message: orders_v1.BankSummary) -> models.BankSummary:
    """delivery.orders.v1.BankSummary → BankSummary."""
    return models.BankSummary(
        id=message.id,
        title=message.title,
    )


def bank(message: orders_v1.Bank) -> models.Bank:
    """delivery.orders.v1.Bank → Bank."""
    return models.Bank(
        id=message.id,
        title=message.title,
        webcheckout_url=message.webcheckout_url,
        api_url=message.api_url,
        active=message.active,
    )


def payment_page(message: orders_v1.ListPaymentsResponse) -> models.PaymentPage:
    """delivery.orders.v1.ListPaymentsResponse → PaymentPage."""
    return models.PaymentPage(
        items=[payment(item) for item in message.items],
        next_page_token=UNSET if message.next_page_token is None else message.next_page_token,
    )


def payment(message: orders_v1.Payment) -> models.Payment:
    """delivery.orders.v1.Payment → Payment."""
    return models.Payment(
        bank_id=message.bank_id,
        payment_id=message.payment_id,
        order_id=message.order_id,
        amount=message.amount,
        currency=message.currency,
        outcome=PAYMENT_OUTCOME[message.outcome],
        refund_amount=message.refund_amount,
        at=there(message.at),
    )


def basket_item(message: partners_v1.BasketItem) -> models.BasketItem:
    """delivery.partners.v1.BasketItem → BasketItem."""
    return models.BasketItem(
        product_id=message.product_id,
        quantity=message.quantity,
    )


def to_basket_item(model: models.BasketItem) -> partners_v1.BasketItem:
    """BasketItem → delivery.partners.v1.BasketItem."""
    return partners_v1.BasketItem(
        product_id=model.product_id,
        quantity=model.quantity,
    )


def partner_summary(message: partners_v1.PartnerSummary) -> models.PartnerSummary:
    """delivery.partners.v1.PartnerSummary → PartnerSummary."""
    return models.PartnerSummary(
        id=message.id,
        title=message.title,
        brand=message.brand,
    )


def priced_item(message: partners_v1.PricedItem) -> models.PricedItem:
    """delivery.partners.v1.PricedItem → PricedItem."""
    return models.PricedItem(
        product_id=message.product_id,
        title=message.title,
        quantity=message.quantity,
        price=message.price,
    )


def payment_instructions(message: orders_v1.PaymentInstructions) -> models.PaymentInstructions:
    """delivery.orders.v1.PaymentInstructions → PaymentInstructions."""
    return models.PaymentInstructions(
        webcheckout_url=message.webcheckout_url,
        callback_url=message.callback_url,
    )


def order(message: orders_v1.Order) -> models.Order:
    """delivery.orders.v1.Order → Order."""
    return models.Order(
        id=message.id,
        status=ORDER_STATUS[message.status],
        customer_id=message.customer_id,
        customer_name=UNSET if message.customer_name is None else message.customer_name,
        customer_phone=UNSET if message.customer_phone is None else message.customer_phone,
        partner=order_partner(there(message.partner)),
        items=[order_item(item) for item in message.items],
        total_amount=message.total_amount,
        currency=message.currency,
        paid_amount=message.paid_amount,
        refunded_amount=message.refunded_amount,
        refund_status=REFUND_STATUS[message.refund_status],
        bank_id=message.bank_id,
        payment_id=UNSET if message.payment_id is None else message.payment_id,
        delivery_address=message.delivery_address,
        pickup_address=UNSET if message.pickup_address is None else message.pickup_address,
        deliverer_id=UNSET if message.deliverer_id is None else message.deliverer_id,
        cancel_reason=UNSET if message.cancel_reason is None else message.cancel_reason,
        version=message.version,
        created_at=there(message.created_at),
        updated_at=there(message.updated_at),
    )


def order_partner(message: orders_v1.OrderPartner) -> models.OrderPartner:
    """delivery.orders.v1.OrderPartner → OrderPartner."""
    return models.OrderPartner(
        id=message.id,
        title=message.title,
        brand=message.brand,
    )


def order_item(message: orders_v1.OrderItem) -> models.OrderItem:
    """delivery.orders.v1.OrderItem → OrderItem."""
    return models.OrderItem(
        product_id=message.product_id,
        title=message.title,
        quantity=message.quantity,
        price=message.price,
    )


def order_page(message: orders_v1.ListOrdersResponse) -> models.OrderPage:
    """delivery.orders.v1.ListOrdersResponse → OrderPage."""
    return models.OrderPage(
        items=[order(item) for item in message.items],
        next_page_token=UNSET if message.next_page_token is None else message.next_page_token,
    )


def delivery_page(message: orders_v1.ListAvailableDeliveriesResponse) -> models.DeliveryPage:
    """delivery.orders.v1.ListAvailableDeliveriesResponse → DeliveryPage."""
    return models.DeliveryPage(
        items=[order(item) for item in message.items],
        next_page_token=UNSET if message.next_page_token is None else message.next_page_token,
    )


def history_page(message: orders_v1.GetOrderHistoryResponse) -> models.HistoryPage:
    """delivery.orders.v1.GetOrderHistoryResponse → HistoryPage."""
    return models.HistoryPage(
        items=[history_entry(item) for item in message.items],
        next_page_token=UNSET if message.next_page_token is None else message.next_page_token,
    )


def history_entry(message: orders_v1.HistoryEntry) -> models.HistoryEntry:
    """delivery.orders.v1.HistoryEntry → HistoryEntry."""
    return models.HistoryEntry(
        status=ORDER_STATUS[message.status],
        at=there(message.at),
        actor=message.actor,
        note=UNSET if message.note is None else message.note,
    )


def notification_page(message: notifications_v1.ListMyNotificationsResponse) -> models.NotificationPage:
    """delivery.notifications.v1.ListMyNotificationsResponse → NotificationPage."""
    return models.NotificationPage(
        items=[notification(item) for item in message.items],
        next_page_token=UNSET if message.next_page_token is None else message.next_page_token,
    )


def notification(message: notifications_v1.Notification) -> models.Notification:
    """delivery.notifications.v1.Notification → Notification."""
    return models.Notification(
        id=message.id,
        event=message.event,
        order_id=UNSET if message.order_id is None else message.order_id,
        agent_id=message.agent_id,
        title=message.title,
        body=message.body,
        status=NOTIFICATION_STATUS[message.status],
        attempts=[notification_attempt(item) for item in message.attempts],
        created_at=there(message.created_at),
        sent_at=UNSET if message.sent_at is None else message.sent_at,
        user_id=message.user_id,
        reason=UNSET if message.reason is None else message.reason,
    )


def notification_attempt(message: notifications_v1.Attempt) -> models.NotificationAttempt:
    """delivery.notifications.v1.Attempt → NotificationAttempt."""
    return models.NotificationAttempt(
        provider=PROVIDER[message.provider],
        at=there(message.at),
        outcome=message.outcome,
    )


def notification_record_page(message: notifications_v1.ListNotificationsResponse) -> models.NotificationRecordPage:
    """delivery.notifications.v1.ListNotificationsResponse → NotificationRecordPage."""
    return models.NotificationRecordPage(
        items=[notification(item) for item in message.items],
        next_page_token=UNSET if message.next_page_token is None else message.next_page_token,
    )


def agent(message: notifications_v1.Agent) -> models.Agent:
    """delivery.notifications.v1.Agent → Agent."""
    return models.Agent(
        id=message.id,
        name=message.name,
        priority=message.priority,
        providers=[PROVIDER[item] for item in message.providers],
        preferences=preferences(there(message.preferences)),
        enabled=message.enabled,
    )


def preferences(message: notifications_v1.Preferences) -> models.Preferences:
    """delivery.notifications.v1.Preferences → Preferences."""
    return models.Preferences(
        quiet_hours=UNSET if message.quiet_hours is None else quiet_hours(message.quiet_hours),
        ttl_s=message.ttl_s,
        collapse=UNSET if message.collapse is None else message.collapse,
    )


def quiet_hours(message: notifications_v1.QuietHours) -> models.QuietHours:
    """delivery.notifications.v1.QuietHours → QuietHours."""
    return models.QuietHours(
        start=message.start,
        end=message.end,
    )


def to_quiet_hours(model: models.QuietHours) -> notifications_v1.QuietHours:
    """QuietHours → delivery.notifications.v1.QuietHours."""
    return notifications_v1.QuietHours(
        start=model.start,
        end=model.end,
    )


def agent_page(message: notifications_v1.ListAgentsResponse) -> models.AgentPage:
    """delivery.notifications.v1.ListAgentsResponse → AgentPage."""
    return models.AgentPage(
        items=[agent(item) for item in message.items],
        next_page_token=UNSET if message.next_page_token is None else message.next_page_token,
    )


def payment_receipt(message: orders_v1.PayOrderResponse) -> models.PaymentReceipt:
    """delivery.orders.v1.PayOrderResponse → PaymentReceipt."""
    return models.PaymentReceipt(
        payment_id=message.payment_id,
    )
