"""Written by `make generate` from api-specs. Do not edit."""

from generated.proto.delivery.notifications.v1.rpc import NotificationsStub
from generated.proto.delivery.orders.v1.rpc import OrdersStub
from generated.proto.delivery.partners.v1.rpc import PartnersStub
from generated.rest.delivery import convert as _convert
from generated.rest.delivery import pages as _pages
from generated.rest.delivery import requests as _requests
from generated.rest.delivery.handlers import (
    BanksHandler,
    CallbacksHandler,
    CatalogHandler,
    DeliveriesHandler,
    NotificationsHandler,
    OrdersHandler,
    PartnersHandler,
    ProductsHandler,
    UsersHandler,
)
from generated.rest.delivery.models import (
    Agent,
    AgentPage,
    AgentPatch,
    Availability,
    Bank,
    BankPage,
    BankPatch,
    CancelOrderRequest,
    CatalogPage,
    CatalogProductPage,
    CatalogSort,
    Coordinates,
    CreateAgentRequest,
    CreateBankRequest,
    CreatedBank,
    CreatedPartner,
    CreatePartnerRequest,
    CreateProductRequest,
    DeliveryPage,
    Device,
    DeviceList,
    HistoryPage,
    NewBankSecret,
    NewPartnerSecret,
    NotificationPage,
    NotificationRecordPage,
    NotificationStatus,
    OpeningHours,
    Order,
    OrderPage,
    OrderStatus,
    Partner,
    PartnerCallPage,
    PartnerCallStatus,
    PartnerPage,
    PartnerPatch,
    PaymentInstructions,
    PaymentPage,
    PaymentReceipt,
    Product,
    ProductPage,
    ProductPatch,
    ProductSort,
    Refund,
    RefundPage,
    RefundSettlement,
    RefundStatus,
    RegisterDeviceRequest,
    RegisteredBankPage,
    SetAvailabilityRequest,
)
from services.runtime.core.preconditions import format_etag as _format_etag
from services.runtime.core.principal import Principal
from services.runtime.outbound.webhooks import SignedRequest
from services.runtime.rest.types import Response
from services.runtime.rest.types import require as _require


class ForwardingUsersHandler(UsersHandler):
    """Operations tagged `users` with an RPC method."""

    def __init__(self, notifications: NotificationsStub) -> None:
        self._notifications = notifications

    async def list_my_notifications(
        self, *, principal: Principal, page_size: int = 20, page_token: str | None = None
    ) -> NotificationPage:
        """listMyNotifications → delivery.notifications.v1.NotificationsService.ListMyNotifications."""
        return await self._notifications.list_my_notifications(
            _requests.list_my_notifications(page_size=page_size, page_token=page_token), _pages.notification_page
        )

    async def list_devices(self, *, principal: Principal) -> DeviceList:
        """listDevices → delivery.notifications.v1.NotificationsService.ListDevices."""
        return await self._notifications.list_devices(_requests.list_devices(), _pages.device_list)

    async def register_device(self, *, principal: Principal, body: RegisterDeviceRequest) -> Device:
        """registerDevice → delivery.notifications.v1.NotificationsService.RegisterDevice."""
        _response = await self._notifications.register_device(_requests.register_device(body=body))
        return _convert.device(_require(_response.device))

    async def remove_device(self, *, principal: Principal, device_id: str) -> None:
        """removeDevice → delivery.notifications.v1.NotificationsService.RemoveDevice."""
        await self._notifications.remove_device(_requests.remove_device(device_id=device_id))


class ForwardingCatalogHandler(CatalogHandler):
    """Operations tagged `catalog` with an RPC method."""

    def __init__(self, orders: OrdersStub, partners: PartnersStub) -> None:
        self._orders = orders
        self._partners = partners

    async def list_catalog(
        self,
        *,
        page_size: int = 20,
        page_token: str | None = None,
        partner_id: int | None = None,
        q: str | None = None,
        category: str | None = None,
        sort: CatalogSort | None = None,
    ) -> CatalogPage:
        """listCatalog → delivery.partners.v1.PartnersService.ListCatalog."""
        return await self._partners.list_catalog(
            _requests.list_catalog(
                page_size=page_size, page_token=page_token, partner_id=partner_id, q=q, category=category, sort=sort
            ),
            _pages.catalog_page,
        )

    async def list_banks(self, *, principal: Principal, page_size: int = 20, page_token: str | None = None) -> BankPage:
        """listBanks → delivery.orders.v1.OrdersService.ListBanks."""
        return await self._orders.list_banks(
            _requests.list_banks(page_size=page_size, page_token=page_token), _pages.bank_page
        )

    async def list_partner_products(
        self,
        *,
        partner_id: int,
        page_size: int = 20,
        page_token: str | None = None,
        category: str | None = None,
        sort: ProductSort | None = None,
    ) -> CatalogProductPage:
        """listPartnerProducts → delivery.partners.v1.PartnersService.ListPartnerProducts."""
        return await self._partners.list_partner_products(
            _requests.list_partner_products(
                partner_id=partner_id, page_size=page_size, page_token=page_token, category=category, sort=sort
            ),
            _pages.catalog_product_page,
        )


class ForwardingBanksHandler(BanksHandler):
    """Operations tagged `banks` with an RPC method."""

    def __init__(self, orders: OrdersStub) -> None:
        self._orders = orders

    async def create_bank(
        self, *, principal: Principal, body: CreateBankRequest, idempotency_key: str | None = None
    ) -> Response[CreatedBank]:
        """createBank → delivery.orders.v1.OrdersService.CreateBank."""
        _response = await self._orders.create_bank(_requests.create_bank(body=body, idempotency_key=idempotency_key))
        _result = _convert.created_bank(_response)
        return Response(
            _result,
            {"Location": f"/api/v1/banks/{_result.id}", "ETag": _format_etag(_response.version)},
            replayed=_response.replayed,
        )

    async def list_registered_banks(
        self, *, principal: Principal, page_size: int = 20, page_token: str | None = None, active: bool | None = None
    ) -> RegisteredBankPage:
        """listRegisteredBanks → delivery.orders.v1.OrdersService.ListRegisteredBanks."""
        return await self._orders.list_registered_banks(
            _requests.list_registered_banks(page_size=page_size, page_token=page_token, active=active),
            _pages.registered_bank_page,
        )

    async def get_bank(self, *, principal: Principal, bank_id: str) -> Response[Bank]:
        """getBank → delivery.orders.v1.OrdersService.GetBank."""
        _response = await self._orders.get_bank(_requests.get_bank(bank_id=bank_id))
        return Response(_convert.bank(_require(_response.bank)), {"ETag": _format_etag(_response.version)})

    async def update_bank(
        self, *, principal: Principal, bank_id: str, body: BankPatch, if_match: str | None = None
    ) -> Response[Bank]:
        """updateBank → delivery.orders.v1.OrdersService.UpdateBank."""
        _response = await self._orders.update_bank(_requests.update_bank(bank_id=bank_id, body=body, if_match=if_match))
        return Response(_convert.bank(_require(_response.bank)), {"ETag": _format_etag(_response.version)})

    async def rotate_bank_secret(
        self, *, principal: Principal, bank_id: str, idempotency_key: str | None = None
    ) -> Response[NewBankSecret]:
        """rotateBankSecret → delivery.orders.v1.OrdersService.RotateBankSecret."""
        _response = await self._orders.rotate_bank_secret(
            _requests.rotate_bank_secret(bank_id=bank_id, idempotency_key=idempotency_key)
        )
        return Response(_convert.new_bank_secret(_response), {}, replayed=_response.replayed)

    async def list_payments(
        self,
        *,
        principal: Principal,
        page_size: int = 20,
        page_token: str | None = None,
        order_id: str | None = None,
        bank_id: str | None = None,
    ) -> PaymentPage:
        """listPayments → delivery.orders.v1.OrdersService.ListPayments."""
        return await self._orders.list_payments(
            _requests.list_payments(page_size=page_size, page_token=page_token, order_id=order_id, bank_id=bank_id),
            _pages.payment_page,
        )

    async def list_refunds(
        self,
        *,
        principal: Principal,
        page_size: int = 20,
        page_token: str | None = None,
        order_id: str | None = None,
        bank_id: str | None = None,
        status: RefundStatus | None = None,
    ) -> RefundPage:
        """listRefunds → delivery.orders.v1.OrdersService.ListRefunds."""
        return await self._orders.list_refunds(
            _requests.list_refunds(
                page_size=page_size, page_token=page_token, order_id=order_id, bank_id=bank_id, status=status
            ),
            _pages.refund_page,
        )

    async def retry_refund(self, *, principal: Principal, refund_id: str) -> Refund:
        """retryRefund → delivery.orders.v1.OrdersService.RetryRefund."""
        _response = await self._orders.retry_refund(_requests.retry_refund(refund_id=refund_id))
        return _convert.refund(_require(_response.refund))

    async def settle_refund(self, *, principal: Principal, refund_id: str, body: RefundSettlement) -> Refund:
        """settleRefund → delivery.orders.v1.OrdersService.SettleRefund."""
        _response = await self._orders.settle_refund(_requests.settle_refund(refund_id=refund_id, body=body))
        return _convert.refund(_require(_response.refund))


class ForwardingPartnersHandler(PartnersHandler):
    """Operations tagged `partners` with an RPC method."""

    def __init__(self, partners: PartnersStub) -> None:
        self._partners = partners

    async def list_partners(
        self, *, principal: Principal, page_size: int = 20, page_token: str | None = None
    ) -> PartnerPage:
        """listPartners → delivery.partners.v1.PartnersService.ListPartners."""
        return await self._partners.list_partners(
            _requests.list_partners(page_size=page_size, page_token=page_token), _pages.partner_page
        )

    async def create_partner(
        self, *, principal: Principal, body: CreatePartnerRequest, idempotency_key: str | None = None
    ) -> Response[CreatedPartner]:
        """createPartner → delivery.partners.v1.PartnersService.CreatePartner."""
        _response = await self._partners.create_partner(
            _requests.create_partner(body=body, idempotency_key=idempotency_key)
        )
        _result = _convert.created_partner(_response)
        return Response(
            _result,
            {"Location": f"/api/v1/partners/{_result.id}", "ETag": _format_etag(_response.version)},
            replayed=_response.replayed,
        )

    async def get_partner(self, *, principal: Principal, partner_id: int) -> Response[Partner]:
        """getPartner → delivery.partners.v1.PartnersService.GetPartner."""
        _response = await self._partners.get_partner(_requests.get_partner(partner_id=partner_id))
        return Response(_convert.partner(_require(_response.partner)), {"ETag": _format_etag(_response.version)})

    async def disable_partner(self, *, principal: Principal, partner_id: int) -> None:
        """disablePartner → delivery.partners.v1.PartnersService.DisablePartner."""
        await self._partners.disable_partner(_requests.disable_partner(partner_id=partner_id))

    async def update_partner(
        self, *, principal: Principal, partner_id: int, body: PartnerPatch, if_match: str | None = None
    ) -> Response[Partner]:
        """updatePartner → delivery.partners.v1.PartnersService.UpdatePartner."""
        _response = await self._partners.update_partner(
            _requests.update_partner(partner_id=partner_id, body=body, if_match=if_match)
        )
        return Response(_convert.partner(_require(_response.partner)), {"ETag": _format_etag(_response.version)})

    async def rotate_partner_secret(
        self, *, principal: Principal, partner_id: int, idempotency_key: str | None = None
    ) -> Response[NewPartnerSecret]:
        """rotatePartnerSecret → delivery.partners.v1.PartnersService.RotatePartnerSecret."""
        _response = await self._partners.rotate_partner_secret(
            _requests.rotate_partner_secret(partner_id=partner_id, idempotency_key=idempotency_key)
        )
        return Response(_convert.new_partner_secret(_response), {}, replayed=_response.replayed)

    async def set_opening_hours(
        self, *, principal: Principal, partner_id: int, body: OpeningHours, if_match: str | None = None
    ) -> Response[Partner]:
        """setOpeningHours → delivery.partners.v1.PartnersService.SetOpeningHours."""
        _response = await self._partners.set_opening_hours(
            _requests.set_opening_hours(partner_id=partner_id, body=body, if_match=if_match)
        )
        return Response(_convert.partner(_require(_response.partner)), {"ETag": _format_etag(_response.version)})

    async def remove_opening_hours(self, *, principal: Principal, partner_id: int) -> None:
        """removeOpeningHours → delivery.partners.v1.PartnersService.RemoveOpeningHours."""
        await self._partners.remove_opening_hours(_requests.remove_opening_hours(partner_id=partner_id))

    async def set_availability(
        self, *, principal: Principal, partner_id: int, product_id: int, body: SetAvailabilityRequest
    ) -> Availability:
        """setAvailability → delivery.partners.v1.PartnersService.SetAvailability."""
        _response = await self._partners.set_availability(
            _requests.set_availability(partner_id=partner_id, product_id=product_id, body=body)
        )
        return _convert.availability(_require(_response.availability))

    async def remove_availability(self, *, principal: Principal, partner_id: int, product_id: int) -> None:
        """removeAvailability → delivery.partners.v1.PartnersService.RemoveAvailability."""
        await self._partners.remove_availability(
            _requests.remove_availability(partner_id=partner_id, product_id=product_id)
        )

    async def list_partner_calls(
        self,
        *,
        principal: Principal,
        page_size: int = 20,
        page_token: str | None = None,
        partner_id: int | None = None,
        order_id: str | None = None,
        status: PartnerCallStatus | None = None,
    ) -> PartnerCallPage:
        """listPartnerCalls → delivery.partners.v1.PartnersService.ListPartnerCalls."""
        return await self._partners.list_partner_calls(
            _requests.list_partner_calls(
                page_size=page_size, page_token=page_token, partner_id=partner_id, order_id=order_id, status=status
            ),
            _pages.partner_call_page,
        )

    async def replay_partner_call(self, *, principal: Principal, call_id: str) -> None:
        """replayPartnerCall → delivery.partners.v1.PartnersService.ReplayPartnerCall."""
        await self._partners.replay_partner_call(_requests.replay_partner_call(call_id=call_id))


class ForwardingProductsHandler(ProductsHandler):
    """Operations tagged `products` with an RPC method."""

    def __init__(self, partners: PartnersStub) -> None:
        self._partners = partners

    async def list_products(
        self, *, principal: Principal, page_size: int = 20, page_token: str | None = None
    ) -> ProductPage:
        """listProducts → delivery.partners.v1.PartnersService.ListProducts."""
        return await self._partners.list_products(
            _requests.list_products(page_size=page_size, page_token=page_token), _pages.product_page
        )

    async def create_product(
        self, *, principal: Principal, body: CreateProductRequest, idempotency_key: str | None = None
    ) -> Response[Product]:
        """createProduct → delivery.partners.v1.PartnersService.CreateProduct."""
        _response = await self._partners.create_product(
            _requests.create_product(body=body, idempotency_key=idempotency_key)
        )
        _result = _convert.product(_require(_response.product))
        return Response(
            _result,
            {"Location": f"/api/v1/products/{_result.id}", "ETag": _format_etag(_response.version)},
            replayed=_response.replayed,
        )

    async def get_product(self, *, principal: Principal, product_id: int) -> Response[Product]:
        """getProduct → delivery.partners.v1.PartnersService.GetProduct."""
        _response = await self._partners.get_product(_requests.get_product(product_id=product_id))
        return Response(_convert.product(_require(_response.product)), {"ETag": _format_etag(_response.version)})

    async def delete_product(self, *, principal: Principal, product_id: int) -> None:
        """deleteProduct → delivery.partners.v1.PartnersService.DeleteProduct."""
        await self._partners.delete_product(_requests.delete_product(product_id=product_id))

    async def update_product(
        self, *, principal: Principal, product_id: int, body: ProductPatch, if_match: str | None = None
    ) -> Response[Product]:
        """updateProduct → delivery.partners.v1.PartnersService.UpdateProduct."""
        _response = await self._partners.update_product(
            _requests.update_product(product_id=product_id, body=body, if_match=if_match)
        )
        return Response(_convert.product(_require(_response.product)), {"ETag": _format_etag(_response.version)})


class ForwardingOrdersHandler(OrdersHandler):
    """Operations tagged `orders` with an RPC method."""

    def __init__(self, orders: OrdersStub) -> None:
        self._orders = orders

    async def list_orders(
        self,
        *,
        principal: Principal,
        page_size: int = 20,
        page_token: str | None = None,
        status: OrderStatus | None = None,
    ) -> OrderPage:
        """listOrders → delivery.orders.v1.OrdersService.ListOrders."""
        return await self._orders.list_orders(
            _requests.list_orders(page_size=page_size, page_token=page_token, status=status), _pages.order_page
        )

    async def get_order(self, *, principal: Principal, order_id: str) -> Order:
        """getOrder → delivery.orders.v1.OrdersService.GetOrder."""
        _response = await self._orders.get_order(_requests.get_order(order_id=order_id))
        return _convert.order(_require(_response.order))

    async def get_payment_instructions(
        self, *, principal: Principal, order_id: str, return_url: str | None = None
    ) -> PaymentInstructions:
        """getPaymentInstructions → delivery.orders.v1.OrdersService.GetPaymentInstructions."""
        _response = await self._orders.get_payment_instructions(
            _requests.get_payment_instructions(order_id=order_id, return_url=return_url)
        )
        return _convert.payment_instructions(_require(_response.payment))

    async def get_order_history(
        self, *, principal: Principal, order_id: str, page_size: int = 20, page_token: str | None = None
    ) -> HistoryPage:
        """getOrderHistory → delivery.orders.v1.OrdersService.GetOrderHistory."""
        return await self._orders.get_order_history(
            _requests.get_order_history(order_id=order_id, page_size=page_size, page_token=page_token),
            _pages.history_page,
        )

    async def cancel_order(self, *, principal: Principal, order_id: str, body: CancelOrderRequest) -> Order:
        """cancelOrder → delivery.orders.v1.OrdersService.CancelOrder."""
        _response = await self._orders.cancel_order(_requests.cancel_order(order_id=order_id, body=body))
        return _convert.order(_require(_response.order))


class ForwardingDeliveriesHandler(DeliveriesHandler):
    """Operations tagged `deliveries` with an RPC method."""

    def __init__(self, orders: OrdersStub) -> None:
        self._orders = orders

    async def list_available_deliveries(
        self, *, principal: Principal, page_size: int = 20, page_token: str | None = None
    ) -> DeliveryPage:
        """listAvailableDeliveries → delivery.orders.v1.OrdersService.ListAvailableDeliveries."""
        return await self._orders.list_available_deliveries(
            _requests.list_available_deliveries(page_size=page_size, page_token=page_token), _pages.delivery_page
        )

    async def assign_order(self, *, principal: Principal, order_id: str) -> Order:
        """assignOrder → delivery.orders.v1.OrdersService.AssignOrder."""
        _response = await self._orders.assign_order(_requests.assign_order(order_id=order_id))
        return _convert.order(_require(_response.order))

    async def report_deliverer_position(self, *, principal: Principal, order_id: str, body: Coordinates) -> None:
        """reportDelivererPosition → delivery.orders.v1.OrdersService.ReportDelivererPosition."""
        await self._orders.report_deliverer_position(_requests.report_deliverer_position(order_id=order_id, body=body))

    async def complete_delivery(self, *, principal: Principal, order_id: str) -> Order:
        """completeDelivery → delivery.orders.v1.OrdersService.CompleteOrder."""
        _response = await self._orders.complete_order(_requests.complete_delivery(order_id=order_id))
        return _convert.order(_require(_response.order))


class ForwardingNotificationsHandler(NotificationsHandler):
    """Operations tagged `notifications` with an RPC method."""

    def __init__(self, notifications: NotificationsStub) -> None:
        self._notifications = notifications

    async def list_notifications(
        self,
        *,
        principal: Principal,
        page_size: int = 20,
        page_token: str | None = None,
        user_id: str | None = None,
        agent_id: str | None = None,
        order_id: str | None = None,
        status: NotificationStatus | None = None,
    ) -> NotificationRecordPage:
        """listNotifications → delivery.notifications.v1.NotificationsService.ListNotifications."""
        return await self._notifications.list_notifications(
            _requests.list_notifications(
                page_size=page_size,
                page_token=page_token,
                user_id=user_id,
                agent_id=agent_id,
                order_id=order_id,
                status=status,
            ),
            _pages.notification_record_page,
        )

    async def list_agents(
        self, *, principal: Principal, page_size: int = 20, page_token: str | None = None
    ) -> AgentPage:
        """listAgents → delivery.notifications.v1.NotificationsService.ListAgents."""
        return await self._notifications.list_agents(
            _requests.list_agents(page_size=page_size, page_token=page_token), _pages.agent_page
        )

    async def create_agent(
        self, *, principal: Principal, body: CreateAgentRequest, idempotency_key: str | None = None
    ) -> Response[Agent]:
        """createAgent → delivery.notifications.v1.NotificationsService.CreateAgent."""
        _response = await self._notifications.create_agent(
            _requests.create_agent(body=body, idempotency_key=idempotency_key)
        )
        _result = _convert.agent(_require(_response.agent))
        return Response(
            _result,
            {"Location": f"/api/v1/notification-agents/{_result.id}", "ETag": _response.etag},
            replayed=_response.replayed,
        )

    async def get_agent(self, *, principal: Principal, agent_id: str) -> Response[Agent]:
        """getAgent → delivery.notifications.v1.NotificationsService.GetAgent."""
        _response = await self._notifications.get_agent(_requests.get_agent(agent_id=agent_id))
        return Response(_convert.agent(_require(_response.agent)), {"ETag": _response.etag})

    async def update_agent(
        self, *, principal: Principal, agent_id: str, body: AgentPatch, if_match: str | None = None
    ) -> Response[Agent]:
        """updateAgent → delivery.notifications.v1.NotificationsService.UpdateAgent."""
        _response = await self._notifications.update_agent(
            _requests.update_agent(agent_id=agent_id, body=body, if_match=if_match)
        )
        return Response(_convert.agent(_require(_response.agent)), {"ETag": _response.etag})


class ForwardingCallbacksHandler(CallbacksHandler):
    """Operations tagged `callbacks` with an RPC method."""

    def __init__(self, orders: OrdersStub, partners: PartnersStub) -> None:
        self._orders = orders
        self._partners = partners

    async def payment_callback(self, *, webhook: SignedRequest, bank_id: str) -> PaymentReceipt:
        """paymentCallback → delivery.orders.v1.OrdersService.HandlePaymentCallback."""
        _response = await self._orders.handle_payment_callback(
            _requests.payment_callback(webhook=webhook, bank_id=bank_id)
        )
        return _convert.payment_receipt(_response)

    async def partner_ready_callback(self, *, webhook: SignedRequest, partner_id: int) -> None:
        """partnerReadyCallback → delivery.partners.v1.PartnersService.HandleReadyCallback."""
        await self._partners.handle_ready_callback(
            _requests.partner_ready_callback(webhook=webhook, partner_id=partner_id)
        )
