"""Written by `make generate` from api-specs. Do not edit."""

from msgspec import UNSET

from generated.proto.delivery.notifications import v1 as notifications_v1
from generated.proto.delivery.orders import v1 as orders_v1
from generated.proto.delivery.partners import v1 as partners_v1
from generated.rest.delivery.models import (
    AgentKeys,
    AgentKeysPatch,
    AgentPatch,
    ApnsKey,
    BankPatch,
    BasketItem,
    CancelOrderRequest,
    CatalogSort,
    CheckOrderAddress,
    Coordinates,
    CreateAgentPreferences,
    CreateAgentRequest,
    CreateBankRequest,
    CreatePartnerRequest,
    CreateProductRequest,
    NotificationStatus,
    OpeningHours,
    OpeningPeriod,
    OrderStatus,
    PartnerCallStatus,
    PartnerPatch,
    PreferencesPatch,
    ProductPatch,
    ProductSort,
    QuietHours,
    RefundSettlement,
    RefundStatus,
    RegisterDeviceRequest,
    SetAvailabilityRequest,
)
from services.runtime.core.preconditions import parse_if_match_versions
from services.runtime.outbound.webhooks import SignedRequest
from services.runtime.rest.types import list_null_fields, unset_to_none


def to_opening_period(model: OpeningPeriod) -> partners_v1.OpeningPeriod:
    """OpeningPeriod → delivery.partners.v1.OpeningPeriod."""
    return partners_v1.OpeningPeriod(
        day=partners_v1.Weekday[model.day.value.upper()], opens=model.opens, closes=model.closes
    )


def to_quiet_hours(model: QuietHours) -> notifications_v1.QuietHours:
    """QuietHours → delivery.notifications.v1.QuietHours."""
    return notifications_v1.QuietHours(start=model.start, end=model.end)


def to_create_agent_preferences(model: CreateAgentPreferences) -> notifications_v1.Preferences:
    """CreateAgentPreferences → delivery.notifications.v1.Preferences."""
    return notifications_v1.Preferences(
        quiet_hours=None if model.quiet_hours is UNSET else to_quiet_hours(model.quiet_hours),
        ttl_s=model.ttl_s,
        collapse=unset_to_none(model.collapse),
    )


def to_apns_key(model: ApnsKey) -> notifications_v1.ApnsKey:
    """ApnsKey → delivery.notifications.v1.ApnsKey."""
    return notifications_v1.ApnsKey(
        key_id=model.key_id, team_id=model.team_id, topic=model.topic, private_key=model.private_key
    )


def to_agent_keys(model: AgentKeys) -> notifications_v1.AgentKeys:
    """AgentKeys → delivery.notifications.v1.AgentKeys."""
    return notifications_v1.AgentKeys(
        fcm=unset_to_none(model.fcm), apns=None if model.apns is UNSET else to_apns_key(model.apns)
    )


def to_preferences_patch(model: PreferencesPatch) -> notifications_v1.PreferencesPatch:
    """PreferencesPatch → delivery.notifications.v1.PreferencesPatch."""
    return notifications_v1.PreferencesPatch(
        quiet_hours=None
        if model.quiet_hours is UNSET or model.quiet_hours is None
        else to_quiet_hours(model.quiet_hours),
        ttl_s=unset_to_none(model.ttl_s),
        collapse=unset_to_none(model.collapse),
        remove=list_null_fields(model),
    )


def to_agent_keys_patch(model: AgentKeysPatch) -> notifications_v1.AgentKeysPatch:
    """AgentKeysPatch → delivery.notifications.v1.AgentKeysPatch."""
    return notifications_v1.AgentKeysPatch(
        fcm=unset_to_none(model.fcm),
        apns=None if model.apns is UNSET or model.apns is None else to_apns_key(model.apns),
        remove=list_null_fields(model),
    )


def to_coordinates(model: Coordinates) -> orders_v1.Coordinates:
    """Coordinates → delivery.orders.v1.Coordinates."""
    return orders_v1.Coordinates(latitude=model.latitude, longitude=model.longitude)


def to_check_order_address(model: CheckOrderAddress) -> orders_v1.Address:
    """CheckOrderAddress → delivery.orders.v1.Address."""
    return orders_v1.Address(
        street=model.street,
        unit=unset_to_none(model.unit),
        postal_code=unset_to_none(model.postal_code),
        city=model.city,
        region=unset_to_none(model.region),
        country=model.country,
        coordinates=None if model.coordinates is UNSET else to_coordinates(model.coordinates),
    )


def to_basket_item(model: BasketItem) -> partners_v1.BasketItem:
    """BasketItem → delivery.partners.v1.BasketItem."""
    return partners_v1.BasketItem(product_id=model.product_id, quantity=model.quantity)


def list_my_notifications(
    *, page_size: int = 20, page_token: str | None = None
) -> notifications_v1.ListMyNotificationsRequest:
    """listMyNotifications → delivery.notifications.v1.ListMyNotificationsRequest."""
    return notifications_v1.ListMyNotificationsRequest(page_size=page_size, page_token=page_token or "")


def list_devices() -> notifications_v1.ListDevicesRequest:
    """listDevices → delivery.notifications.v1.ListDevicesRequest."""
    return notifications_v1.ListDevicesRequest()


def register_device(*, body: RegisterDeviceRequest) -> notifications_v1.RegisterDeviceRequest:
    """registerDevice → delivery.notifications.v1.RegisterDeviceRequest."""
    return notifications_v1.RegisterDeviceRequest(token=body.token, name=unset_to_none(body.name))


def remove_device(*, device_id: str) -> notifications_v1.RemoveDeviceRequest:
    """removeDevice → delivery.notifications.v1.RemoveDeviceRequest."""
    return notifications_v1.RemoveDeviceRequest(device_id=device_id)


def list_catalog(
    *,
    page_size: int = 20,
    page_token: str | None = None,
    partner_id: int | None = None,
    q: str | None = None,
    category: str | None = None,
    sort: CatalogSort | None = None,
) -> partners_v1.ListCatalogRequest:
    """listCatalog → delivery.partners.v1.ListCatalogRequest."""
    return partners_v1.ListCatalogRequest(
        page_size=page_size,
        page_token=page_token or "",
        partner_id=partner_id,
        q=q,
        category=category,
        sort=None if sort is None else partners_v1.CatalogSort[sort.value.upper()],
    )


def list_banks(*, page_size: int = 20, page_token: str | None = None) -> orders_v1.ListBanksRequest:
    """listBanks → delivery.orders.v1.ListBanksRequest."""
    return orders_v1.ListBanksRequest(page_size=page_size, page_token=page_token or "")


def create_bank(*, body: CreateBankRequest, idempotency_key: str | None = None) -> orders_v1.CreateBankRequest:
    """createBank → delivery.orders.v1.CreateBankRequest."""
    return orders_v1.CreateBankRequest(
        idempotency_key=idempotency_key,
        id=body.id,
        title=body.title,
        webcheckout_url=body.webcheckout_url,
        api_url=body.api_url,
        active=body.active,
    )


def list_registered_banks(
    *, page_size: int = 20, page_token: str | None = None, active: bool | None = None
) -> orders_v1.ListRegisteredBanksRequest:
    """listRegisteredBanks → delivery.orders.v1.ListRegisteredBanksRequest."""
    return orders_v1.ListRegisteredBanksRequest(page_size=page_size, page_token=page_token or "", active=active)


def get_bank(*, bank_id: str) -> orders_v1.GetBankRequest:
    """getBank → delivery.orders.v1.GetBankRequest."""
    return orders_v1.GetBankRequest(bank_id=bank_id)


def update_bank(*, bank_id: str, body: BankPatch, if_match: str | None = None) -> orders_v1.UpdateBankRequest:
    """updateBank → delivery.orders.v1.UpdateBankRequest."""
    return orders_v1.UpdateBankRequest(
        bank_id=bank_id,
        title=unset_to_none(body.title),
        webcheckout_url=unset_to_none(body.webcheckout_url),
        api_url=unset_to_none(body.api_url),
        active=unset_to_none(body.active),
        version=None,
        versions=[*(parse_if_match_versions(if_match) or ())],
    )


def rotate_bank_secret(*, bank_id: str, idempotency_key: str | None = None) -> orders_v1.RotateBankSecretRequest:
    """rotateBankSecret → delivery.orders.v1.RotateBankSecretRequest."""
    return orders_v1.RotateBankSecretRequest(bank_id=bank_id, idempotency_key=idempotency_key)


def list_partner_products(
    *,
    partner_id: int,
    page_size: int = 20,
    page_token: str | None = None,
    category: str | None = None,
    sort: ProductSort | None = None,
) -> partners_v1.ListPartnerProductsRequest:
    """listPartnerProducts → delivery.partners.v1.ListPartnerProductsRequest."""
    return partners_v1.ListPartnerProductsRequest(
        partner_id=partner_id,
        page_size=page_size,
        page_token=page_token or "",
        category=category,
        sort=None if sort is None else partners_v1.ProductSort[sort.value.upper()],
    )


def list_partners(*, page_size: int = 20, page_token: str | None = None) -> partners_v1.ListPartnersRequest:
    """listPartners → delivery.partners.v1.ListPartnersRequest."""
    return partners_v1.ListPartnersRequest(page_size=page_size, page_token=page_token or "")


def create_partner(
    *, body: CreatePartnerRequest, idempotency_key: str | None = None
) -> partners_v1.CreatePartnerRequest:
    """createPartner → delivery.partners.v1.CreatePartnerRequest."""
    return partners_v1.CreatePartnerRequest(
        idempotency_key=idempotency_key,
        title=body.title,
        brand=body.brand,
        phone=body.phone,
        email=body.email,
        address=body.address,
        api_url=body.api_url,
        verified=body.verified,
        enabled=body.enabled,
        picture_url=unset_to_none(body.picture_url),
        delivery_fee=unset_to_none(body.delivery_fee),
        delivery_fee_currency=unset_to_none(body.delivery_fee_currency),
    )


def get_partner(*, partner_id: int) -> partners_v1.GetPartnerRequest:
    """getPartner → delivery.partners.v1.GetPartnerRequest."""
    return partners_v1.GetPartnerRequest(partner_id=partner_id)


def disable_partner(*, partner_id: int) -> partners_v1.DisablePartnerRequest:
    """disablePartner → delivery.partners.v1.DisablePartnerRequest."""
    return partners_v1.DisablePartnerRequest(partner_id=partner_id)


def update_partner(
    *, partner_id: int, body: PartnerPatch, if_match: str | None = None
) -> partners_v1.UpdatePartnerRequest:
    """updatePartner → delivery.partners.v1.UpdatePartnerRequest."""
    return partners_v1.UpdatePartnerRequest(
        partner_id=partner_id,
        title=unset_to_none(body.title),
        brand=unset_to_none(body.brand),
        phone=unset_to_none(body.phone),
        email=unset_to_none(body.email),
        address=unset_to_none(body.address),
        api_url=unset_to_none(body.api_url),
        verified=unset_to_none(body.verified),
        enabled=unset_to_none(body.enabled),
        picture_url=unset_to_none(body.picture_url),
        delivery_fee=unset_to_none(body.delivery_fee),
        delivery_fee_currency=unset_to_none(body.delivery_fee_currency),
        version=None,
        versions=[*(parse_if_match_versions(if_match) or ())],
        remove=list_null_fields(body),
    )


def rotate_partner_secret(
    *, partner_id: int, idempotency_key: str | None = None
) -> partners_v1.RotatePartnerSecretRequest:
    """rotatePartnerSecret → delivery.partners.v1.RotatePartnerSecretRequest."""
    return partners_v1.RotatePartnerSecretRequest(partner_id=partner_id, idempotency_key=idempotency_key)


def set_opening_hours(
    *, partner_id: int, body: OpeningHours, if_match: str | None = None
) -> partners_v1.SetOpeningHoursRequest:
    """setOpeningHours → delivery.partners.v1.SetOpeningHoursRequest."""
    return partners_v1.SetOpeningHoursRequest(
        partner_id=partner_id,
        time_zone=body.time_zone,
        periods=[to_opening_period(item) for item in body.periods],
        version=None,
        versions=[*(parse_if_match_versions(if_match) or ())],
    )


def remove_opening_hours(*, partner_id: int) -> partners_v1.RemoveOpeningHoursRequest:
    """removeOpeningHours → delivery.partners.v1.RemoveOpeningHoursRequest."""
    return partners_v1.RemoveOpeningHoursRequest(partner_id=partner_id)


def set_availability(
    *, partner_id: int, product_id: int, body: SetAvailabilityRequest
) -> partners_v1.SetAvailabilityRequest:
    """setAvailability → delivery.partners.v1.SetAvailabilityRequest."""
    return partners_v1.SetAvailabilityRequest(
        partner_id=partner_id, product_id=product_id, price=body.price, currency=body.currency, active=body.active
    )


def remove_availability(*, partner_id: int, product_id: int) -> partners_v1.RemoveAvailabilityRequest:
    """removeAvailability → delivery.partners.v1.RemoveAvailabilityRequest."""
    return partners_v1.RemoveAvailabilityRequest(partner_id=partner_id, product_id=product_id)


def list_partner_calls(
    *,
    page_size: int = 20,
    page_token: str | None = None,
    partner_id: int | None = None,
    order_id: str | None = None,
    status: PartnerCallStatus | None = None,
) -> partners_v1.ListPartnerCallsRequest:
    """listPartnerCalls → delivery.partners.v1.ListPartnerCallsRequest."""
    return partners_v1.ListPartnerCallsRequest(
        page_size=page_size,
        page_token=page_token or "",
        partner_id=partner_id,
        order_id=order_id,
        status=None if status is None else partners_v1.PartnerCallStatus[status.value.upper()],
    )


def replay_partner_call(*, call_id: str) -> partners_v1.ReplayPartnerCallRequest:
    """replayPartnerCall → delivery.partners.v1.ReplayPartnerCallRequest."""
    return partners_v1.ReplayPartnerCallRequest(call_id=call_id)


def list_products(*, page_size: int = 20, page_token: str | None = None) -> partners_v1.ListProductsRequest:
    """listProducts → delivery.partners.v1.ListProductsRequest."""
    return partners_v1.ListProductsRequest(page_size=page_size, page_token=page_token or "")


def create_product(
    *, body: CreateProductRequest, idempotency_key: str | None = None
) -> partners_v1.CreateProductRequest:
    """createProduct → delivery.partners.v1.CreateProductRequest."""
    return partners_v1.CreateProductRequest(
        idempotency_key=idempotency_key,
        title=body.title,
        description=body.description,
        picture_url=unset_to_none(body.picture_url),
        category=unset_to_none(body.category),
    )


def get_product(*, product_id: int) -> partners_v1.GetProductRequest:
    """getProduct → delivery.partners.v1.GetProductRequest."""
    return partners_v1.GetProductRequest(product_id=product_id)


def delete_product(*, product_id: int) -> partners_v1.DeleteProductRequest:
    """deleteProduct → delivery.partners.v1.DeleteProductRequest."""
    return partners_v1.DeleteProductRequest(product_id=product_id)


def update_product(
    *, product_id: int, body: ProductPatch, if_match: str | None = None
) -> partners_v1.UpdateProductRequest:
    """updateProduct → delivery.partners.v1.UpdateProductRequest."""
    return partners_v1.UpdateProductRequest(
        product_id=product_id,
        title=unset_to_none(body.title),
        description=unset_to_none(body.description),
        picture_url=unset_to_none(body.picture_url),
        category=unset_to_none(body.category),
        version=None,
        versions=[*(parse_if_match_versions(if_match) or ())],
        remove=list_null_fields(body),
    )


def list_orders(
    *, page_size: int = 20, page_token: str | None = None, status: OrderStatus | None = None
) -> orders_v1.ListOrdersRequest:
    """listOrders → delivery.orders.v1.ListOrdersRequest."""
    return orders_v1.ListOrdersRequest(
        page_size=page_size,
        page_token=page_token or "",
        status=None if status is None else orders_v1.OrderStatus[status.value.upper()],
    )


def get_order(*, order_id: str) -> orders_v1.GetOrderRequest:
    """getOrder → delivery.orders.v1.GetOrderRequest."""
    return orders_v1.GetOrderRequest(order_id=order_id)


def get_payment_instructions(
    *, order_id: str, return_url: str | None = None
) -> orders_v1.GetPaymentInstructionsRequest:
    """getPaymentInstructions → delivery.orders.v1.GetPaymentInstructionsRequest."""
    return orders_v1.GetPaymentInstructionsRequest(order_id=order_id, return_url=return_url)


def get_order_history(
    *, order_id: str, page_size: int = 20, page_token: str | None = None
) -> orders_v1.GetOrderHistoryRequest:
    """getOrderHistory → delivery.orders.v1.GetOrderHistoryRequest."""
    return orders_v1.GetOrderHistoryRequest(order_id=order_id, page_size=page_size, page_token=page_token or "")


def list_payments(
    *, page_size: int = 20, page_token: str | None = None, order_id: str | None = None, bank_id: str | None = None
) -> orders_v1.ListPaymentsRequest:
    """listPayments → delivery.orders.v1.ListPaymentsRequest."""
    return orders_v1.ListPaymentsRequest(
        page_size=page_size, page_token=page_token or "", order_id=order_id, bank_id=bank_id
    )


def list_refunds(
    *,
    page_size: int = 20,
    page_token: str | None = None,
    order_id: str | None = None,
    bank_id: str | None = None,
    status: RefundStatus | None = None,
) -> orders_v1.ListRefundsRequest:
    """listRefunds → delivery.orders.v1.ListRefundsRequest."""
    return orders_v1.ListRefundsRequest(
        page_size=page_size,
        page_token=page_token or "",
        order_id=order_id,
        bank_id=bank_id,
        status=None if status is None else orders_v1.RefundStatus[status.value.upper()],
    )


def retry_refund(*, refund_id: str) -> orders_v1.RetryRefundRequest:
    """retryRefund → delivery.orders.v1.RetryRefundRequest."""
    return orders_v1.RetryRefundRequest(refund_id=refund_id)


def settle_refund(*, refund_id: str, body: RefundSettlement) -> orders_v1.SettleRefundRequest:
    """settleRefund → delivery.orders.v1.SettleRefundRequest."""
    return orders_v1.SettleRefundRequest(refund_id=refund_id, note=body.note)


def cancel_order(*, order_id: str, body: CancelOrderRequest) -> orders_v1.CancelOrderRequest:
    """cancelOrder → delivery.orders.v1.CancelOrderRequest."""
    return orders_v1.CancelOrderRequest(order_id=order_id, reason=unset_to_none(body.reason))


def list_available_deliveries(
    *, page_size: int = 20, page_token: str | None = None
) -> orders_v1.ListAvailableDeliveriesRequest:
    """listAvailableDeliveries → delivery.orders.v1.ListAvailableDeliveriesRequest."""
    return orders_v1.ListAvailableDeliveriesRequest(page_size=page_size, page_token=page_token or "")


def assign_order(*, order_id: str) -> orders_v1.AssignOrderRequest:
    """assignOrder → delivery.orders.v1.AssignOrderRequest."""
    return orders_v1.AssignOrderRequest(order_id=order_id)


def report_deliverer_position(*, order_id: str, body: Coordinates) -> orders_v1.ReportDelivererPositionRequest:
    """reportDelivererPosition → delivery.orders.v1.ReportDelivererPositionRequest."""
    return orders_v1.ReportDelivererPositionRequest(order_id=order_id, latitude=body.latitude, longitude=body.longitude)


def complete_delivery(*, order_id: str) -> orders_v1.CompleteOrderRequest:
    """completeDelivery → delivery.orders.v1.CompleteOrderRequest."""
    return orders_v1.CompleteOrderRequest(order_id=order_id)


def list_notifications(
    *,
    page_size: int = 20,
    page_token: str | None = None,
    user_id: str | None = None,
    agent_id: str | None = None,
    order_id: str | None = None,
    status: NotificationStatus | None = None,
) -> notifications_v1.ListNotificationsRequest:
    """listNotifications → delivery.notifications.v1.ListNotificationsRequest."""
    return notifications_v1.ListNotificationsRequest(
        page_size=page_size,
        page_token=page_token or "",
        user_id=user_id,
        agent_id=agent_id,
        order_id=order_id,
        status=None if status is None else notifications_v1.NotificationStatus[status.value.upper()],
    )


def list_agents(*, page_size: int = 20, page_token: str | None = None) -> notifications_v1.ListAgentsRequest:
    """listAgents → delivery.notifications.v1.ListAgentsRequest."""
    return notifications_v1.ListAgentsRequest(page_size=page_size, page_token=page_token or "")


def create_agent(
    *, body: CreateAgentRequest, idempotency_key: str | None = None
) -> notifications_v1.CreateAgentRequest:
    """createAgent → delivery.notifications.v1.CreateAgentRequest."""
    return notifications_v1.CreateAgentRequest(
        idempotency_key=idempotency_key,
        name=body.name,
        priority=body.priority,
        providers=[notifications_v1.Provider[item.value.upper()] for item in body.providers],
        preferences=to_create_agent_preferences(body.preferences),
        enabled=body.enabled,
        keys=None if body.keys is UNSET else to_agent_keys(body.keys),
    )


def get_agent(*, agent_id: str) -> notifications_v1.GetAgentRequest:
    """getAgent → delivery.notifications.v1.GetAgentRequest."""
    return notifications_v1.GetAgentRequest(agent_id=agent_id)


def update_agent(
    *, agent_id: str, body: AgentPatch, if_match: str | None = None
) -> notifications_v1.UpdateAgentRequest:
    """updateAgent → delivery.notifications.v1.UpdateAgentRequest."""
    return notifications_v1.UpdateAgentRequest(
        agent_id=agent_id,
        if_match=if_match,
        name=unset_to_none(body.name),
        priority=unset_to_none(body.priority),
        providers=[notifications_v1.Provider[item.value.upper()] for item in body.providers or []],
        preferences=None if body.preferences is UNSET else to_preferences_patch(body.preferences),
        enabled=unset_to_none(body.enabled),
        keys=None if body.keys is UNSET else to_agent_keys_patch(body.keys),
    )


def payment_callback(*, webhook: SignedRequest, bank_id: str) -> orders_v1.HandlePaymentCallbackRequest:
    """paymentCallback → delivery.orders.v1.HandlePaymentCallbackRequest."""
    return orders_v1.HandlePaymentCallbackRequest(
        bank_id=bank_id,
        webhook_id=webhook.id,
        webhook_timestamp=webhook.timestamp,
        webhook_signature=webhook.signature,
        body=webhook.body,
    )


def partner_ready_callback(*, webhook: SignedRequest, partner_id: int) -> partners_v1.HandleReadyCallbackRequest:
    """partnerReadyCallback → delivery.partners.v1.HandleReadyCallbackRequest."""
    return partners_v1.HandleReadyCallbackRequest(
        partner_id=partner_id,
        webhook_id=webhook.id,
        webhook_timestamp=webhook.timestamp,
        webhook_signature=webhook.signature,
        body=webhook.body,
    )
