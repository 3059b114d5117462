"""Written by `make generate` from api-specs. Do not edit."""

from msgspec import UNSET

from generated.rest.delivery import convert, models
from services.runtime.rpc.codec import Wire, parse_timestamp, require_field


def catalog_page(message: Wire) -> models.CatalogPage:
    """delivery.partners.v1.ListCatalogResponse → CatalogPage."""
    return models.CatalogPage(
        items=[catalog_partner(item) for item in message.items],
        next_page_token=UNSET if not message.HasField("next_page_token") else message.next_page_token,
    )


def catalog_partner(message: Wire) -> models.CatalogPartner:
    """delivery.partners.v1.CatalogPartner → CatalogPartner."""
    return models.CatalogPartner(
        id=message.id,
        title=message.title,
        brand=message.brand,
        address=message.address,
        picture_url=message.picture_url or UNSET,
        products=[catalog_product(item) for item in message.products],
        products_truncated=message.products_truncated,
        is_open=UNSET if not message.HasField("is_open") else message.is_open,
        opens_at=UNSET if not message.HasField("opens_at") else parse_timestamp(message.opens_at),
        opening_hours=UNSET if not message.HasField("opening_hours") else opening_hours(message.opening_hours),
        delivery_fee=UNSET if not message.HasField("delivery_fee") else message.delivery_fee,
        delivery_fee_currency=message.delivery_fee_currency or UNSET,
    )


def catalog_product(message: Wire) -> models.CatalogProduct:
    """delivery.partners.v1.CatalogProduct → CatalogProduct."""
    return models.CatalogProduct(
        id=message.id,
        title=message.title,
        description=message.description,
        picture_url=message.picture_url or UNSET,
        price=message.price,
        currency=message.currency,
        category=message.category or UNSET,
    )


def product(message: Wire) -> models.Product:
    """delivery.partners.v1.Product → Product."""
    return models.Product(
        id=message.id,
        title=message.title,
        description=message.description,
        picture_url=message.picture_url or UNSET,
        category=message.category or UNSET,
    )


def catalog_product_page(message: Wire) -> models.CatalogProductPage:
    """delivery.partners.v1.ListPartnerProductsResponse → CatalogProductPage."""
    return models.CatalogProductPage(
        items=[catalog_product(item) for item in message.items],
        next_page_token=UNSET if not message.HasField("next_page_token") else message.next_page_token,
    )


def product_page(message: Wire) -> models.ProductPage:
    """delivery.partners.v1.ListProductsResponse → ProductPage."""
    return models.ProductPage(
        items=[product(item) for item in message.items],
        next_page_token=UNSET if not message.HasField("next_page_token") else message.next_page_token,
    )


def partner(message: Wire) -> models.Partner:
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
        picture_url=message.picture_url or UNSET,
        opening_hours=UNSET if not message.HasField("opening_hours") else opening_hours(message.opening_hours),
        delivery_fee=UNSET if not message.HasField("delivery_fee") else message.delivery_fee,
        delivery_fee_currency=message.delivery_fee_currency or UNSET,
    )


def partner_page(message: Wire) -> models.PartnerPage:
    """delivery.partners.v1.ListPartnersResponse → PartnerPage."""
    return models.PartnerPage(
        items=[partner(item) for item in message.items],
        next_page_token=UNSET if not message.HasField("next_page_token") else message.next_page_token,
    )


def opening_period(message: Wire) -> models.OpeningPeriod:
    """delivery.partners.v1.OpeningPeriod → OpeningPeriod."""
    return models.OpeningPeriod(
        day=convert.WEEKDAY[message.day],
        opens=message.opens,
        closes=message.closes,
    )


def opening_hours(message: Wire) -> models.OpeningHours:
    """delivery.partners.v1.OpeningHours → OpeningHours."""
    return models.OpeningHours(
        time_zone=message.time_zone,
        periods=[opening_period(item) for item in message.periods],
    )


def partner_call_page(message: Wire) -> models.PartnerCallPage:
    """delivery.partners.v1.ListPartnerCallsResponse → PartnerCallPage."""
    return models.PartnerCallPage(
        items=[partner_call(item) for item in message.items],
        next_page_token=UNSET if not message.HasField("next_page_token") else message.next_page_token,
    )


def partner_call(message: Wire) -> models.PartnerCall:
    """delivery.partners.v1.PartnerCall → PartnerCall."""
    return models.PartnerCall(
        id=message.id,
        partner_id=message.partner_id,
        order_id=message.order_id,
        kind=convert.PARTNER_CALL_KIND[message.kind],
        status=convert.PARTNER_CALL_STATUS[message.status],
        attempts=message.attempts,
        body=message.body,
        tries=[partner_call_try(item) for item in message.tries],
        next_at=UNSET if not message.HasField("next_at") else parse_timestamp(message.next_at),
        created_at=parse_timestamp(require_field(message, "created_at")),
    )


def partner_call_try(message: Wire) -> models.PartnerCallTry:
    """delivery.partners.v1.PartnerCallTry → PartnerCallTry."""
    return models.PartnerCallTry(
        at=parse_timestamp(require_field(message, "at")),
        answer=message.answer,
        took_ms=message.took_ms,
    )


def bank_page(message: Wire) -> models.BankPage:
    """delivery.orders.v1.ListBanksResponse → BankPage."""
    return models.BankPage(
        items=[bank_summary(item) for item in message.items],
        next_page_token=UNSET if not message.HasField("next_page_token") else message.next_page_token,
    )


def registered_bank_page(message: Wire) -> models.RegisteredBankPage:
    """delivery.orders.v1.ListRegisteredBanksResponse → RegisteredBankPage."""
    return models.RegisteredBankPage(
        items=[bank(item) for item in message.items],
        next_page_token=UNSET if not message.HasField("next_page_token") else message.next_page_token,
    )


def bank_summary(message: Wire) -> models.BankSummary:
    """delivery.orders.v1.BankSummary → BankSummary."""
    return models.BankSummary(
        id=message.id,
        title=message.title,
    )


def bank(message: Wire) -> models.Bank:
    """delivery.orders.v1.Bank → Bank."""
    return models.Bank(
        id=message.id,
        title=message.title,
        webcheckout_url=message.webcheckout_url,
        api_url=message.api_url,
        active=message.active,
    )


def payment_page(message: Wire) -> models.PaymentPage:
    """delivery.orders.v1.ListPaymentsResponse → PaymentPage."""
    return models.PaymentPage(
        items=[payment(item) for item in message.items],
        next_page_token=UNSET if not message.HasField("next_page_token") else message.next_page_token,
    )


def payment(message: Wire) -> models.Payment:
    """delivery.orders.v1.Payment → Payment."""
    return models.Payment(
        bank_id=message.bank_id,
        payment_id=message.payment_id,
        order_id=message.order_id,
        amount=message.amount,
        currency=message.currency,
        outcome=convert.PAYMENT_OUTCOME[message.outcome],
        refund_amount=message.refund_amount,
        at=parse_timestamp(require_field(message, "at")),
    )


def refund_action(message: Wire) -> models.RefundAction:
    """delivery.orders.v1.RefundAction → RefundAction."""
    return models.RefundAction(
        kind=convert.REFUND_ACTION_KIND[message.kind],
        actor=message.actor,
        note=UNSET if not message.HasField("note") else message.note,
        at=parse_timestamp(require_field(message, "at")),
    )


def refund(message: Wire) -> models.Refund:
    """delivery.orders.v1.Refund → Refund."""
    return models.Refund(
        id=message.id,
        bank_id=message.bank_id,
        payment_id=message.payment_id,
        order_id=message.order_id,
        amount=message.amount,
        currency=message.currency,
        status=convert.REFUND_STATUS[message.status],
        attempts=message.attempts,
        last_response=UNSET if not message.HasField("last_response") else message.last_response,
        next_attempt_at=UNSET if not message.HasField("next_attempt_at") else parse_timestamp(message.next_attempt_at),
        created_at=parse_timestamp(require_field(message, "created_at")),
        actions=[refund_action(item) for item in message.actions],
    )


def refund_page(message: Wire) -> models.RefundPage:
    """delivery.orders.v1.ListRefundsResponse → RefundPage."""
    return models.RefundPage(
        items=[refund(item) for item in message.items],
        next_page_token=UNSET if not message.HasField("next_page_token") else message.next_page_token,
    )


def coordinates(message: Wire) -> models.Coordinates:
    """delivery.orders.v1.Coordinates → Coordinates."""
    return models.Coordinates(
        latitude=message.latitude,
        longitude=message.longitude,
    )


def address(message: Wire) -> models.Address:
    """delivery.orders.v1.Address → Address."""
    return models.Address(
        street=message.street,
        unit=UNSET if not message.HasField("unit") else message.unit,
        postal_code=UNSET if not message.HasField("postal_code") else message.postal_code,
        city=message.city,
        region=UNSET if not message.HasField("region") else message.region,
        country=message.country,
        coordinates=UNSET if not message.HasField("coordinates") else coordinates(message.coordinates),
    )


def order(message: Wire) -> models.Order:
    """delivery.orders.v1.Order → Order."""
    return models.Order(
        id=message.id,
        status=convert.ORDER_STATUS[message.status],
        customer_id=message.customer_id,
        customer_name=UNSET if not message.HasField("customer_name") else message.customer_name,
        customer_phone=UNSET if not message.HasField("customer_phone") else message.customer_phone,
        partner=order_partner(require_field(message, "partner")),
        items=[order_item(item) for item in message.items],
        total_amount=message.total_amount,
        tip_amount=message.tip_amount,
        delivery_fee=message.delivery_fee,
        currency=message.currency,
        paid_amount=message.paid_amount,
        refunded_amount=message.refunded_amount,
        refund_status=convert.REFUND_STATUS[message.refund_status],
        bank_id=message.bank_id,
        payment_id=UNSET if not message.HasField("payment_id") else message.payment_id,
        delivery_address=message.delivery_address,
        address=UNSET if not message.HasField("address") else address(message.address),
        note=UNSET if not message.HasField("note") else message.note,
        pickup_address=UNSET if not message.HasField("pickup_address") else message.pickup_address,
        deliverer_id=UNSET if not message.HasField("deliverer_id") else message.deliverer_id,
        cancel_reason=UNSET if not message.HasField("cancel_reason") else message.cancel_reason,
        version=message.version,
        created_at=parse_timestamp(require_field(message, "created_at")),
        updated_at=parse_timestamp(require_field(message, "updated_at")),
    )


def order_partner(message: Wire) -> models.OrderPartner:
    """delivery.orders.v1.OrderPartner → OrderPartner."""
    return models.OrderPartner(
        id=message.id,
        title=message.title,
        brand=message.brand,
    )


def order_item(message: Wire) -> models.OrderItem:
    """delivery.orders.v1.OrderItem → OrderItem."""
    return models.OrderItem(
        product_id=message.product_id,
        title=message.title,
        quantity=message.quantity,
        price=message.price,
    )


def order_page(message: Wire) -> models.OrderPage:
    """delivery.orders.v1.ListOrdersResponse → OrderPage."""
    return models.OrderPage(
        items=[order(item) for item in message.items],
        next_page_token=UNSET if not message.HasField("next_page_token") else message.next_page_token,
    )


def delivery_page(message: Wire) -> models.DeliveryPage:
    """delivery.orders.v1.ListAvailableDeliveriesResponse → DeliveryPage."""
    return models.DeliveryPage(
        items=[order(item) for item in message.items],
        next_page_token=UNSET if not message.HasField("next_page_token") else message.next_page_token,
    )


def history_page(message: Wire) -> models.HistoryPage:
    """delivery.orders.v1.GetOrderHistoryResponse → HistoryPage."""
    return models.HistoryPage(
        items=[history_entry(item) for item in message.items],
        next_page_token=UNSET if not message.HasField("next_page_token") else message.next_page_token,
    )


def history_entry(message: Wire) -> models.HistoryEntry:
    """delivery.orders.v1.HistoryEntry → HistoryEntry."""
    return models.HistoryEntry(
        status=convert.ORDER_STATUS[message.status],
        at=parse_timestamp(require_field(message, "at")),
        actor=message.actor,
        note=UNSET if not message.HasField("note") else message.note,
    )


def device(message: Wire) -> models.Device:
    """delivery.notifications.v1.Device → Device."""
    return models.Device(
        id=message.id,
        provider=convert.PROVIDER[message.provider],
        name=UNSET if not message.HasField("name") else message.name,
        registered_at=parse_timestamp(require_field(message, "registered_at")),
    )


def device_list(message: Wire) -> models.DeviceList:
    """delivery.notifications.v1.ListDevicesResponse → DeviceList."""
    return models.DeviceList(
        items=[device(item) for item in message.items],
    )


def notification_page(message: Wire) -> models.NotificationPage:
    """delivery.notifications.v1.ListMyNotificationsResponse → NotificationPage."""
    return models.NotificationPage(
        items=[notification(item) for item in message.items],
        next_page_token=UNSET if not message.HasField("next_page_token") else message.next_page_token,
    )


def notification(message: Wire) -> models.Notification:
    """delivery.notifications.v1.Notification → Notification."""
    return models.Notification(
        id=message.id,
        event=message.event,
        order_id=message.order_id or UNSET,
        agent_id=message.agent_id,
        title=message.title,
        body=message.body,
        status=convert.NOTIFICATION_STATUS[message.status],
        attempts=[notification_attempt(item) for item in message.attempts],
        created_at=parse_timestamp(require_field(message, "created_at")),
        sent_at=UNSET if not message.HasField("sent_at") else parse_timestamp(message.sent_at),
        user_id=message.user_id,
        reason=UNSET if not message.HasField("reason") else message.reason,
    )


def notification_attempt(message: Wire) -> models.NotificationAttempt:
    """delivery.notifications.v1.Attempt → NotificationAttempt."""
    return models.NotificationAttempt(
        provider=convert.PROVIDER[message.provider],
        at=parse_timestamp(require_field(message, "at")),
        outcome=message.outcome,
    )


def notification_record_page(message: Wire) -> models.NotificationRecordPage:
    """delivery.notifications.v1.ListNotificationsResponse → NotificationRecordPage."""
    return models.NotificationRecordPage(
        items=[notification(item) for item in message.items],
        next_page_token=UNSET if not message.HasField("next_page_token") else message.next_page_token,
    )


def agent(message: Wire) -> models.Agent:
    """delivery.notifications.v1.Agent → Agent."""
    return models.Agent(
        id=message.id,
        name=message.name,
        priority=message.priority,
        providers=[convert.PROVIDER[item] for item in message.providers],
        preferences=preferences(require_field(message, "preferences")),
        enabled=message.enabled,
    )


def preferences(message: Wire) -> models.Preferences:
    """delivery.notifications.v1.Preferences → Preferences."""
    return models.Preferences(
        quiet_hours=UNSET if not message.HasField("quiet_hours") else quiet_hours(message.quiet_hours),
        ttl_s=message.ttl_s,
        collapse=UNSET if not message.HasField("collapse") else message.collapse,
    )


def quiet_hours(message: Wire) -> models.QuietHours:
    """delivery.notifications.v1.QuietHours → QuietHours."""
    return models.QuietHours(
        start=message.start,
        end=message.end,
    )


def agent_page(message: Wire) -> models.AgentPage:
    """delivery.notifications.v1.ListAgentsResponse → AgentPage."""
    return models.AgentPage(
        items=[agent(item) for item in message.items],
        next_page_token=UNSET if not message.HasField("next_page_token") else message.next_page_token,
    )
