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
    CatalogSort,
    ChangeEmailRequest,
    ChangePasswordRequest,
    CheckOrderRequest,
    ConfirmedOrder,
    ConfirmOrderRequest,
    ConfirmSignUpRequest,
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
    EmailOnly,
    HistoryPage,
    NewBankSecret,
    NewPartnerSecret,
    NotificationPage,
    NotificationRecordPage,
    NotificationStatus,
    OpeningHours,
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
    PaymentInstructions,
    PaymentPage,
    PaymentReceipt,
    Product,
    ProductPage,
    ProductPatch,
    ProductSort,
    ProfilePatch,
    ProviderSignInRequest,
    RefreshSessionRequest,
    Refund,
    RefundPage,
    RefundSettlement,
    RefundStatus,
    RegisterDeviceRequest,
    RegisteredBankPage,
    ResetPasswordRequest,
    Role,
    Session,
    SetAvailabilityRequest,
    SetUserDisabledRequest,
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
        disabled: bool | None = None,
        q: str | None = None,
    ) -> UserPage:
        """List accounts: GET /users.

        Newest first.
        """

    @abstractmethod
    async def sign_up(self, *, body: SignUpRequest) -> Response[User]:
        """Sign up: POST /users.

        Creates an account and mails a verification code. Signing in and ordering need no confirmed e-mail address. A deliverer has no role until an admin assigns it.
        """

    @abstractmethod
    async def confirm_sign_up(self, *, forwarded_for: str, body: ConfirmSignUpRequest) -> None:
        """Confirm an e-mail address: POST /users/confirm.

        Requires the mailed code. A wrong, a used and an expired code lead to the same error.
        """

    @abstractmethod
    async def resend_verification(self, *, body: EmailOnly) -> None:
        """Mail another verification code: POST /users/verification.

        The response is the same whether or not the account exists. At most five codes are valid at a time.
        """

    @abstractmethod
    async def get_profile(self, *, principal: Principal) -> Response[User]:
        """Read the caller's profile: GET /users/me.

        `If-Match` of `updateProfile` accepts the `ETag`.
        """

    @abstractmethod
    async def delete_profile(self, *, principal: Principal) -> None:
        """Delete the caller's account: DELETE /users/me.

        Deletes the personal data in all services; orders remain without it. Takes effect immediately and cannot be undone. Requires a sign-in of the last five minutes, otherwise 401 `REAUTHENTICATION_REQUIRED`. Mails the account's address.
        """

    @abstractmethod
    async def update_profile(
        self, *, principal: Principal, body: ProfilePatch, if_match: str | None = None
    ) -> Response[User]:
        """Change the caller's profile: PATCH /users/me.

        A JSON merge patch. Null removes a field, absent fields stay unchanged.
        """

    @abstractmethod
    async def change_email(self, *, principal: Principal, forwarded_for: str, body: ChangeEmailRequest) -> None:
        """Change the e-mail address: POST /users/me/email.

        Mails a code to the new address; `confirmSignUp` with this code makes the change, and the old address is mailed about it. Requires the password, or a sign-in of the last five minutes, otherwise 401 `REAUTHENTICATION_REQUIRED`. The response is the same whether or not the address is in use.
        """

    @abstractmethod
    async def change_password(self, *, principal: Principal, forwarded_for: str, body: ChangePasswordRequest) -> None:
        """Change the password: PUT /users/me/password.

        Ends every session of the account and mails its address. After a lost response, sign in with the new password: it is valid if the change was made. A repeated request is 401 `TOKEN_REVOKED`, or 422 `PASSWORD_WRONG` after a new sign-in.
        """

    @abstractmethod
    async def get_avatar(self, *, principal: Principal) -> Response[BinaryResponse]:
        """Read the caller's avatar: GET /users/me/avatar.

        Every uploaded format is converted to WebP.
        """

    @abstractmethod
    async def put_avatar(self, *, principal: Principal, body: Upload) -> Response[User]:
        """Set the avatar: PUT /users/me/avatar.

        PNG, JPEG or WebP of at most 5 MiB and 25 megapixels. The picture is cropped to a square and scaled to 400×400; its metadata is removed.
        """

    @abstractmethod
    async def delete_avatar(self, *, principal: Principal) -> None:
        """Remove the avatar: DELETE /users/me/avatar.

        The profile no longer contains `avatar_url`.
        """

    @abstractmethod
    async def list_my_notifications(
        self, *, principal: Principal, page_size: int = 20, page_token: str | None = None
    ) -> NotificationPage:
        """List the caller's notifications: GET /users/me/notifications.

        Newest first.
        """

    @abstractmethod
    async def list_devices(self, *, principal: Principal) -> DeviceList:
        """List the caller's devices: GET /users/me/devices.

        The registered devices, at most 10, the latest first. The `notif_token` of the profile is not among them.
        """

    @abstractmethod
    async def register_device(self, *, principal: Principal, body: RegisterDeviceRequest) -> Device:
        """Register a device for push notifications: POST /users/me/devices.

        A push notification is sent to all devices of the user at one provider, the first one of the agent at which the user has devices. Registering a token again updates its device; a token of another user moves to the caller. The eleventh device replaces the one that was registered first. A token that the provider rejects is removed.
        """

    @abstractmethod
    async def remove_device(self, *, principal: Principal, device_id: str) -> None:
        """Remove a device: DELETE /users/me/devices/{device_id}.

        Before a sign-out, so that the device receives no more notifications of this user.
        """

    @abstractmethod
    async def set_user_role(self, *, principal: Principal, user_id: str, body: SetUserRoleRequest) -> User:
        """Assign a role to an account: PUT /users/{user_id}/role.

        Revokes the account's access tokens. Refreshed ones contain the new role.
        """

    @abstractmethod
    async def set_user_disabled(self, *, principal: Principal, user_id: str, body: SetUserDisabledRequest) -> None:
        """Disable or enable an account: PUT /users/{user_id}/disabled.

        A disabled account cannot sign in. Disabling ends every session of the account and revokes its access tokens.
        """

    @abstractmethod
    async def request_password_reset(self, *, body: EmailOnly) -> None:
        """Request a password reset: POST /password-resets.

        The response is the same whether or not the account exists.
        """

    @abstractmethod
    async def reset_password(self, *, forwarded_for: str, body: ResetPasswordRequest) -> None:
        """Set a new password with a mailed code: POST /password-resets/confirm.

        Ends every session of the account and mails its address. A wrong, a used and an expired code lead to the same error.
        """


class SessionsHandler(ABC):
    """Sign-in, refresh and sign-out."""

    @abstractmethod
    async def sign_in(self, *, forwarded_for: str, body: SignInRequest) -> Session:
        """Sign in: POST /sessions.

        An unknown address and a wrong password lead to the same error.
        """

    @abstractmethod
    async def sign_out(self, *, principal: Principal) -> None:
        """Sign out everywhere: DELETE /sessions.

        Revokes every refresh token and every access token of the account, and ends its event streams.
        """

    @abstractmethod
    async def sign_in_with_provider(self, *, body: ProviderSignInRequest) -> Session:
        """Sign in with Google or Apple: POST /sessions/provider.

        Exchanges the id token of the provider's SDK for a session. The first sign-in creates the account of a customer, with the names and settings of the request. The provider must have verified the e-mail address. If an account with this address exists, the session is one of that account; if its address was not verified before, its password, sessions and devices are removed.
        """

    @abstractmethod
    async def refresh_session(self, *, body: RefreshSessionRequest) -> Session:
        """Refresh a session: POST /sessions/refresh.

        Requires only the refresh token; the access token may have expired.
        """


class CatalogHandler(ABC):
    """Partners, their products, and banks."""

    @abstractmethod
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
        """List partners and their products: GET /catalog.

        Verified, enabled partners with available products, with at most 50 products each, which are ordered by id. Needs no access token; a token is ignored.
        """

    @abstractmethod
    async def list_banks(self, *, principal: Principal, page_size: int = 20, page_token: str | None = None) -> BankPage:
        """List banks for payment: GET /banks.

        Banks that are not active are omitted.
        """

    @abstractmethod
    async def list_partner_products(
        self,
        *,
        partner_id: int,
        page_size: int = 20,
        page_token: str | None = None,
        category: str | None = None,
        sort: ProductSort | None = None,
    ) -> CatalogProductPage:
        """List a partner's products: GET /catalog/{partner_id}/products.

        Available products of a verified, enabled partner. Needs no access token; a token is ignored.
        """

    @abstractmethod
    async def put_partner_picture(self, *, principal: Principal, partner_id: int, body: Upload) -> Partner:
        """Set a partner's picture: PUT /partners/{partner_id}/picture.

        PNG, JPEG or WebP of at most 5 MiB and 25 megapixels. The picture is cropped to a square and scaled to 400×400; its metadata is removed.
        """

    @abstractmethod
    async def put_product_picture(self, *, principal: Principal, product_id: int, body: Upload) -> Product:
        """Set a product's picture: PUT /products/{product_id}/picture.

        PNG, JPEG or WebP of at most 5 MiB and 25 megapixels. The picture is cropped to a square and scaled to 400×400; its metadata is removed.
        """

    @abstractmethod
    async def get_picture(self, *, picture: str) -> Response[BinaryResponse]:
        """Read a product's picture: GET /pictures/{picture}.

        A picture is immutable; a new picture has a new URL.
        """

    @abstractmethod
    async def get_partner_picture(self, *, picture: str) -> Response[BinaryResponse]:
        """Read a partner's picture: GET /partner-pictures/{picture}.

        A picture is immutable; a new picture has a new URL.
        """


class BanksHandler(ABC):
    """Banks and payments."""

    @abstractmethod
    async def create_bank(
        self, *, principal: Principal, body: CreateBankRequest, idempotency_key: str | None = None
    ) -> Response[CreatedBank]:
        """Register a bank: POST /banks.

        Only this response contains the webhook secret, which the bank and the platform sign with. With an `Idempotency-Key`, a repeated request returns the first response again, without the secret.
        """

    @abstractmethod
    async def list_registered_banks(
        self, *, principal: Principal, page_size: int = 20, page_token: str | None = None, active: bool | None = None
    ) -> RegisteredBankPage:
        """List registered banks: GET /registered-banks.

        Active and inactive banks with the addresses of their systems, by id.
        """

    @abstractmethod
    async def get_bank(self, *, principal: Principal, bank_id: str) -> Response[Bank]:
        """Read a bank: GET /banks/{bank_id}.

        `If-Match` of `updateBank` accepts the `ETag`.
        """

    @abstractmethod
    async def update_bank(
        self, *, principal: Principal, bank_id: str, body: BankPatch, if_match: str | None = None
    ) -> Response[Bank]:
        """Change a bank: PATCH /banks/{bank_id}.

        A JSON merge patch. Absent fields stay unchanged.
        """

    @abstractmethod
    async def rotate_bank_secret(
        self, *, principal: Principal, bank_id: str, idempotency_key: str | None = None
    ) -> Response[NewBankSecret]:
        """Rotate a bank's webhook secret: POST /banks/{bank_id}/secret.

        Only this response contains the new secret. Every replaced secret stays valid for 24 hours, and at most four of them at a time. With an `Idempotency-Key`, a repeated request returns the same secret again.
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

        As reported by banks, newest first. Derived from events, so the newest payment may appear with a short delay.
        """

    @abstractmethod
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
        """List refunds: GET /refunds.

        With the last response of the bank and the actions of admins. Newest first.
        """

    @abstractmethod
    async def retry_refund(self, *, principal: Principal, refund_id: str) -> Refund:
        """Retry a refund: POST /refunds/{refund_id}/retry.

        A failed refund is requested again, with the retry schedule from its beginning; a requested one is sent immediately. The bank deduplicates refunds by id.
        """

    @abstractmethod
    async def settle_refund(self, *, principal: Principal, refund_id: str, body: RefundSettlement) -> Refund:
        """Settle a refund by hand: POST /refunds/{refund_id}/settlement.

        Records that the customer has received the money of a failed refund by other means. Nothing is sent to the bank.
        """


class PartnersHandler(ABC):
    """Restaurants and shops, their prices, and the calls to their systems."""

    @abstractmethod
    async def list_partners(
        self, *, principal: Principal, page_size: int = 20, page_token: str | None = None
    ) -> PartnerPage:
        """List partners: GET /partners.

        All, ordered by id.
        """

    @abstractmethod
    async def create_partner(
        self, *, principal: Principal, body: CreatePartnerRequest, idempotency_key: str | None = None
    ) -> Response[CreatedPartner]:
        """Register a partner: POST /partners.

        Only this response contains the webhook secret, which the partner and the platform sign with. With an `Idempotency-Key`, a repeated request returns the first response again, without the secret.
        """

    @abstractmethod
    async def get_partner(self, *, principal: Principal, partner_id: int) -> Response[Partner]:
        """Read a partner: GET /partners/{partner_id}.

        `If-Match` of `updatePartner` accepts the `ETag`.
        """

    @abstractmethod
    async def disable_partner(self, *, principal: Principal, partner_id: int) -> None:
        """Disable a partner: DELETE /partners/{partner_id}.

        The partner accepts no new orders. Orders that are already paid are still sent to it. `updatePartner` enables it again.
        """

    @abstractmethod
    async def update_partner(
        self, *, principal: Principal, partner_id: int, body: PartnerPatch, if_match: str | None = None
    ) -> Response[Partner]:
        """Change a partner: PATCH /partners/{partner_id}.

        A JSON merge patch. Absent fields stay unchanged. Enabling a partner whose system returned 410 resumes the calls to that system.
        """

    @abstractmethod
    async def rotate_partner_secret(
        self, *, principal: Principal, partner_id: int, idempotency_key: str | None = None
    ) -> Response[NewPartnerSecret]:
        """Rotate a partner's webhook secret: POST /partners/{partner_id}/secret.

        Only this response contains the new secret. Every replaced secret stays valid for 24 hours: until then the partner may sign with any of them, and the platform signs with all. At most four replaced secrets are valid at a time. With an `Idempotency-Key`, a repeated request returns the same secret again.
        """

    @abstractmethod
    async def set_opening_hours(
        self, *, principal: Principal, partner_id: int, body: OpeningHours, if_match: str | None = None
    ) -> Response[Partner]:
        """Set a partner's opening hours: PUT /partners/{partner_id}/opening-hours.

        Replaces the weekly schedule. While the partner is closed, the catalog contains it, and order checks are rejected.
        """

    @abstractmethod
    async def remove_opening_hours(self, *, principal: Principal, partner_id: int) -> None:
        """Remove a partner's opening hours: DELETE /partners/{partner_id}/opening-hours.

        A partner without opening hours is always open.
        """

    @abstractmethod
    async def set_availability(
        self, *, principal: Principal, partner_id: int, product_id: int, body: SetAvailabilityRequest
    ) -> Availability:
        """Set a product's price at a partner: PUT /partners/{partner_id}/products/{product_id}.

        Creates or replaces the price. The catalog contains the product while `active` is true.
        """

    @abstractmethod
    async def remove_availability(self, *, principal: Principal, partner_id: int, product_id: int) -> None:
        """Remove a product from a partner: DELETE /partners/{partner_id}/products/{product_id}.

        The catalog no longer contains the product of this partner. Existing orders do not change.
        """

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

        Requests to the partners' systems with every attempt and its result. Newest first.
        """

    @abstractmethod
    async def replay_partner_call(self, *, principal: Principal, call_id: str) -> None:
        """Repeat a call: POST /partner-calls/{call_id}/replay.

        Sent immediately with the same `webhook-id`; further attempts follow the retry schedule from its beginning. A partner that has already accepted the call ignores it. A cancelled order is not sent again.
        """


class ProductsHandler(ABC):
    """Products that partners sell."""

    @abstractmethod
    async def list_products(
        self, *, principal: Principal, page_size: int = 20, page_token: str | None = None
    ) -> ProductPage:
        """List products: GET /products.

        All, ordered by id.
        """

    @abstractmethod
    async def create_product(
        self, *, principal: Principal, body: CreateProductRequest, idempotency_key: str | None = None
    ) -> Response[Product]:
        """Add a product: POST /products.

        A partner sells the product after `setAvailability` has set its price there.
        """

    @abstractmethod
    async def get_product(self, *, principal: Principal, product_id: int) -> Response[Product]:
        """Read a product: GET /products/{product_id}.

        `If-Match` of `updateProduct` accepts the `ETag`.
        """

    @abstractmethod
    async def delete_product(self, *, principal: Principal, product_id: int) -> None:
        """Delete a product: DELETE /products/{product_id}.

        Partners no longer sell the product. Existing orders are unchanged.
        """

    @abstractmethod
    async def update_product(
        self, *, principal: Principal, product_id: int, body: ProductPatch, if_match: str | None = None
    ) -> Response[Product]:
        """Change a product: PATCH /products/{product_id}.

        A JSON merge patch. Absent fields stay unchanged; null removes the picture.
        """


class OrdersHandler(ABC):
    """Orders from the checked basket to delivery."""

    @abstractmethod
    async def check_order(self, *, principal: Principal, body: CheckOrderRequest) -> Response[OrderCheck]:
        """Check a basket: POST /order-checks.

        Compares the basket with the partner's prices, and the bank with the registered ones, and stores the result for 10 minutes.
        """

    @abstractmethod
    async def get_order_check(self, *, principal: Principal, check_id: str) -> OrderCheck:
        """Read an order check: GET /order-checks/{check_id}.

        Visible to its customer until it expires, also after the order is confirmed.
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

        Newest first. A customer sees own orders, a deliverer assigned orders, an admin all orders.
        """

    @abstractmethod
    async def confirm_order(
        self, *, principal: Principal, body: ConfirmOrderRequest, idempotency_key: str | None = None
    ) -> Response[ConfirmedOrder]:
        """Confirm a checked basket: POST /orders.

        Creates the order at the prices of the check and returns the payment instructions. A partner or product that is no longer available is rejected. Confirming the same check again returns the same order, also after the check has expired.
        """

    @abstractmethod
    async def get_order(self, *, principal: Principal, order_id: str) -> Order:
        """Read an order: GET /orders/{order_id}.

        Visible to its customer, its deliverer and admins; all other users get 404.
        """

    @abstractmethod
    async def get_payment_instructions(
        self, *, principal: Principal, order_id: str, return_url: str | None = None
    ) -> PaymentInstructions:
        """Read the payment instructions of a pending order: GET /orders/{order_id}/payment.

        The instructions of `confirmOrder` again, for a customer who has left the checkout page without paying.
        """

    @abstractmethod
    async def get_order_history(
        self, *, principal: Principal, order_id: str, page_size: int = 20, page_token: str | None = None
    ) -> HistoryPage:
        """Read an order's history: GET /orders/{order_id}/history.

        Oldest first. Derived from events, so the newest entry may appear with a short delay.
        """

    @abstractmethod
    def watch_order(
        self, *, principal: Principal, order_id: str, last_event_id: str | None = None
    ) -> AsyncIterator[Event[OrderEvent]]:
        """Watch an order: GET /orders/{order_id}/events.

        Server-sent events: the current status of the order, then every change; `id` is the order's version. A client that reconnects with `Last-Event-ID` receives every change since that version. The stream ends after a final status or when the token expires. A client that has received the final status gets 204 and does not reconnect. While the order is being delivered, its customer also receives events named `deliverer_position`, which contain the unchanged status and the position of the deliverer.
        """

    @abstractmethod
    async def cancel_order(self, *, principal: Principal, order_id: str, body: CancelOrderRequest) -> Order:
        """Cancel an order: POST /orders/{order_id}/cancel.

        A customer may cancel while the order is pending or paid, an admin also while it is ready. The paid amount is refunded; `refund_status` shows the progress.
        """


class DeliveriesHandler(ABC):
    """Operations of deliverers."""

    @abstractmethod
    async def list_available_deliveries(
        self, *, principal: Principal, page_size: int = 20, page_token: str | None = None
    ) -> DeliveryPage:
        """List orders that await a deliverer: GET /deliveries.

        Ready orders, oldest first.
        """

    @abstractmethod
    async def assign_order(self, *, principal: Principal, order_id: str) -> Order:
        """Assign an order to the caller: POST /orders/{order_id}/assignment.

        Exactly one deliverer gets the order; that deliverer may repeat the request.
        """

    @abstractmethod
    async def report_deliverer_position(self, *, principal: Principal, order_id: str, body: Coordinates) -> None:
        """Report the position of the deliverer: PUT /orders/{order_id}/deliverer-position.

        Only the assigned deliverer may report a position, while the order is being delivered. The customer receives it as an event of `watchOrder`. Only the latest position is stored, until the order is delivered.
        """

    @abstractmethod
    async def complete_delivery(self, *, principal: Principal, order_id: str) -> Order:
        """Complete a delivery: POST /orders/{order_id}/delivery.

        Only the assigned deliverer may complete the delivery.
        """


class NotificationsHandler(ABC):
    """Notifications, their delivery status, and notification agents."""

    @abstractmethod
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
        """List notifications: GET /notifications.

        Notifications of all users, newest first. Includes mails, without their text.
        """

    @abstractmethod
    async def list_agents(
        self, *, principal: Principal, page_size: int = 20, page_token: str | None = None
    ) -> AgentPage:
        """List agents: GET /notification-agents.

        Ordered by id.
        """

    @abstractmethod
    async def create_agent(
        self, *, principal: Principal, body: CreateAgentRequest, idempotency_key: str | None = None
    ) -> Response[Agent]:
        """Create an agent: POST /notification-agents.

        Keys are stored encrypted and never returned. An agent without a key uses the platform's key.
        """

    @abstractmethod
    async def get_agent(self, *, principal: Principal, agent_id: str) -> Response[Agent]:
        """Read an agent: GET /notification-agents/{agent_id}.

        `If-Match` of `updateAgent` accepts the `ETag`.
        """

    @abstractmethod
    async def update_agent(
        self, *, principal: Principal, agent_id: str, body: AgentPatch, if_match: str | None = None
    ) -> Response[Agent]:
        """Change an agent: PATCH /notification-agents/{agent_id}.

        A JSON merge patch. Null removes a field, absent fields stay unchanged.
        """


class CallbacksHandler(ABC):
    """Webhooks from banks and partners. Signed with Standard Webhooks."""

    @abstractmethod
    async def payment_callback(self, *, webhook: SignedRequest, bank_id: str) -> PaymentReceipt:
        """Receive a payment callback from a bank: POST /callbacks/payments/{bank_id}.

        A repeated `webhook-id` returns the first response and changes nothing; with another payment it is 422 `WEBHOOK_ID_REUSED`. A payment id that is reported for another order or amount, or as failed after it has succeeded, is 422 `PAYMENT_ID_REUSED`, recorded, and not refunded. A failed payment that succeeds for another order or amount is 409 `PAYMENT_CONFLICT`. Otherwise 404, 409 and 422 are final: the payment is recorded and refunded.
        """

    @abstractmethod
    async def partner_ready_callback(self, *, webhook: SignedRequest, partner_id: int) -> None:
        """Receive a ready callback from a partner: POST /callbacks/partners/{partner_id}/ready.

        Accepted after the report is stored durably. A repeated `webhook-id` changes nothing; with another report it is 422 `WEBHOOK_ID_REUSED`. Accepted without effect after a cancellation.
        """


OPERATIONS: dict[str, Operation] = {
    "listUsers": Operation(UsersHandler, "list_users", None, 200, "application/json"),
    "signUp": Operation(UsersHandler, "sign_up", SignUpRequest, 201, "application/json"),
    "confirmSignUp": Operation(UsersHandler, "confirm_sign_up", ConfirmSignUpRequest, 204, ""),
    "resendVerification": Operation(UsersHandler, "resend_verification", EmailOnly, 202, ""),
    "getProfile": Operation(UsersHandler, "get_profile", None, 200, "application/json"),
    "deleteProfile": Operation(UsersHandler, "delete_profile", None, 204, ""),
    "updateProfile": Operation(UsersHandler, "update_profile", ProfilePatch, 200, "application/json"),
    "changeEmail": Operation(UsersHandler, "change_email", ChangeEmailRequest, 202, ""),
    "changePassword": Operation(UsersHandler, "change_password", ChangePasswordRequest, 204, ""),
    "getAvatar": Operation(UsersHandler, "get_avatar", None, 200, "image/webp"),
    "putAvatar": Operation(UsersHandler, "put_avatar", Upload, 200, "application/json"),
    "deleteAvatar": Operation(UsersHandler, "delete_avatar", None, 204, ""),
    "listMyNotifications": Operation(UsersHandler, "list_my_notifications", None, 200, "application/json"),
    "listDevices": Operation(UsersHandler, "list_devices", None, 200, "application/json"),
    "registerDevice": Operation(UsersHandler, "register_device", RegisterDeviceRequest, 200, "application/json"),
    "removeDevice": Operation(UsersHandler, "remove_device", None, 204, ""),
    "setUserRole": Operation(UsersHandler, "set_user_role", SetUserRoleRequest, 200, "application/json"),
    "setUserDisabled": Operation(UsersHandler, "set_user_disabled", SetUserDisabledRequest, 204, ""),
    "requestPasswordReset": Operation(UsersHandler, "request_password_reset", EmailOnly, 202, ""),
    "resetPassword": Operation(UsersHandler, "reset_password", ResetPasswordRequest, 204, ""),
    "signIn": Operation(SessionsHandler, "sign_in", SignInRequest, 200, "application/json"),
    "signOut": Operation(SessionsHandler, "sign_out", None, 204, ""),
    "signInWithProvider": Operation(
        SessionsHandler, "sign_in_with_provider", ProviderSignInRequest, 200, "application/json"
    ),
    "refreshSession": Operation(SessionsHandler, "refresh_session", RefreshSessionRequest, 200, "application/json"),
    "listCatalog": Operation(
        CatalogHandler, "list_catalog", None, 200, "application/json", cache_until_event=PARTNER_CATALOG_CHANGED
    ),
    "listBanks": Operation(CatalogHandler, "list_banks", None, 200, "application/json"),
    "createBank": Operation(BanksHandler, "create_bank", CreateBankRequest, 201, "application/json"),
    "listRegisteredBanks": Operation(BanksHandler, "list_registered_banks", None, 200, "application/json"),
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
    "putPartnerPicture": Operation(CatalogHandler, "put_partner_picture", Upload, 200, "application/json"),
    "setOpeningHours": Operation(PartnersHandler, "set_opening_hours", OpeningHours, 200, "application/json"),
    "removeOpeningHours": Operation(PartnersHandler, "remove_opening_hours", None, 204, ""),
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
    "getPartnerPicture": Operation(CatalogHandler, "get_partner_picture", None, 200, "image/webp"),
    "checkOrder": Operation(OrdersHandler, "check_order", CheckOrderRequest, 201, "application/json"),
    "getOrderCheck": Operation(OrdersHandler, "get_order_check", None, 200, "application/json"),
    "listOrders": Operation(OrdersHandler, "list_orders", None, 200, "application/json"),
    "confirmOrder": Operation(OrdersHandler, "confirm_order", ConfirmOrderRequest, 201, "application/json"),
    "getOrder": Operation(OrdersHandler, "get_order", None, 200, "application/json"),
    "getPaymentInstructions": Operation(OrdersHandler, "get_payment_instructions", None, 200, "application/json"),
    "getOrderHistory": Operation(OrdersHandler, "get_order_history", None, 200, "application/json"),
    "listPayments": Operation(BanksHandler, "list_payments", None, 200, "application/json"),
    "listRefunds": Operation(BanksHandler, "list_refunds", None, 200, "application/json"),
    "retryRefund": Operation(BanksHandler, "retry_refund", None, 200, "application/json"),
    "settleRefund": Operation(BanksHandler, "settle_refund", RefundSettlement, 200, "application/json"),
    "watchOrder": Operation(OrdersHandler, "watch_order", None, 200, "text/event-stream"),
    "cancelOrder": Operation(OrdersHandler, "cancel_order", CancelOrderRequest, 200, "application/json"),
    "listAvailableDeliveries": Operation(DeliveriesHandler, "list_available_deliveries", None, 200, "application/json"),
    "assignOrder": Operation(DeliveriesHandler, "assign_order", None, 200, "application/json"),
    "reportDelivererPosition": Operation(DeliveriesHandler, "report_deliverer_position", Coordinates, 204, ""),
    "completeDelivery": Operation(DeliveriesHandler, "complete_delivery", None, 200, "application/json"),
    "listNotifications": Operation(NotificationsHandler, "list_notifications", None, 200, "application/json"),
    "listAgents": Operation(NotificationsHandler, "list_agents", None, 200, "application/json"),
    "createAgent": Operation(NotificationsHandler, "create_agent", CreateAgentRequest, 201, "application/json"),
    "getAgent": Operation(NotificationsHandler, "get_agent", None, 200, "application/json"),
    "updateAgent": Operation(NotificationsHandler, "update_agent", AgentPatch, 200, "application/json"),
    "paymentCallback": Operation(CallbacksHandler, "payment_callback", None, 200, "application/json"),
    "partnerReadyCallback": Operation(CallbacksHandler, "partner_ready_callback", None, 202, ""),
}
