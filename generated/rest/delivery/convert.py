"""Written by `make generate` from api-specs. Do not edit."""

from msgspec import UNSET

from generated.proto.delivery.notifications import v1 as notifications_v1
from generated.proto.delivery.orders import v1 as orders_v1
from generated.proto.delivery.partners import v1 as partners_v1
from generated.rest.delivery import models
from services.runtime.rest.types import require

NOTIFICATION_STATUS = {
    notifications_v1.NotificationStatus.QUEUED: models.NotificationStatus("queued"),
    notifications_v1.NotificationStatus.SENT: models.NotificationStatus("sent"),
    notifications_v1.NotificationStatus.FAILED: models.NotificationStatus("failed"),
    notifications_v1.NotificationStatus.EXPIRED: models.NotificationStatus("expired"),
}

ORDER_STATUS = {
    orders_v1.OrderStatus.PENDING: models.OrderStatus("pending"),
    orders_v1.OrderStatus.PAID: models.OrderStatus("paid"),
    orders_v1.OrderStatus.READY: models.OrderStatus("ready"),
    orders_v1.OrderStatus.DELIVERING: models.OrderStatus("delivering"),
    orders_v1.OrderStatus.DELIVERED: models.OrderStatus("delivered"),
    orders_v1.OrderStatus.CANCELLED: models.OrderStatus("cancelled"),
    orders_v1.OrderStatus.EXPIRED: models.OrderStatus("expired"),
}

PARTNER_CALL_KIND = {
    partners_v1.PartnerCallKind.ORDER: models.PartnerCallKind("order"),
    partners_v1.PartnerCallKind.CANCELLATION: models.PartnerCallKind("cancellation"),
}

PARTNER_CALL_STATUS = {
    partners_v1.PartnerCallStatus.WAITING: models.PartnerCallStatus("waiting"),
    partners_v1.PartnerCallStatus.DELIVERED: models.PartnerCallStatus("delivered"),
    partners_v1.PartnerCallStatus.FAILED: models.PartnerCallStatus("failed"),
    partners_v1.PartnerCallStatus.WITHDRAWN: models.PartnerCallStatus("withdrawn"),
}

PAYMENT_OUTCOME = {
    orders_v1.PaymentOutcome.PAID: models.PaymentOutcome("paid"),
    orders_v1.PaymentOutcome.OVERPAID: models.PaymentOutcome("overpaid"),
    orders_v1.PaymentOutcome.INSUFFICIENT: models.PaymentOutcome("insufficient"),
    orders_v1.PaymentOutcome.FAILED: models.PaymentOutcome("failed"),
    orders_v1.PaymentOutcome.CONFLICT: models.PaymentOutcome("conflict"),
    orders_v1.PaymentOutcome.UNKNOWN_ORDER: models.PaymentOutcome("unknown_order"),
    orders_v1.PaymentOutcome.DUPLICATE_ID: models.PaymentOutcome("duplicate_id"),
}

PROVIDER = {
    notifications_v1.Provider.FCM: models.Provider("fcm"),
    notifications_v1.Provider.APNS: models.Provider("apns"),
    notifications_v1.Provider.EMAIL: models.Provider("email"),
}

REFUND_ACTION_KIND = {
    orders_v1.RefundActionKind.RETRIED: models.RefundActionKind("retried"),
    orders_v1.RefundActionKind.SETTLED: models.RefundActionKind("settled"),
}

REFUND_STATUS = {
    orders_v1.RefundStatus.NONE: models.RefundStatus("none"),
    orders_v1.RefundStatus.REQUESTED: models.RefundStatus("requested"),
    orders_v1.RefundStatus.REFUNDED: models.RefundStatus("refunded"),
    orders_v1.RefundStatus.FAILED: models.RefundStatus("failed"),
}

WEEKDAY = {
    partners_v1.Weekday.MONDAY: models.Weekday("monday"),
    partners_v1.Weekday.TUESDAY: models.Weekday("tuesday"),
    partners_v1.Weekday.WEDNESDAY: models.Weekday("wednesday"),
    partners_v1.Weekday.THURSDAY: models.Weekday("thursday"),
    partners_v1.Weekday.FRIDAY: models.Weekday("friday"),
    partners_v1.Weekday.SATURDAY: models.Weekday("saturday"),
    partners_v1.Weekday.SUNDAY: models.Weekday("sunday"),
}


def product(message: partners_v1.Product) -> models.Product:
    """delivery.partners.v1.Product → Product."""
    return models.Product(
        id=message.id,
        title=message.title,
        description=message.description,
        picture_url=UNSET if message.picture_url is None else message.picture_url,
        category=UNSET if message.category is None else message.category,
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
        picture_url=UNSET if message.picture_url is None else message.picture_url,
        opening_hours=UNSET if message.opening_hours is None else opening_hours(message.opening_hours),
        delivery_fee=UNSET if message.delivery_fee is None else message.delivery_fee,
        delivery_fee_currency=UNSET if message.delivery_fee_currency is None else message.delivery_fee_currency,
    )


def created_partner(message: partners_v1.CreatePartnerResponse) -> models.CreatedPartner:
    """delivery.partners.v1.CreatePartnerResponse → CreatedPartner."""
    _partner = require(message.partner)
    return models.CreatedPartner(
        id=_partner.id,
        title=_partner.title,
        brand=_partner.brand,
        phone=_partner.phone,
        email=_partner.email,
        address=_partner.address,
        api_url=_partner.api_url,
        verified=_partner.verified,
        enabled=_partner.enabled,
        picture_url=UNSET if _partner.picture_url is None else _partner.picture_url,
        opening_hours=UNSET if _partner.opening_hours is None else opening_hours(_partner.opening_hours),
        delivery_fee=UNSET if _partner.delivery_fee is None else _partner.delivery_fee,
        delivery_fee_currency=UNSET if _partner.delivery_fee_currency is None else _partner.delivery_fee_currency,
        webhook_secret=UNSET if message.webhook_secret is None else message.webhook_secret,
    )


def new_partner_secret(message: partners_v1.RotatePartnerSecretResponse) -> models.NewPartnerSecret:
    """delivery.partners.v1.RotatePartnerSecretResponse → NewPartnerSecret."""
    return models.NewPartnerSecret(
        webhook_secret=message.webhook_secret,
    )


def opening_period(message: partners_v1.OpeningPeriod) -> models.OpeningPeriod:
    """delivery.partners.v1.OpeningPeriod → OpeningPeriod."""
    return models.OpeningPeriod(
        day=WEEKDAY[message.day],
        opens=message.opens,
        closes=message.closes,
    )


def opening_hours(message: partners_v1.OpeningHours) -> models.OpeningHours:
    """delivery.partners.v1.OpeningHours → OpeningHours."""
    return models.OpeningHours(
        time_zone=message.time_zone,
        periods=[opening_period(item) for item in message.periods],
    )


def availability(message: partners_v1.Availability) -> models.Availability:
    """delivery.partners.v1.Availability → Availability."""
    return models.Availability(
        price=message.price,
        currency=message.currency,
        active=message.active,
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


def created_bank(message: orders_v1.CreateBankResponse) -> models.CreatedBank:
    """delivery.orders.v1.CreateBankResponse → CreatedBank."""
    _bank = require(message.bank)
    return models.CreatedBank(
        id=_bank.id,
        title=_bank.title,
        webcheckout_url=_bank.webcheckout_url,
        api_url=_bank.api_url,
        active=_bank.active,
        webhook_secret=UNSET if message.webhook_secret is None else message.webhook_secret,
    )


def new_bank_secret(message: orders_v1.RotateBankSecretResponse) -> models.NewBankSecret:
    """delivery.orders.v1.RotateBankSecretResponse → NewBankSecret."""
    return models.NewBankSecret(
        webhook_secret=message.webhook_secret,
    )


def refund_action(message: orders_v1.RefundAction) -> models.RefundAction:
    """delivery.orders.v1.RefundAction → RefundAction."""
    return models.RefundAction(
        kind=REFUND_ACTION_KIND[message.kind],
        actor=message.actor,
        note=UNSET if message.note is None else message.note,
        at=require(message.at),
    )


def refund(message: orders_v1.Refund) -> models.Refund:
    """delivery.orders.v1.Refund → Refund."""
    return models.Refund(
        id=message.id,
        bank_id=message.bank_id,
        payment_id=message.payment_id,
        order_id=message.order_id,
        amount=message.amount,
        currency=message.currency,
        status=REFUND_STATUS[message.status],
        attempts=message.attempts,
        last_response=UNSET if message.last_response is None else message.last_response,
        next_attempt_at=UNSET if message.next_attempt_at is None else message.next_attempt_at,
        created_at=require(message.created_at),
        actions=[refund_action(item) for item in message.actions],
    )


def coordinates(message: orders_v1.Coordinates) -> models.Coordinates:
    """delivery.orders.v1.Coordinates → Coordinates."""
    return models.Coordinates(
        latitude=message.latitude,
        longitude=message.longitude,
    )


def address(message: orders_v1.Address) -> models.Address:
    """delivery.orders.v1.Address → Address."""
    return models.Address(
        street=message.street,
        unit=UNSET if message.unit is None else message.unit,
        postal_code=UNSET if message.postal_code is None else message.postal_code,
        city=message.city,
        region=UNSET if message.region is None else message.region,
        country=message.country,
        coordinates=UNSET if message.coordinates is None else coordinates(message.coordinates),
    )


def confirmed_order(message: orders_v1.CreateOrderResponse) -> models.ConfirmedOrder:
    """delivery.orders.v1.CreateOrderResponse → ConfirmedOrder."""
    return models.ConfirmedOrder(
        order=order(require(message.order)),
        payment=payment_instructions(require(message.payment)),
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
        partner=order_partner(require(message.partner)),
        items=[order_item(item) for item in message.items],
        total_amount=message.total_amount,
        tip_amount=message.tip_amount,
        delivery_fee=message.delivery_fee,
        currency=message.currency,
        paid_amount=message.paid_amount,
        refunded_amount=message.refunded_amount,
        refund_status=REFUND_STATUS[message.refund_status],
        bank_id=message.bank_id,
        payment_id=UNSET if message.payment_id is None else message.payment_id,
        delivery_address=message.delivery_address,
        address=UNSET if message.address is None else address(message.address),
        note=UNSET if message.note is None else message.note,
        pickup_address=UNSET if message.pickup_address is None else message.pickup_address,
        deliverer_id=UNSET if message.deliverer_id is None else message.deliverer_id,
        cancel_reason=UNSET if message.cancel_reason is None else message.cancel_reason,
        version=message.version,
        created_at=require(message.created_at),
        updated_at=require(message.updated_at),
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


def device(message: notifications_v1.Device) -> models.Device:
    """delivery.notifications.v1.Device → Device."""
    return models.Device(
        id=message.id,
        provider=PROVIDER[message.provider],
        name=UNSET if message.name is None else message.name,
        registered_at=require(message.registered_at),
    )


def agent(message: notifications_v1.Agent) -> models.Agent:
    """delivery.notifications.v1.Agent → Agent."""
    return models.Agent(
        id=message.id,
        name=message.name,
        priority=message.priority,
        providers=[PROVIDER[item] for item in message.providers],
        preferences=preferences(require(message.preferences)),
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


def payment_receipt(message: orders_v1.HandlePaymentCallbackResponse) -> models.PaymentReceipt:
    """delivery.orders.v1.HandlePaymentCallbackResponse → PaymentReceipt."""
    return models.PaymentReceipt(
        payment_id=message.payment_id,
    )
