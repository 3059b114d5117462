"""Written by `make generate` from api-specs/proto. Do not edit."""

from abc import abstractmethod
from collections.abc import AsyncIterator, Callable

from generated.proto.delivery.orders.v1 import (
    AssignOrderRequest,
    AssignOrderResponse,
    CancelOrderRequest,
    CancelOrderResponse,
    CompleteOrderRequest,
    CompleteOrderResponse,
    CreateBankRequest,
    CreateBankResponse,
    CreateOrderRequest,
    CreateOrderResponse,
    GetBankRequest,
    GetBankResponse,
    GetOrderHistoryRequest,
    GetOrderHistoryResponse,
    GetOrderRequest,
    GetOrderResponse,
    GetPaymentInstructionsRequest,
    GetPaymentInstructionsResponse,
    HandlePaymentCallbackRequest,
    HandlePaymentCallbackResponse,
    ListAvailableDeliveriesRequest,
    ListAvailableDeliveriesResponse,
    ListBanksRequest,
    ListBanksResponse,
    ListOrdersRequest,
    ListOrdersResponse,
    ListPaymentsRequest,
    ListPaymentsResponse,
    ListRefundsRequest,
    ListRefundsResponse,
    ListRegisteredBanksRequest,
    ListRegisteredBanksResponse,
    ReportDelivererPositionRequest,
    ReportDelivererPositionResponse,
    RetryRefundRequest,
    RetryRefundResponse,
    RotateBankSecretRequest,
    RotateBankSecretResponse,
    SettleRefundRequest,
    SettleRefundResponse,
    UpdateBankRequest,
    UpdateBankResponse,
    WatchOrderRequest,
    WatchOrderResponse,
)
from services.runtime.core.principal import Principal
from services.runtime.rpc.codec import PreEncoded, Wire
from services.runtime.rpc.method import Idempotency, Method
from services.runtime.rpc.servicer import Servicer
from services.runtime.rpc.stub import Stub

LIST_BANKS: Method[ListBanksRequest, ListBanksResponse] = Method(
    service="delivery.orders.v1.OrdersService",
    name="ListBanks",
    attribute="list_banks",
    request=ListBanksRequest,
    response=ListBanksResponse,
    server_streaming=False,
    idempotency=Idempotency.NO_SIDE_EFFECTS,
    callers=("gateway",),
    actor_required=False,
    timeout_s=5.0,
    max_attempts=3,
    constraints={
        "properties": {
            "page_size": {"format": "int32", "maximum": 100, "minimum": 1, "type": "integer"},
            "page_token": {"maxLength": 512, "minLength": 1, "pattern": "^[A-Za-z0-9_-]+$", "type": "string"},
        },
        "required": [],
        "x-implicit-presence": ["page_size", "page_token"],
    },
)


LIST_REGISTERED_BANKS: Method[ListRegisteredBanksRequest, ListRegisteredBanksResponse] = Method(
    service="delivery.orders.v1.OrdersService",
    name="ListRegisteredBanks",
    attribute="list_registered_banks",
    request=ListRegisteredBanksRequest,
    response=ListRegisteredBanksResponse,
    server_streaming=False,
    idempotency=Idempotency.NO_SIDE_EFFECTS,
    callers=("gateway",),
    actor_required=True,
    timeout_s=5.0,
    max_attempts=3,
    constraints={
        "properties": {
            "page_size": {"format": "int32", "maximum": 100, "minimum": 1, "type": "integer"},
            "page_token": {"maxLength": 512, "minLength": 1, "pattern": "^[A-Za-z0-9_-]+$", "type": "string"},
            "active": {"type": "boolean"},
        },
        "required": [],
        "x-implicit-presence": ["page_size", "page_token"],
    },
)


CREATE_BANK: Method[CreateBankRequest, CreateBankResponse] = Method(
    service="delivery.orders.v1.OrdersService",
    name="CreateBank",
    attribute="create_bank",
    request=CreateBankRequest,
    response=CreateBankResponse,
    server_streaming=False,
    idempotency=Idempotency.IDEMPOTENT,
    callers=("gateway",),
    actor_required=True,
    timeout_s=5.0,
    max_attempts=3,
    constraints={
        "properties": {
            "id": {"maxLength": 32, "minLength": 1, "pattern": "^[a-z0-9-]+$", "type": "string"},
            "title": {
                "maxLength": 100,
                "minLength": 1,
                "pattern": "^[^\\S\\x00-\\x1f\\x7f]*[^\\s\\x00-\\x1f\\x7f][^\\x00-\\x1f\\x7f]*$",
                "type": "string",
            },
            "webcheckout_url": {
                "format": "uri",
                "maxLength": 500,
                "minLength": 8,
                "pattern": "^https?://[\\x21-\\x7e]+$",
                "type": "string",
            },
            "api_url": {
                "format": "uri",
                "maxLength": 500,
                "minLength": 8,
                "pattern": "^https?://[\\x21-\\x7e]+$",
                "type": "string",
            },
            "active": {"type": "boolean"},
            "idempotency_key": {"pattern": "^[\\x21-\\x7e]{1,64}$", "type": "string"},
        },
        "required": ["active", "api_url", "id", "title", "webcheckout_url"],
        "x-implicit-presence": [],
    },
)


GET_BANK: Method[GetBankRequest, GetBankResponse] = Method(
    service="delivery.orders.v1.OrdersService",
    name="GetBank",
    attribute="get_bank",
    request=GetBankRequest,
    response=GetBankResponse,
    server_streaming=False,
    idempotency=Idempotency.NO_SIDE_EFFECTS,
    callers=("gateway",),
    actor_required=True,
    timeout_s=5.0,
    max_attempts=3,
    constraints={
        "properties": {"bank_id": {"maxLength": 32, "minLength": 1, "pattern": "^[a-z0-9-]+$", "type": "string"}},
        "required": ["bank_id"],
        "x-implicit-presence": [],
    },
)


UPDATE_BANK: Method[UpdateBankRequest, UpdateBankResponse] = Method(
    service="delivery.orders.v1.OrdersService",
    name="UpdateBank",
    attribute="update_bank",
    request=UpdateBankRequest,
    response=UpdateBankResponse,
    server_streaming=False,
    idempotency=Idempotency.IDEMPOTENCY_UNKNOWN,
    callers=("gateway",),
    actor_required=True,
    timeout_s=5.0,
    max_attempts=1,
    constraints={
        "properties": {
            "bank_id": {"maxLength": 32, "minLength": 1, "pattern": "^[a-z0-9-]+$", "type": "string"},
            "title": {
                "maxLength": 100,
                "minLength": 1,
                "pattern": "^[^\\S\\x00-\\x1f\\x7f]*[^\\s\\x00-\\x1f\\x7f][^\\x00-\\x1f\\x7f]*$",
                "type": "string",
            },
            "webcheckout_url": {
                "format": "uri",
                "maxLength": 500,
                "minLength": 8,
                "pattern": "^https?://[\\x21-\\x7e]+$",
                "type": "string",
            },
            "api_url": {
                "format": "uri",
                "maxLength": 500,
                "minLength": 8,
                "pattern": "^https?://[\\x21-\\x7e]+$",
                "type": "string",
            },
            "active": {"type": "boolean"},
        },
        "required": ["bank_id"],
        "x-implicit-presence": [],
    },
)


ROTATE_BANK_SECRET: Method[RotateBankSecretRequest, RotateBankSecretResponse] = Method(
    service="delivery.orders.v1.OrdersService",
    name="RotateBankSecret",
    attribute="rotate_bank_secret",
    request=RotateBankSecretRequest,
    response=RotateBankSecretResponse,
    server_streaming=False,
    idempotency=Idempotency.IDEMPOTENCY_UNKNOWN,
    callers=("gateway",),
    actor_required=True,
    timeout_s=5.0,
    max_attempts=1,
    constraints={
        "properties": {
            "bank_id": {"maxLength": 32, "minLength": 1, "pattern": "^[a-z0-9-]+$", "type": "string"},
            "idempotency_key": {"pattern": "^[\\x21-\\x7e]{1,64}$", "type": "string"},
        },
        "required": ["bank_id"],
        "x-implicit-presence": [],
    },
)


CREATE_ORDER: Method[CreateOrderRequest, CreateOrderResponse] = Method(
    service="delivery.orders.v1.OrdersService",
    name="CreateOrder",
    attribute="create_order",
    request=CreateOrderRequest,
    response=CreateOrderResponse,
    server_streaming=False,
    idempotency=Idempotency.IDEMPOTENT,
    callers=("gateway",),
    actor_required=True,
    timeout_s=5.0,
    max_attempts=3,
    constraints={
        "properties": {
            "basket": {
                "properties": {
                    "partner": {
                        "properties": {
                            "id": {"format": "int64", "maximum": 9007199254740991, "minimum": 1, "type": "integer"},
                            "title": {"type": "string"},
                            "brand": {"type": "string"},
                        },
                        "required": ["brand", "id", "title"],
                        "x-implicit-presence": [],
                    },
                    "items": {
                        "items": {
                            "properties": {
                                "product_id": {
                                    "format": "int64",
                                    "maximum": 9007199254740991,
                                    "minimum": 1,
                                    "type": "integer",
                                },
                                "title": {"type": "string"},
                                "quantity": {"format": "int32", "maximum": 99, "minimum": 1, "type": "integer"},
                                "price": {"format": "int64", "maximum": 1000000000, "minimum": 0, "type": "integer"},
                            },
                            "required": ["price", "product_id", "quantity", "title"],
                            "x-implicit-presence": [],
                        }
                    },
                    "address": {
                        "properties": {
                            "street": {"type": "string"},
                            "unit": {"type": "string"},
                            "postal_code": {"type": "string"},
                            "city": {"type": "string"},
                            "region": {"type": "string"},
                            "country": {"type": "string"},
                            "coordinates": {
                                "properties": {
                                    "latitude": {"format": "double", "maximum": 90, "minimum": -90, "type": "number"},
                                    "longitude": {
                                        "format": "double",
                                        "maximum": 180,
                                        "minimum": -180,
                                        "type": "number",
                                    },
                                },
                                "required": ["latitude", "longitude"],
                                "x-implicit-presence": [],
                            },
                        },
                        "required": ["city", "country", "street"],
                        "x-implicit-presence": [],
                    },
                },
                "required": [],
                "x-implicit-presence": ["items"],
            }
        },
        "required": [],
        "x-implicit-presence": [],
    },
)


GET_ORDER: Method[GetOrderRequest, GetOrderResponse] = Method(
    service="delivery.orders.v1.OrdersService",
    name="GetOrder",
    attribute="get_order",
    request=GetOrderRequest,
    response=GetOrderResponse,
    server_streaming=False,
    idempotency=Idempotency.NO_SIDE_EFFECTS,
    callers=("gateway",),
    actor_required=True,
    timeout_s=5.0,
    max_attempts=3,
    constraints={
        "properties": {"order_id": {"maxLength": 64, "minLength": 1, "pattern": "^[A-Za-z0-9_-]+$", "type": "string"}},
        "required": ["order_id"],
        "x-implicit-presence": [],
    },
)


GET_PAYMENT_INSTRUCTIONS: Method[GetPaymentInstructionsRequest, GetPaymentInstructionsResponse] = Method(
    service="delivery.orders.v1.OrdersService",
    name="GetPaymentInstructions",
    attribute="get_payment_instructions",
    request=GetPaymentInstructionsRequest,
    response=GetPaymentInstructionsResponse,
    server_streaming=False,
    idempotency=Idempotency.NO_SIDE_EFFECTS,
    callers=("gateway",),
    actor_required=True,
    timeout_s=5.0,
    max_attempts=3,
    constraints={
        "properties": {
            "order_id": {"maxLength": 64, "minLength": 1, "pattern": "^[A-Za-z0-9_-]+$", "type": "string"},
            "return_url": {
                "format": "uri",
                "maxLength": 500,
                "minLength": 8,
                "pattern": "^https?://[\\x21-\\x7e]+$",
                "type": "string",
            },
        },
        "required": ["order_id"],
        "x-implicit-presence": [],
    },
)


LIST_ORDERS: Method[ListOrdersRequest, ListOrdersResponse] = Method(
    service="delivery.orders.v1.OrdersService",
    name="ListOrders",
    attribute="list_orders",
    request=ListOrdersRequest,
    response=ListOrdersResponse,
    server_streaming=False,
    idempotency=Idempotency.NO_SIDE_EFFECTS,
    callers=("gateway",),
    actor_required=True,
    timeout_s=5.0,
    max_attempts=3,
    constraints={
        "properties": {
            "page_size": {"format": "int32", "maximum": 100, "minimum": 1, "type": "integer"},
            "page_token": {"maxLength": 512, "minLength": 1, "pattern": "^[A-Za-z0-9_-]+$", "type": "string"},
        },
        "required": [],
        "x-implicit-presence": ["page_size", "page_token"],
    },
)


LIST_AVAILABLE_DELIVERIES: Method[ListAvailableDeliveriesRequest, ListAvailableDeliveriesResponse] = Method(
    service="delivery.orders.v1.OrdersService",
    name="ListAvailableDeliveries",
    attribute="list_available_deliveries",
    request=ListAvailableDeliveriesRequest,
    response=ListAvailableDeliveriesResponse,
    server_streaming=False,
    idempotency=Idempotency.NO_SIDE_EFFECTS,
    callers=("gateway",),
    actor_required=True,
    timeout_s=5.0,
    max_attempts=3,
    constraints={
        "properties": {
            "page_size": {"format": "int32", "maximum": 100, "minimum": 1, "type": "integer"},
            "page_token": {"maxLength": 512, "minLength": 1, "pattern": "^[A-Za-z0-9_-]+$", "type": "string"},
        },
        "required": [],
        "x-implicit-presence": ["page_size", "page_token"],
    },
)


HANDLE_PAYMENT_CALLBACK: Method[HandlePaymentCallbackRequest, HandlePaymentCallbackResponse] = Method(
    service="delivery.orders.v1.OrdersService",
    name="HandlePaymentCallback",
    attribute="handle_payment_callback",
    request=HandlePaymentCallbackRequest,
    response=HandlePaymentCallbackResponse,
    server_streaming=False,
    idempotency=Idempotency.IDEMPOTENT,
    callers=("gateway",),
    actor_required=False,
    timeout_s=5.0,
    max_attempts=3,
    constraints={
        "properties": {"bank_id": {"maxLength": 32, "minLength": 1, "pattern": "^[a-z0-9-]+$", "type": "string"}},
        "required": ["bank_id"],
        "x-implicit-presence": [],
    },
)


LIST_PAYMENTS: Method[ListPaymentsRequest, ListPaymentsResponse] = Method(
    service="delivery.orders.v1.OrdersService",
    name="ListPayments",
    attribute="list_payments",
    request=ListPaymentsRequest,
    response=ListPaymentsResponse,
    server_streaming=False,
    idempotency=Idempotency.NO_SIDE_EFFECTS,
    callers=("gateway",),
    actor_required=True,
    timeout_s=5.0,
    max_attempts=3,
    constraints={
        "properties": {
            "page_size": {"format": "int32", "maximum": 100, "minimum": 1, "type": "integer"},
            "page_token": {"maxLength": 512, "minLength": 1, "pattern": "^[A-Za-z0-9_-]+$", "type": "string"},
            "order_id": {"maxLength": 64, "minLength": 1, "pattern": "^[A-Za-z0-9_-]+$", "type": "string"},
            "bank_id": {"maxLength": 32, "minLength": 1, "pattern": "^[a-z0-9-]+$", "type": "string"},
        },
        "required": [],
        "x-implicit-presence": ["page_size", "page_token"],
    },
)


LIST_REFUNDS: Method[ListRefundsRequest, ListRefundsResponse] = Method(
    service="delivery.orders.v1.OrdersService",
    name="ListRefunds",
    attribute="list_refunds",
    request=ListRefundsRequest,
    response=ListRefundsResponse,
    server_streaming=False,
    idempotency=Idempotency.NO_SIDE_EFFECTS,
    callers=("gateway",),
    actor_required=True,
    timeout_s=5.0,
    max_attempts=3,
    constraints={
        "properties": {
            "page_size": {"format": "int32", "maximum": 100, "minimum": 1, "type": "integer"},
            "page_token": {"maxLength": 512, "minLength": 1, "pattern": "^[A-Za-z0-9_-]+$", "type": "string"},
            "order_id": {"maxLength": 64, "minLength": 1, "pattern": "^[A-Za-z0-9_-]+$", "type": "string"},
            "bank_id": {"maxLength": 32, "minLength": 1, "pattern": "^[a-z0-9-]+$", "type": "string"},
        },
        "required": [],
        "x-implicit-presence": ["page_size", "page_token"],
    },
)


RETRY_REFUND: Method[RetryRefundRequest, RetryRefundResponse] = Method(
    service="delivery.orders.v1.OrdersService",
    name="RetryRefund",
    attribute="retry_refund",
    request=RetryRefundRequest,
    response=RetryRefundResponse,
    server_streaming=False,
    idempotency=Idempotency.IDEMPOTENCY_UNKNOWN,
    callers=("gateway",),
    actor_required=True,
    timeout_s=5.0,
    max_attempts=1,
    constraints={
        "properties": {"refund_id": {"maxLength": 64, "minLength": 1, "pattern": "^[A-Za-z0-9_-]+$", "type": "string"}},
        "required": ["refund_id"],
        "x-implicit-presence": [],
    },
)


SETTLE_REFUND: Method[SettleRefundRequest, SettleRefundResponse] = Method(
    service="delivery.orders.v1.OrdersService",
    name="SettleRefund",
    attribute="settle_refund",
    request=SettleRefundRequest,
    response=SettleRefundResponse,
    server_streaming=False,
    idempotency=Idempotency.IDEMPOTENCY_UNKNOWN,
    callers=("gateway",),
    actor_required=True,
    timeout_s=5.0,
    max_attempts=1,
    constraints={
        "properties": {
            "refund_id": {"maxLength": 64, "minLength": 1, "pattern": "^[A-Za-z0-9_-]+$", "type": "string"},
            "note": {
                "maxLength": 500,
                "minLength": 1,
                "pattern": "^[^\\S\\x00-\\x1f\\x7f]*[^\\s\\x00-\\x1f\\x7f][^\\x00-\\x1f\\x7f]*$",
                "type": "string",
            },
        },
        "required": ["note", "refund_id"],
        "x-implicit-presence": [],
    },
)


WATCH_ORDER: Method[WatchOrderRequest, WatchOrderResponse] = Method(
    service="delivery.orders.v1.OrdersService",
    name="WatchOrder",
    attribute="watch_order",
    request=WatchOrderRequest,
    response=WatchOrderResponse,
    server_streaming=True,
    idempotency=Idempotency.NO_SIDE_EFFECTS,
    callers=("gateway",),
    actor_required=True,
    timeout_s=None,
    max_attempts=1,
    constraints={
        "properties": {"order_id": {"maxLength": 64, "minLength": 1, "pattern": "^[A-Za-z0-9_-]+$", "type": "string"}},
        "required": ["order_id"],
        "x-implicit-presence": [],
    },
)


CANCEL_ORDER: Method[CancelOrderRequest, CancelOrderResponse] = Method(
    service="delivery.orders.v1.OrdersService",
    name="CancelOrder",
    attribute="cancel_order",
    request=CancelOrderRequest,
    response=CancelOrderResponse,
    server_streaming=False,
    idempotency=Idempotency.IDEMPOTENCY_UNKNOWN,
    callers=("gateway",),
    actor_required=True,
    timeout_s=5.0,
    max_attempts=1,
    constraints={
        "properties": {
            "order_id": {"maxLength": 64, "minLength": 1, "pattern": "^[A-Za-z0-9_-]+$", "type": "string"},
            "reason": {"maxLength": 500, "minLength": 1, "pattern": "^\\s*[^\\x00\\s][^\\x00]*$", "type": "string"},
        },
        "required": ["order_id"],
        "x-implicit-presence": [],
    },
)


ASSIGN_ORDER: Method[AssignOrderRequest, AssignOrderResponse] = Method(
    service="delivery.orders.v1.OrdersService",
    name="AssignOrder",
    attribute="assign_order",
    request=AssignOrderRequest,
    response=AssignOrderResponse,
    server_streaming=False,
    idempotency=Idempotency.IDEMPOTENT,
    callers=("gateway",),
    actor_required=True,
    timeout_s=5.0,
    max_attempts=3,
    constraints={
        "properties": {"order_id": {"maxLength": 64, "minLength": 1, "pattern": "^[A-Za-z0-9_-]+$", "type": "string"}},
        "required": ["order_id"],
        "x-implicit-presence": [],
    },
)


REPORT_DELIVERER_POSITION: Method[ReportDelivererPositionRequest, ReportDelivererPositionResponse] = Method(
    service="delivery.orders.v1.OrdersService",
    name="ReportDelivererPosition",
    attribute="report_deliverer_position",
    request=ReportDelivererPositionRequest,
    response=ReportDelivererPositionResponse,
    server_streaming=False,
    idempotency=Idempotency.IDEMPOTENCY_UNKNOWN,
    callers=("gateway",),
    actor_required=True,
    timeout_s=5.0,
    max_attempts=1,
    constraints={
        "properties": {
            "order_id": {"maxLength": 64, "minLength": 1, "pattern": "^[A-Za-z0-9_-]+$", "type": "string"},
            "latitude": {"format": "double", "maximum": 90, "minimum": -90, "type": "number"},
            "longitude": {"format": "double", "maximum": 180, "minimum": -180, "type": "number"},
        },
        "required": ["latitude", "longitude", "order_id"],
        "x-implicit-presence": [],
    },
)


COMPLETE_ORDER: Method[CompleteOrderRequest, CompleteOrderResponse] = Method(
    service="delivery.orders.v1.OrdersService",
    name="CompleteOrder",
    attribute="complete_order",
    request=CompleteOrderRequest,
    response=CompleteOrderResponse,
    server_streaming=False,
    idempotency=Idempotency.IDEMPOTENT,
    callers=("gateway",),
    actor_required=True,
    timeout_s=5.0,
    max_attempts=3,
    constraints={
        "properties": {"order_id": {"maxLength": 64, "minLength": 1, "pattern": "^[A-Za-z0-9_-]+$", "type": "string"}},
        "required": ["order_id"],
        "x-implicit-presence": [],
    },
)


GET_ORDER_HISTORY: Method[GetOrderHistoryRequest, GetOrderHistoryResponse] = Method(
    service="delivery.orders.v1.OrdersService",
    name="GetOrderHistory",
    attribute="get_order_history",
    request=GetOrderHistoryRequest,
    response=GetOrderHistoryResponse,
    server_streaming=False,
    idempotency=Idempotency.NO_SIDE_EFFECTS,
    callers=("gateway",),
    actor_required=True,
    timeout_s=5.0,
    max_attempts=3,
    constraints={
        "properties": {
            "order_id": {"maxLength": 64, "minLength": 1, "pattern": "^[A-Za-z0-9_-]+$", "type": "string"},
            "page_size": {"format": "int32", "maximum": 100, "minimum": 1, "type": "integer"},
            "page_token": {"maxLength": 512, "minLength": 1, "pattern": "^[A-Za-z0-9_-]+$", "type": "string"},
        },
        "required": ["order_id"],
        "x-implicit-presence": ["page_size", "page_token"],
    },
)


class OrdersServicer(Servicer):
    """Orders from the confirmed basket to delivery, their payments, and the banks that take them."""

    SERVICE = "delivery.orders.v1.OrdersService"
    METHODS = (
        LIST_BANKS,
        LIST_REGISTERED_BANKS,
        CREATE_BANK,
        GET_BANK,
        UPDATE_BANK,
        ROTATE_BANK_SECRET,
        CREATE_ORDER,
        GET_ORDER,
        GET_PAYMENT_INSTRUCTIONS,
        LIST_ORDERS,
        LIST_AVAILABLE_DELIVERIES,
        HANDLE_PAYMENT_CALLBACK,
        LIST_PAYMENTS,
        LIST_REFUNDS,
        RETRY_REFUND,
        SETTLE_REFUND,
        WATCH_ORDER,
        CANCEL_ORDER,
        ASSIGN_ORDER,
        REPORT_DELIVERER_POSITION,
        COMPLETE_ORDER,
        GET_ORDER_HISTORY,
    )

    @abstractmethod
    async def list_banks(self, request: ListBanksRequest) -> ListBanksResponse | PreEncoded[ListBanksResponse]:
        """Lists the banks that customers can pay at."""

    @abstractmethod
    async def list_registered_banks(
        self, request: ListRegisteredBanksRequest, principal: Principal
    ) -> ListRegisteredBanksResponse | PreEncoded[ListRegisteredBanksResponse]:
        """Lists the registered banks, active and inactive ones."""

    @abstractmethod
    async def create_bank(
        self, request: CreateBankRequest, principal: Principal
    ) -> CreateBankResponse | PreEncoded[CreateBankResponse]:
        """Registers a bank and returns its webhook secret, once. Errors: BANK_EXISTS.
        With an idempotency key, a repeated request returns the first response again, without the secret.
        """

    @abstractmethod
    async def get_bank(self, request: GetBankRequest, principal: Principal) -> GetBankResponse:
        """Returns a bank. Errors: BANK_NOT_FOUND."""

    @abstractmethod
    async def update_bank(self, request: UpdateBankRequest, principal: Principal) -> UpdateBankResponse:
        """Updates the given fields of a bank. Errors: BANK_NOT_FOUND, PRECONDITION_FAILED."""

    @abstractmethod
    async def rotate_bank_secret(
        self, request: RotateBankSecretRequest, principal: Principal
    ) -> RotateBankSecretResponse | PreEncoded[RotateBankSecretResponse]:
        """Replaces the webhook secret and returns the new one. Every replaced secret stays valid for 24 hours.
        Errors: BANK_NOT_FOUND, IDEMPOTENCY_KEY_BUSY, IDEMPOTENCY_KEY_REUSED, TOO_MANY_REQUESTS.
        """

    @abstractmethod
    async def create_order(
        self, request: CreateOrderRequest, principal: Principal
    ) -> CreateOrderResponse | PreEncoded[CreateOrderResponse]:
        """Creates an order from a checked basket. The same check always returns the same order.
        Errors: BANK_UNAVAILABLE, CHECK_EXPIRED, RETURN_URL_NOT_ALLOWED, UPSTREAM_UNAVAILABLE, and the rejection in the
        request.
        """

    @abstractmethod
    async def get_order(self, request: GetOrderRequest, principal: Principal) -> GetOrderResponse:
        """Returns an order to its customer, its deliverer or an admin. Errors: ORDER_NOT_FOUND."""

    @abstractmethod
    async def get_payment_instructions(
        self, request: GetPaymentInstructionsRequest, principal: Principal
    ) -> GetPaymentInstructionsResponse:
        """Returns the payment instructions of a pending order to its customer.
        Errors: ORDER_NOT_FOUND, ORDER_STATE_CONFLICT, BANK_UNAVAILABLE, RETURN_URL_NOT_ALLOWED.
        """

    @abstractmethod
    async def list_orders(
        self, request: ListOrdersRequest, principal: Principal
    ) -> ListOrdersResponse | PreEncoded[ListOrdersResponse]:
        """Lists orders, newest first: a customer's own, a deliverer's assigned, all for an admin."""

    @abstractmethod
    async def list_available_deliveries(
        self, request: ListAvailableDeliveriesRequest, principal: Principal
    ) -> ListAvailableDeliveriesResponse | PreEncoded[ListAvailableDeliveriesResponse]:
        """Lists the orders that are ready for pickup, longest ready first."""

    @abstractmethod
    async def handle_payment_callback(self, request: HandlePaymentCallbackRequest) -> HandlePaymentCallbackResponse:
        """Verifies a bank's signed payment callback and records the payment.
        A payment may have succeeded or failed. A repeated webhook id returns the first result again.
        Errors: SIGNATURE_INVALID, INVALID_REQUEST, ORDER_NOT_FOUND, PAYMENT_CONFLICT, PAYMENT_INSUFFICIENT,
        WEBHOOK_ID_REUSED, PAYMENT_ID_REUSED.
        """

    @abstractmethod
    async def list_payments(
        self, request: ListPaymentsRequest, principal: Principal
    ) -> ListPaymentsResponse | PreEncoded[ListPaymentsResponse]:
        """Lists recorded payments, newest first."""

    @abstractmethod
    async def list_refunds(
        self, request: ListRefundsRequest, principal: Principal
    ) -> ListRefundsResponse | PreEncoded[ListRefundsResponse]:
        """Lists refunds, newest first."""

    @abstractmethod
    async def retry_refund(self, request: RetryRefundRequest, principal: Principal) -> RetryRefundResponse:
        """Requests a failed refund again, or sends a requested one now. Errors: REFUND_NOT_FOUND, REFUND_CONFLICT."""

    @abstractmethod
    async def settle_refund(self, request: SettleRefundRequest, principal: Principal) -> SettleRefundResponse:
        """Records that the money of a failed refund was returned by other means. Errors: REFUND_NOT_FOUND, REFUND_CONFLICT."""

    @abstractmethod
    def watch_order(self, request: WatchOrderRequest, principal: Principal) -> AsyncIterator[WatchOrderResponse]:
        """Streams the status of an order and every later change, until the status is final or the token expires.
        With `after_version`, the stream starts with the changes since that version. Errors: ORDER_NOT_FOUND.
        """

    @abstractmethod
    async def cancel_order(self, request: CancelOrderRequest, principal: Principal) -> CancelOrderResponse:
        """Cancels an order and refunds its payment. The customer may cancel while it is pending or paid, an admin also while
        it is ready. Errors: ORDER_NOT_FOUND, ORDER_STATE_CONFLICT.
        """

    @abstractmethod
    async def assign_order(self, request: AssignOrderRequest, principal: Principal) -> AssignOrderResponse:
        """Assigns a ready order to the calling deliverer. Only the first caller succeeds.
        Errors: ORDER_NOT_FOUND, ORDER_STATE_CONFLICT.
        """

    @abstractmethod
    async def report_deliverer_position(
        self, request: ReportDelivererPositionRequest, principal: Principal
    ) -> ReportDelivererPositionResponse:
        """Replaces the position of the deliverer of an order that is being delivered, for the customer who watches it.
        Errors: ORDER_NOT_FOUND, ORDER_STATE_CONFLICT.
        """

    @abstractmethod
    async def complete_order(self, request: CompleteOrderRequest, principal: Principal) -> CompleteOrderResponse:
        """Marks an order as delivered. Errors: ORDER_NOT_FOUND, ORDER_STATE_CONFLICT."""

    @abstractmethod
    async def get_order_history(
        self, request: GetOrderHistoryRequest, principal: Principal
    ) -> GetOrderHistoryResponse | PreEncoded[GetOrderHistoryResponse]:
        """Lists the history of an order, oldest first, if the order is visible to the caller. Errors: ORDER_NOT_FOUND."""


class OrdersStub(Stub):
    """Orders from the confirmed basket to delivery, their payments, and the banks that take them."""

    METHODS = OrdersServicer.METHODS

    async def list_banks[Page](
        self, request: ListBanksRequest, read: Callable[[Wire], Page], *, timeout: float | None = None
    ) -> Page:
        """Lists the banks that customers can pay at."""
        return await self.call_unary_wire(LIST_BANKS, request, read, timeout)

    async def list_registered_banks[Page](
        self, request: ListRegisteredBanksRequest, read: Callable[[Wire], Page], *, timeout: float | None = None
    ) -> Page:
        """Lists the registered banks, active and inactive ones."""
        return await self.call_unary_wire(LIST_REGISTERED_BANKS, request, read, timeout)

    async def create_bank(self, request: CreateBankRequest, *, timeout: float | None = None) -> CreateBankResponse:
        """Registers a bank and returns its webhook secret, once. Errors: BANK_EXISTS.
        With an idempotency key, a repeated request returns the first response again, without the secret.
        """
        return await self.call_unary(CREATE_BANK, request, timeout)

    async def get_bank(self, request: GetBankRequest, *, timeout: float | None = None) -> GetBankResponse:
        """Returns a bank. Errors: BANK_NOT_FOUND."""
        return await self.call_unary(GET_BANK, request, timeout)

    async def update_bank(self, request: UpdateBankRequest, *, timeout: float | None = None) -> UpdateBankResponse:
        """Updates the given fields of a bank. Errors: BANK_NOT_FOUND, PRECONDITION_FAILED."""
        return await self.call_unary(UPDATE_BANK, request, timeout)

    async def rotate_bank_secret(
        self, request: RotateBankSecretRequest, *, timeout: float | None = None
    ) -> RotateBankSecretResponse:
        """Replaces the webhook secret and returns the new one. Every replaced secret stays valid for 24 hours.
        Errors: BANK_NOT_FOUND, IDEMPOTENCY_KEY_BUSY, IDEMPOTENCY_KEY_REUSED, TOO_MANY_REQUESTS.
        """
        return await self.call_unary(ROTATE_BANK_SECRET, request, timeout)

    async def create_order(self, request: CreateOrderRequest, *, timeout: float | None = None) -> CreateOrderResponse:
        """Creates an order from a checked basket. The same check always returns the same order.
        Errors: BANK_UNAVAILABLE, CHECK_EXPIRED, RETURN_URL_NOT_ALLOWED, UPSTREAM_UNAVAILABLE, and the rejection in the
        request.
        """
        return await self.call_unary(CREATE_ORDER, request, timeout)

    async def get_order(self, request: GetOrderRequest, *, timeout: float | None = None) -> GetOrderResponse:
        """Returns an order to its customer, its deliverer or an admin. Errors: ORDER_NOT_FOUND."""
        return await self.call_unary(GET_ORDER, request, timeout)

    async def get_payment_instructions(
        self, request: GetPaymentInstructionsRequest, *, timeout: float | None = None
    ) -> GetPaymentInstructionsResponse:
        """Returns the payment instructions of a pending order to its customer.
        Errors: ORDER_NOT_FOUND, ORDER_STATE_CONFLICT, BANK_UNAVAILABLE, RETURN_URL_NOT_ALLOWED.
        """
        return await self.call_unary(GET_PAYMENT_INSTRUCTIONS, request, timeout)

    async def list_orders[Page](
        self, request: ListOrdersRequest, read: Callable[[Wire], Page], *, timeout: float | None = None
    ) -> Page:
        """Lists orders, newest first: a customer's own, a deliverer's assigned, all for an admin."""
        return await self.call_unary_wire(LIST_ORDERS, request, read, timeout)

    async def list_available_deliveries[Page](
        self, request: ListAvailableDeliveriesRequest, read: Callable[[Wire], Page], *, timeout: float | None = None
    ) -> Page:
        """Lists the orders that are ready for pickup, longest ready first."""
        return await self.call_unary_wire(LIST_AVAILABLE_DELIVERIES, request, read, timeout)

    async def handle_payment_callback(
        self, request: HandlePaymentCallbackRequest, *, timeout: float | None = None
    ) -> HandlePaymentCallbackResponse:
        """Verifies a bank's signed payment callback and records the payment.
        A payment may have succeeded or failed. A repeated webhook id returns the first result again.
        Errors: SIGNATURE_INVALID, INVALID_REQUEST, ORDER_NOT_FOUND, PAYMENT_CONFLICT, PAYMENT_INSUFFICIENT,
        WEBHOOK_ID_REUSED, PAYMENT_ID_REUSED.
        """
        return await self.call_unary(HANDLE_PAYMENT_CALLBACK, request, timeout)

    async def list_payments[Page](
        self, request: ListPaymentsRequest, read: Callable[[Wire], Page], *, timeout: float | None = None
    ) -> Page:
        """Lists recorded payments, newest first."""
        return await self.call_unary_wire(LIST_PAYMENTS, request, read, timeout)

    async def list_refunds[Page](
        self, request: ListRefundsRequest, read: Callable[[Wire], Page], *, timeout: float | None = None
    ) -> Page:
        """Lists refunds, newest first."""
        return await self.call_unary_wire(LIST_REFUNDS, request, read, timeout)

    async def retry_refund(self, request: RetryRefundRequest, *, timeout: float | None = None) -> RetryRefundResponse:
        """Requests a failed refund again, or sends a requested one now. Errors: REFUND_NOT_FOUND, REFUND_CONFLICT."""
        return await self.call_unary(RETRY_REFUND, request, timeout)

    async def settle_refund(
        self, request: SettleRefundRequest, *, timeout: float | None = None
    ) -> SettleRefundResponse:
        """Records that the money of a failed refund was returned by other means. Errors: REFUND_NOT_FOUND, REFUND_CONFLICT."""
        return await self.call_unary(SETTLE_REFUND, request, timeout)

    def watch_order(
        self, request: WatchOrderRequest, *, timeout: float | None = None
    ) -> AsyncIterator[WatchOrderResponse]:
        """Streams the status of an order and every later change, until the status is final or the token expires.
        With `after_version`, the stream starts with the changes since that version. Errors: ORDER_NOT_FOUND.
        """
        return self.call_stream(WATCH_ORDER, request, timeout)

    async def cancel_order(self, request: CancelOrderRequest, *, timeout: float | None = None) -> CancelOrderResponse:
        """Cancels an order and refunds its payment. The customer may cancel while it is pending or paid, an admin also while
        it is ready. Errors: ORDER_NOT_FOUND, ORDER_STATE_CONFLICT.
        """
        return await self.call_unary(CANCEL_ORDER, request, timeout)

    async def assign_order(self, request: AssignOrderRequest, *, timeout: float | None = None) -> AssignOrderResponse:
        """Assigns a ready order to the calling deliverer. Only the first caller succeeds.
        Errors: ORDER_NOT_FOUND, ORDER_STATE_CONFLICT.
        """
        return await self.call_unary(ASSIGN_ORDER, request, timeout)

    async def report_deliverer_position(
        self, request: ReportDelivererPositionRequest, *, timeout: float | None = None
    ) -> ReportDelivererPositionResponse:
        """Replaces the position of the deliverer of an order that is being delivered, for the customer who watches it.
        Errors: ORDER_NOT_FOUND, ORDER_STATE_CONFLICT.
        """
        return await self.call_unary(REPORT_DELIVERER_POSITION, request, timeout)

    async def complete_order(
        self, request: CompleteOrderRequest, *, timeout: float | None = None
    ) -> CompleteOrderResponse:
        """Marks an order as delivered. Errors: ORDER_NOT_FOUND, ORDER_STATE_CONFLICT."""
        return await self.call_unary(COMPLETE_ORDER, request, timeout)

    async def get_order_history[Page](
        self, request: GetOrderHistoryRequest, read: Callable[[Wire], Page], *, timeout: float | None = None
    ) -> Page:
        """Lists the history of an order, oldest first, if the order is visible to the caller. Errors: ORDER_NOT_FOUND."""
        return await self.call_unary_wire(GET_ORDER_HISTORY, request, read, timeout)
