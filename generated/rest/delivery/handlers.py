"""Written by `make generate` from api-specs/openapi/delivery.yaml. Do not edit."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator

from generated.events import PARTNER_CATALOG_CHANGED
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
    ChangePasswordRequest,
    CheckOrderRequest,
    ConfirmedOrder,
    ConfirmOrderRequest,
    ConfirmSignUpRequest,
    CreateAgentRequest,
    CreateBankRequest,
    CreatedBank,
    CreatedPartner,
    CreatePartnerRequest,
    CreateProductRequest,
    DeliveryPage,
    EmailOnly,
    HistoryPage,
    NewBankSecret,
    NewPartnerSecret,
    NotificationPage,
    NotificationRecordPage,
    NotificationStatus,
    Order,
    OrderCheck,
    OrderEvent,
    OrderPage,
    OrderStatus,
    Partner,
    PartnerCallPage,
    PartnerCallStatus,
    PartnerPage,
    PartnerPatch,
    PaymentCallback,
    PaymentPage,
    PaymentReceipt,
    Product,
    ProductPage,
    ProductPatch,
    ProfilePatch,
    ReadyCallback,
    RefreshSessionRequest,
    ResetPasswordRequest,
    Role,
    Session,
    SetAvailabilityRequest,
    SetUserRoleRequest,
    SignInRequest,
    SignUpRequest,
    User,
    UserPage,
)
from services.runtime.core.principal import Principal
from services.runtime.outbound.webhooks import SignedRequest
from services.runtime.rest.types import BinaryResponse, Event, Operation, Response, Upload


class UsersHandler(ABC):
    """Accounts and profiles."""

    @abstractmethod
    async def list_users(
        self,
        *,
        principal: Principal,
        page_size: int = 20,
        page_token: str | None = None,
        role: Role | None = None,
        approved: bool | None = None,
        q: str | None = None,
    ) -> UserPage:
        """List accounts: GET /users.

        Newest first.
        """

    @abstractmethod
    async def sign_up(self, *, body: SignUpRequest) -> Response[User]:
        """Sign up: POST /users.

        Makes an account and mails a verification code. Signing in and ordering need no confirmed e-mail. A deliverer has no role until an admin gives it.
        """

    @abstractmethod
    async def confirm_sign_up(self, *, forwarded_for: str, body: ConfirmSignUpRequest) -> None:
        """Confirm an e-mail address: POST /users/confirm.

        Takes the mailed code. A wrong, a used and an expired code are refused alike.
        """

    @abstractmethod
    async def resend_verification(self, *, body: EmailOnly) -> None:
        """Mail another verification code: POST /users/verification.

        Answers alike whether or not there is such an account; at most five codes are good at a time.
        """

    @abstractmethod
    async def get_profile(self, *, principal: Principal) -> Response[User]:
        """Read one's own profile: GET /users/me."""

    @abstractmethod
    async def delete_profile(self, *, principal: Principal) -> None:
        """Delete one's own account: DELETE /users/me.

        Everything personal goes, everywhere; orders are kept without it. Takes effect at once, and cannot be taken back.
        """

    @abstractmethod
    async def update_profile(
        self, *, principal: Principal, body: ProfilePatch, if_match: str | None = None
    ) -> Response[User]:
        """Change one's own profile: PATCH /users/me.

        A JSON merge patch: null removes, what is absent stays.
        """

    @abstractmethod
    async def change_email(self, *, principal: Principal, body: EmailOnly) -> None:
        """Change the e-mail address: POST /users/me/email.

        Mails a code to the new address; `confirmSignUp` with it makes the change. Answers alike whether or not the address is free.
        """

    @abstractmethod
    async def change_password(self, *, principal: Principal, forwarded_for: str, body: ChangePasswordRequest) -> None:
        """Change the password: PUT /users/me/password.

        Ends every session of the account.
        """

    @abstractmethod
    async def get_avatar(self, *, principal: Principal) -> Response[BinaryResponse]:
        """Read one's own avatar: GET /users/me/avatar."""

    @abstractmethod
    async def put_avatar(self, *, principal: Principal, body: Upload) -> Response[User]:
        """Set the avatar: PUT /users/me/avatar.

        PNG, JPEG or WebP of at most 5 MiB and 25 megapixels. It is cropped to a square, scaled to 400×400 and stripped of everything but the picture.
        """

    @abstractmethod
    async def delete_avatar(self, *, principal: Principal) -> None:
        """Remove the avatar: DELETE /users/me/avatar."""

    @abstractmethod
    async def list_my_notifications(
        self, *, principal: Principal, page_size: int = 20, page_token: str | None = None
    ) -> NotificationPage:
        """List what one was told: GET /users/me/notifications.

        Newest first.
        """

    @abstractmethod
    async def set_user_role(self, *, principal: Principal, user_id: str, body: SetUserRoleRequest) -> User:
        """Give an account a role: PUT /users/{user_id}/role.

        Takes effect when the account next refreshes its session.
        """

    @abstractmethod
    async def request_password_reset(self, *, body: EmailOnly) -> None:
        """Ask for a new password: POST /password-resets.

        Answers alike whether or not there is such an account.
        """

    @abstractmethod
    async def reset_password(self, *, forwarded_for: str, body: ResetPasswordRequest) -> None:
        """Set a new password by a mailed code: POST /password-resets/confirm.

        Ends every session of the account. A wrong, a used and an expired code are refused alike.
        """


class SessionsHandler(ABC):
    """Signing in and staying so."""

    @abstractmethod
    async def sign_in(self, *, forwarded_for: str, body: SignInRequest) -> Session:
        """Sign in: POST /sessions.

        An unknown address and a wrong password are refused alike.
        """

    @abstractmethod
    async def sign_out(self, *, principal: Principal) -> None:
        """Sign out everywhere: DELETE /sessions.

        Revokes every refresh token of the account. Access tokens run out by themselves.
        """

    @abstractmethod
    async def refresh_session(self, *, body: RefreshSessionRequest) -> Session:
        """Go on with a session: POST /sessions/refresh."""


class CatalogHandler(ABC):
    """Who sells what, and where to pay."""

    @abstractmethod
    async def list_catalog(
        self, *, page_size: int = 20, page_token: str | None = None, partner_id: int | None = None, q: str | None = None
    ) -> CatalogPage:
        """List partners and their products: GET /catalog.

        Verified, enabled partners that have available products, by id, with 50 products each at most.
        """

    @abstractmethod
    async def list_banks(self, *, principal: Principal, page_size: int = 20, page_token: str | None = None) -> BankPage:
        """List the banks to pay at: GET /banks."""

    @abstractmethod
    async def list_partner_products(
        self, *, partner_id: int, page_size: int = 20, page_token: str | None = None
    ) -> CatalogProductPage:
        """List all that a partner sells: GET /catalog/{partner_id}/products.

        Available products of a verified, enabled partner, by id.
        """

    @abstractmethod
    async def put_product_picture(self, *, principal: Principal, product_id: int, body: Upload) -> Product:
        """Set a product's picture: PUT /products/{product_id}/picture.

        PNG, JPEG or WebP of at most 5 MiB and 25 megapixels. It is cropped to a square, scaled to 400×400 and stripped of everything but the picture.
        """

    @abstractmethod
    async def get_picture(self, *, picture: str) -> Response[BinaryResponse]:
        """Read a product's picture: GET /pictures/{picture}.

        A picture never changes; another one is somewhere else.
        """


class BanksHandler(ABC):
    """Where customers pay, and what they paid."""

    @abstractmethod
    async def create_bank(
        self, *, principal: Principal, body: CreateBankRequest, idempotency_key: str | None = None
    ) -> Response[CreatedBank]:
        """Register a bank: POST /banks.

        The answer shows the secret that the bank and we sign with, this once. With an `Idempotency-Key`, a repeated request gets the first answer again, without the secret.
        """

    @abstractmethod
    async def get_bank(self, *, principal: Principal, bank_id: str) -> Response[Bank]:
        """Read a bank: GET /banks/{bank_id}."""

    @abstractmethod
    async def update_bank(
        self, *, principal: Principal, bank_id: str, body: BankPatch, if_match: str | None = None
    ) -> Response[Bank]:
        """Change a bank: PATCH /banks/{bank_id}.

        A JSON merge patch. What is absent stays.
        """

    @abstractmethod
    async def rotate_bank_secret(self, *, principal: Principal, bank_id: str) -> NewBankSecret:
        """Make a new secret for a bank: POST /banks/{bank_id}/secret.

        Shown this once. The old one is good for 24 hours more.
        """

    @abstractmethod
    async def list_payments(
        self,
        *,
        principal: Principal,
        page_size: int = 20,
        page_token: str | None = None,
        order_id: str | None = None,
        bank_id: str | None = None,
    ) -> PaymentPage:
        """List payments: GET /payments.

        As banks told of them, newest first. Written by events, so the newest may be a moment late.
        """


class PartnersHandler(ABC):
    """Restaurants and shops, what they sell for how much, and the calls to their systems."""

    @abstractmethod
    async def list_partners(
        self, *, principal: Principal, page_size: int = 20, page_token: str | None = None
    ) -> PartnerPage:
        """List partners: GET /partners.

        All of them, by id.
        """

    @abstractmethod
    async def create_partner(
        self, *, principal: Principal, body: CreatePartnerRequest, idempotency_key: str | None = None
    ) -> Response[CreatedPartner]:
        """Register a partner: POST /partners.

        The answer shows the secret that the partner and we sign with, this once. With an `Idempotency-Key`, a repeated request gets the first answer again, without the secret.
        """

    @abstractmethod
    async def get_partner(self, *, principal: Principal, partner_id: int) -> Response[Partner]:
        """Read a partner: GET /partners/{partner_id}."""

    @abstractmethod
    async def disable_partner(self, *, principal: Principal, partner_id: int) -> None:
        """Switch a partner off: DELETE /partners/{partner_id}.

        It takes no new orders. Those that are paid are still told it. `updatePartner` switches it on again.
        """

    @abstractmethod
    async def update_partner(
        self, *, principal: Principal, partner_id: int, body: PartnerPatch, if_match: str | None = None
    ) -> Response[Partner]:
        """Change a partner: PATCH /partners/{partner_id}.

        A JSON merge patch. What is absent stays. To enable a partner whose system said 410 is to call that system again.
        """

    @abstractmethod
    async def rotate_partner_secret(self, *, principal: Principal, partner_id: int) -> NewPartnerSecret:
        """Make a new secret for a partner: POST /partners/{partner_id}/secret.

        Shown this once. The old one is good for 24 hours more: until then the partner may sign with either, and we sign with both.
        """

    @abstractmethod
    async def set_availability(
        self, *, principal: Principal, partner_id: int, product_id: int, body: SetAvailabilityRequest
    ) -> Availability:
        """Say what a product costs at a partner: PUT /partners/{partner_id}/products/{product_id}."""

    @abstractmethod
    async def remove_availability(self, *, principal: Principal, partner_id: int, product_id: int) -> None:
        """Take a product from a partner: DELETE /partners/{partner_id}/products/{product_id}."""

    @abstractmethod
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
        """List the calls to partners: GET /partner-calls.

        What was sent to their systems, each try, and what they answered. Newest first.
        """

    @abstractmethod
    async def replay_partner_call(self, *, principal: Principal, call_id: str) -> None:
        """Make a call again: POST /partner-calls/{call_id}/replay.

        At once, with the same `webhook-id`, and then by the schedule from its beginning. A partner that has taken it changes nothing. An order that was cancelled is not sent again.
        """


class ProductsHandler(ABC):
    """What partners sell."""

    @abstractmethod
    async def list_products(
        self, *, principal: Principal, page_size: int = 20, page_token: str | None = None
    ) -> ProductPage:
        """List products: GET /products.

        All of them, by id.
        """

    @abstractmethod
    async def create_product(
        self, *, principal: Principal, body: CreateProductRequest, idempotency_key: str | None = None
    ) -> Response[Product]:
        """Add a product: POST /products.

        Partners sell it once `setAvailability` says what it costs there.
        """

    @abstractmethod
    async def get_product(self, *, principal: Principal, product_id: int) -> Response[Product]:
        """Read a product: GET /products/{product_id}."""

    @abstractmethod
    async def delete_product(self, *, principal: Principal, product_id: int) -> None:
        """Delete a product: DELETE /products/{product_id}.

        No partner sells it any more. Orders keep what they say of it.
        """

    @abstractmethod
    async def update_product(
        self, *, principal: Principal, product_id: int, body: ProductPatch, if_match: str | None = None
    ) -> Response[Product]:
        """Change a product: PATCH /products/{product_id}.

        A JSON merge patch. What is absent stays; null removes the picture.
        """


class OrdersHandler(ABC):
    """From the basket to the door."""

    @abstractmethod
    async def check_order(self, *, principal: Principal, body: CheckOrderRequest) -> Response[OrderCheck]:
        """Check a basket: POST /order-checks.

        Compares the basket with the partner's own prices and keeps what it found for 10 minutes.
        """

    @abstractmethod
    async def list_orders(
        self,
        *,
        principal: Principal,
        page_size: int = 20,
        page_token: str | None = None,
        status: OrderStatus | None = None,
    ) -> OrderPage:
        """List orders: GET /orders.

        Newest first. A customer sees the own ones, a deliverer the assigned ones, an admin all.
        """

    @abstractmethod
    async def confirm_order(
        self, *, principal: Principal, body: ConfirmOrderRequest, idempotency_key: str | None = None
    ) -> Response[ConfirmedOrder]:
        """Confirm a checked basket: POST /orders.

        Makes the order, and only then says where to pay. Confirming the same check again answers with the same order, also after the check has run out.
        """

    @abstractmethod
    async def get_order(self, *, principal: Principal, order_id: str) -> Order:
        """Read an order: GET /orders/{order_id}.

        Shown to its customer, its deliverer and admins; to all others it does not exist.
        """

    @abstractmethod
    async def get_order_history(
        self, *, principal: Principal, order_id: str, page_size: int = 20, page_token: str | None = None
    ) -> HistoryPage:
        """Read what happened to an order: GET /orders/{order_id}/history.

        Oldest first. Written by events, so the newest entry may be a moment late.
        """

    @abstractmethod
    def watch_order(
        self, *, principal: Principal, order_id: str, last_event_id: str | None = None
    ) -> AsyncIterator[Event[OrderEvent]]:
        """Follow an order: GET /orders/{order_id}/events.

        Server-sent events: where the order stands now, then every change; `id` is the order's version. A client that comes back with `Last-Event-ID` is told of every change since. Ends after a final state, or when the token does.
        """

    @abstractmethod
    async def cancel_order(self, *, principal: Principal, order_id: str, body: CancelOrderRequest) -> Order:
        """Give an order up: POST /orders/{order_id}/cancel.

        A customer may while the order is pending or paid, an admin also when it is ready. What was paid goes back, and `refund_status` tells how far it is.
        """


class DeliveriesHandler(ABC):
    """What deliverers do."""

    @abstractmethod
    async def list_available_deliveries(
        self, *, principal: Principal, page_size: int = 20, page_token: str | None = None
    ) -> DeliveryPage:
        """List orders that wait for a deliverer: GET /deliveries.

        Longest ready first.
        """

    @abstractmethod
    async def assign_order(self, *, principal: Principal, order_id: str) -> Order:
        """Take an order: POST /orders/{order_id}/assignment.

        Exactly one deliverer wins; the winner may ask again.
        """

    @abstractmethod
    async def complete_delivery(self, *, principal: Principal, order_id: str) -> Order:
        """Hand an order over: POST /orders/{order_id}/delivery."""


class NotificationsHandler(ABC):
    """Who sends notifications, and what came of each."""

    @abstractmethod
    async def list_notifications(
        self,
        *,
        principal: Principal,
        page_size: int = 20,
        page_token: str | None = None,
        user_id: str | None = None,
        agent_id: str | None = None,
        status: NotificationStatus | None = None,
    ) -> NotificationRecordPage:
        """List what everybody was told: GET /notifications.

        Newest first. Mails are among them, without their text.
        """

    @abstractmethod
    async def list_agents(
        self, *, principal: Principal, page_size: int = 20, page_token: str | None = None
    ) -> AgentPage:
        """List agents: GET /notification-agents.

        By id.
        """

    @abstractmethod
    async def create_agent(
        self, *, principal: Principal, body: CreateAgentRequest, idempotency_key: str | None = None
    ) -> Response[Agent]:
        """Make an agent: POST /notification-agents.

        Keys are stored encrypted and never shown; without a key of its own an agent sends by the platform's.
        """

    @abstractmethod
    async def get_agent(self, *, principal: Principal, agent_id: str) -> Response[Agent]:
        """Read an agent: GET /notification-agents/{agent_id}."""

    @abstractmethod
    async def update_agent(
        self, *, principal: Principal, agent_id: str, body: AgentPatch, if_match: str | None = None
    ) -> Response[Agent]:
        """Change an agent: PATCH /notification-agents/{agent_id}.

        A JSON merge patch: null removes, what is absent stays.
        """


class CallbacksHandler(ABC):
    """What banks and partners tell us. Signed by Standard Webhooks."""

    @abstractmethod
    async def payment_callback(self, *, webhook: SignedRequest, bank_id: str, body: PaymentCallback) -> PaymentReceipt:
        """A bank tells what came of a payment: POST /callbacks/payments/{bank_id}.

        A repeated webhook id gets the first answer and changes nothing. 404, 409 and 422 are final: the payment is recorded and goes back.
        """

    @abstractmethod
    async def partner_ready_callback(self, *, webhook: SignedRequest, partner_id: int, body: ReadyCallback) -> None:
        """A partner tells that an order is ready: POST /callbacks/partners/{partner_id}/ready.

        Accepted once the broker has it. After a cancellation it is accepted without effect.
        """


OPERATIONS: dict[str, Operation] = {
    "listUsers": Operation(UsersHandler, "list_users", None, 200, "application/json"),
    "signUp": Operation(UsersHandler, "sign_up", SignUpRequest, 201, "application/json"),
    "confirmSignUp": Operation(UsersHandler, "confirm_sign_up", ConfirmSignUpRequest, 204, ""),
    "resendVerification": Operation(UsersHandler, "resend_verification", EmailOnly, 202, ""),
    "getProfile": Operation(UsersHandler, "get_profile", None, 200, "application/json"),
    "deleteProfile": Operation(UsersHandler, "delete_profile", None, 204, ""),
    "updateProfile": Operation(UsersHandler, "update_profile", ProfilePatch, 200, "application/json"),
    "changeEmail": Operation(UsersHandler, "change_email", EmailOnly, 202, ""),
    "changePassword": Operation(UsersHandler, "change_password", ChangePasswordRequest, 204, ""),
    "getAvatar": Operation(UsersHandler, "get_avatar", None, 200, "image/webp"),
    "putAvatar": Operation(UsersHandler, "put_avatar", Upload, 200, "application/json"),
    "deleteAvatar": Operation(UsersHandler, "delete_avatar", None, 204, ""),
    "listMyNotifications": Operation(UsersHandler, "list_my_notifications", None, 200, "application/json"),
    "setUserRole": Operation(UsersHandler, "set_user_role", SetUserRoleRequest, 200, "application/json"),
    "requestPasswordReset": Operation(UsersHandler, "request_password_reset", EmailOnly, 202, ""),
    "resetPassword": Operation(UsersHandler, "reset_password", ResetPasswordRequest, 204, ""),
    "signIn": Operation(SessionsHandler, "sign_in", SignInRequest, 200, "application/json"),
    "signOut": Operation(SessionsHandler, "sign_out", None, 204, ""),
    "refreshSession": Operation(SessionsHandler, "refresh_session", RefreshSessionRequest, 200, "application/json"),
    "listCatalog": Operation(
        CatalogHandler, "list_catalog", None, 200, "application/json", cache_until_event=PARTNER_CATALOG_CHANGED
    ),
    "listBanks": Operation(CatalogHandler, "list_banks", None, 200, "application/json"),
    "createBank": Operation(BanksHandler, "create_bank", CreateBankRequest, 201, "application/json"),
    "getBank": Operation(BanksHandler, "get_bank", None, 200, "application/json"),
    "updateBank": Operation(BanksHandler, "update_bank", BankPatch, 200, "application/json"),
    "rotateBankSecret": Operation(BanksHandler, "rotate_bank_secret", None, 200, "application/json"),
    "listPartnerProducts": Operation(
        CatalogHandler,
        "list_partner_products",
        None,
        200,
        "application/json",
        cache_until_event=PARTNER_CATALOG_CHANGED,
    ),
    "listPartners": Operation(PartnersHandler, "list_partners", None, 200, "application/json"),
    "createPartner": Operation(PartnersHandler, "create_partner", CreatePartnerRequest, 201, "application/json"),
    "getPartner": Operation(PartnersHandler, "get_partner", None, 200, "application/json"),
    "disablePartner": Operation(PartnersHandler, "disable_partner", None, 204, ""),
    "updatePartner": Operation(PartnersHandler, "update_partner", PartnerPatch, 200, "application/json"),
    "rotatePartnerSecret": Operation(PartnersHandler, "rotate_partner_secret", None, 200, "application/json"),
    "setAvailability": Operation(PartnersHandler, "set_availability", SetAvailabilityRequest, 200, "application/json"),
    "removeAvailability": Operation(PartnersHandler, "remove_availability", None, 204, ""),
    "listPartnerCalls": Operation(PartnersHandler, "list_partner_calls", None, 200, "application/json"),
    "replayPartnerCall": Operation(PartnersHandler, "replay_partner_call", None, 202, ""),
    "listProducts": Operation(ProductsHandler, "list_products", None, 200, "application/json"),
    "createProduct": Operation(ProductsHandler, "create_product", CreateProductRequest, 201, "application/json"),
    "getProduct": Operation(ProductsHandler, "get_product", None, 200, "application/json"),
    "deleteProduct": Operation(ProductsHandler, "delete_product", None, 204, ""),
    "updateProduct": Operation(ProductsHandler, "update_product", ProductPatch, 200, "application/json"),
    "putProductPicture": Operation(CatalogHandler, "put_product_picture", Upload, 200, "application/json"),
    "getPicture": Operation(CatalogHandler, "get_picture", None, 200, "image/webp"),
    "checkOrder": Operation(OrdersHandler, "check_order", CheckOrderRequest, 201, "application/json"),
    "listOrders": Operation(OrdersHandler, "list_orders", None, 200, "application/json"),
    "confirmOrder": Operation(OrdersHandler, "confirm_order", ConfirmOrderRequest, 201, "application/json"),
    "getOrder": Operation(OrdersHandler, "get_order", None, 200, "application/json"),
    "getOrderHistory": Operation(OrdersHandler, "get_order_history", None, 200, "application/json"),
    "listPayments": Operation(BanksHandler, "list_payments", None, 200, "application/json"),
    "watchOrder": Operation(OrdersHandler, "watch_order", None, 200, "text/event-stream"),
    "cancelOrder": Operation(OrdersHandler, "cancel_order", CancelOrderRequest, 200, "application/json"),
    "listAvailableDeliveries": Operation(DeliveriesHandler, "list_available_deliveries", None, 200, "application/json"),
    "assignOrder": Operation(DeliveriesHandler, "assign_order", None, 200, "application/json"),
    "completeDelivery": Operation(DeliveriesHandler, "complete_delivery", None, 200, "application/json"),
    "listNotifications": Operation(NotificationsHandler, "list_notifications", None, 200, "application/json"),
    "listAgents": Operation(NotificationsHandler, "list_agents", None, 200, "application/json"),
    "createAgent": Operation(NotificationsHandler, "create_agent", CreateAgentRequest, 201, "application/json"),
    "getAgent": Operation(NotificationsHandler, "get_agent", None, 200, "application/json"),
    "updateAgent": Operation(NotificationsHandler, "update_agent", AgentPatch, 200, "application/json"),
    "paymentCallback": Operation(CallbacksHandler, "payment_callback", PaymentCallback, 200, "application/json"),
    "partnerReadyCallback": Operation(CallbacksHandler, "partner_ready_callback", ReadyCallback, 202, ""),
}
