"""Written by `make generate` from api-specs/openapi/delivery.yaml. Do not edit."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

type Id = Annotated[
    str,
    Meta(description="Opaque.", max_length=64, min_length=1, pattern="^[A-Za-z0-9_-]+$"),
]


type Number = Annotated[
    int,
    Meta(description="Assigned by the platform.", examples=[1], ge=1, le=9007199254740991),
]


type BankId = Annotated[
    str,
    Meta(
        description="Short identifier.",
        examples=["visa"],
        max_length=32,
        min_length=1,
        pattern="^[a-z0-9-]+$",
    ),
]


type Currency = Annotated[str, Meta(description="ISO 4217.", examples=["USD"], pattern="^[A-Z]{3}$")]


type Email = Annotated[str, Meta(examples=["ada@example.com"], max_length=254)]


type Phone = Annotated[
    str,
    Meta(
        description="E.164.",
        examples=["+4915112345678"],
        pattern="^\\+[1-9][0-9]{6,14}$",
    ),
]


type PersonName = Annotated[
    str,
    Meta(
        examples=["Ada"],
        max_length=100,
        min_length=1,
        pattern="^[^\\S\\x00-\\x1f\\x7f]*[^\\s\\x00-\\x1f\\x7f][^\\x00-\\x1f\\x7f]*$",
    ),
]


type Password = Annotated[str, Meta(max_length=128, min_length=8, pattern="^[^\\x00]+$")]


class Role(StrEnum):
    customer = "customer"
    deliverer = "deliverer"
    admin = "admin"


class OrderStatus(StrEnum):
    pending = "pending"
    paid = "paid"
    ready = "ready"
    delivering = "delivering"
    delivered = "delivered"
    cancelled = "cancelled"
    expired = "expired"


class RefundStatus(StrEnum):
    none = "none"
    requested = "requested"
    refunded = "refunded"
    failed = "failed"


class NotificationStatus(StrEnum):
    queued = "queued"
    sent = "sent"
    failed = "failed"
    expired = "expired"


class Provider(StrEnum):
    fcm = "fcm"
    apns = "apns"
    email = "email"


class SignUpRole(StrEnum):
    customer = "customer"
    deliverer = "deliverer"


class SignUpRequest(Struct, kw_only=True):
    email: Email
    password: Password
    first_name: PersonName
    last_name: PersonName
    role: Annotated[SignUpRole, Meta(title="SignUpRole")]
    phone: Phone | UnsetType = UNSET
    birth_date: Annotated[date, Meta(description="Not in the future.", examples=["1990-12-10"])] | UnsetType = UNSET
    notif_token: (
        Annotated[
            str,
            Meta(
                description="Device token for push notifications.",
                max_length=512,
                min_length=1,
                pattern="^[\\x21-\\x7e]+$",
            ),
        ]
        | UnsetType
    ) = UNSET
    locale: (
        Annotated[
            str,
            Meta(
                description="BCP 47.",
                examples=["en-GB"],
                max_length=35,
                pattern="^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$",
            ),
        ]
        | UnsetType
    ) = UNSET
    time_zone: (
        Annotated[
            str,
            Meta(
                description="IANA.",
                examples=["Europe/Berlin"],
                max_length=64,
                pattern="^[A-Za-z0-9_+/-]+$",
            ),
        ]
        | UnsetType
    ) = UNSET


class ConfirmSignUpRequest(Struct, kw_only=True):
    code: Annotated[
        str,
        Meta(
            description="The code from the mail.",
            max_length=128,
            min_length=1,
            pattern="^[\\x21-\\x7e]+$",
        ),
    ]


class EmailOnly(Struct, kw_only=True):
    email: Email


class ProfilePatch(Struct, kw_only=True):
    first_name: PersonName | UnsetType = UNSET
    last_name: PersonName | UnsetType = UNSET
    phone: Annotated[str, Meta(description="E.164.", pattern="^\\+[1-9][0-9]{6,14}$")] | None | UnsetType = UNSET
    birth_date: Annotated[date, Meta(description="Not in the future.")] | None | UnsetType = UNSET
    notif_token: (
        Annotated[
            str,
            Meta(
                description="Device token for push notifications.",
                max_length=512,
                min_length=1,
                pattern="^[\\x21-\\x7e]+$",
            ),
        ]
        | None
        | UnsetType
    ) = UNSET
    locale: (
        Annotated[
            str,
            Meta(description="BCP 47.", max_length=35, pattern="^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$"),
        ]
        | None
        | UnsetType
    ) = UNSET
    time_zone: (
        Annotated[
            str,
            Meta(description="IANA.", max_length=64, pattern="^[A-Za-z0-9_+/-]+$"),
        ]
        | None
        | UnsetType
    ) = UNSET


class ChangeEmailRequest(Struct, kw_only=True):
    email: Email
    password: (
        Annotated[
            str,
            Meta(
                description="Required unless the session began in the last five minutes.",
                max_length=128,
                min_length=1,
                pattern="^[^\\x00]+$",
            ),
        ]
        | UnsetType
    ) = UNSET


class ChangePasswordRequest(Struct, kw_only=True):
    old_password: Annotated[str, Meta(max_length=128, min_length=1, pattern="^[^\\x00]+$")]
    new_password: Password


class ResetPasswordRequest(Struct, kw_only=True):
    code: Annotated[
        str,
        Meta(
            description="The code from the mail.",
            max_length=128,
            min_length=1,
            pattern="^[\\x21-\\x7e]+$",
        ),
    ]
    password: Password


class SetUserDisabledRequest(Struct, kw_only=True):
    disabled: Annotated[bool, Meta(description="Whether the account is disabled.")]


class SetUserRoleRequest(Struct, kw_only=True):
    role: Role


class SignInRequest(Struct, kw_only=True):
    email: Email
    password: Annotated[str, Meta(max_length=128, min_length=1, pattern="^[^\\x00]+$")]


class SignInProvider(StrEnum):
    google = "google"
    apple = "apple"


class RefreshSessionRequest(Struct, kw_only=True):
    refresh_token: Annotated[str, Meta(max_length=4096, min_length=1, pattern="^[\\x21-\\x7e]+$")]


class Session(Struct, kw_only=True):
    access_token: Annotated[str, Meta(description="Sent as `Authorization: Bearer …`.")]
    refresh_token: str
    expires_in: Annotated[int, Meta(description="Seconds.", ge=0, le=2147483647)]
    user_id: Id


class User(Struct, kw_only=True):
    id: Id
    email: Email
    email_verified: bool
    first_name: Annotated[
        str,
        Meta(
            examples=["Ada"],
            max_length=100,
            min_length=1,
            pattern="^[^\\x00-\\x1f\\x7f]+$",
        ),
    ]
    last_name: Annotated[
        str,
        Meta(
            examples=["Ada"],
            max_length=100,
            min_length=1,
            pattern="^[^\\x00-\\x1f\\x7f]+$",
        ),
    ]
    phone: Phone | UnsetType = UNSET
    birth_date: date | UnsetType = UNSET
    role: Role | UnsetType = UNSET
    disabled: Annotated[bool, Meta(description="Whether an admin has disabled the account.")] | UnsetType = UNSET
    locale: str | UnsetType = UNSET
    time_zone: str | UnsetType = UNSET
    notif_token: str | UnsetType = UNSET
    avatar_url: str | UnsetType = UNSET


type Category = Annotated[
    str,
    Meta(
        description="Lower-case words, separated by hyphens.",
        examples=["soups"],
        max_length=50,
        min_length=1,
        pattern="^[a-z0-9]+(-[a-z0-9]+)*$",
    ),
]


class CatalogSort(StrEnum):
    """
    By id or by title.
    """

    id = "id"
    alphabetical = "alphabetical"


class ProductSort(StrEnum):
    """
    By id, by title, by price, or by price with the highest first.
    """

    id = "id"
    alphabetical = "alphabetical"
    price = "price"
    price_descending = "price_descending"


class CatalogProduct(Struct, kw_only=True):
    id: Annotated[int, Meta(ge=1, le=9007199254740991)]
    title: str
    description: str
    price: Annotated[int, Meta(description="Minor units.", ge=0, le=1000000000)]
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")]
    picture_url: Annotated[str, Meta(min_length=1)] | UnsetType = UNSET
    category: Category | UnsetType = UNSET


class Product(Struct, kw_only=True):
    id: Annotated[int, Meta(ge=1, le=9007199254740991)]
    title: str
    description: str
    picture_url: Annotated[str, Meta(min_length=1)] | UnsetType = UNSET
    category: Category | UnsetType = UNSET


class CatalogProductPage(Struct, kw_only=True):
    items: Annotated[list[CatalogProduct], Meta(max_length=100)]
    next_page_token: str | UnsetType = UNSET


class ProductPage(Struct, kw_only=True):
    items: Annotated[list[Product], Meta(max_length=100)]
    next_page_token: str | UnsetType = UNSET


type ProductTitle = Annotated[
    str,
    Meta(
        examples=["Tomato soup"],
        max_length=200,
        min_length=1,
        pattern="^[^\\S\\x00-\\x1f\\x7f]*[^\\s\\x00-\\x1f\\x7f][^\\x00-\\x1f\\x7f]*$",
    ),
]


type ProductDescription = Annotated[str, Meta(examples=["With bread."], max_length=2000, pattern="^[^\\x00]*$")]


class CreateProductRequest(Struct, kw_only=True):
    title: ProductTitle
    description: ProductDescription
    picture_url: (
        Annotated[
            str,
            Meta(
                description="External picture. `putProductPicture` uploads a picture instead.",
                max_length=500,
                pattern="^https://[\\x21-\\x7e]+$",
            ),
        ]
        | UnsetType
    ) = UNSET
    category: Category | UnsetType = UNSET


class ProductPatch(Struct, kw_only=True):
    title: ProductTitle | UnsetType = UNSET
    description: ProductDescription | UnsetType = UNSET
    picture_url: (
        Annotated[
            str,
            Meta(description="External picture.", max_length=500, pattern="^https://[\\x21-\\x7e]+$"),
        ]
        | None
        | UnsetType
    ) = UNSET
    category: (
        Annotated[
            str,
            Meta(max_length=50, min_length=1, pattern="^[a-z0-9]+(-[a-z0-9]+)*$"),
        ]
        | None
        | UnsetType
    ) = UNSET


type PartnerName = Annotated[
    str,
    Meta(
        examples=["Green Bowl"],
        max_length=100,
        min_length=1,
        pattern="^[^\\S\\x00-\\x1f\\x7f]*[^\\s\\x00-\\x1f\\x7f][^\\x00-\\x1f\\x7f]*$",
    ),
]


type PartnerAddress = Annotated[
    str,
    Meta(
        examples=["1 Market Square"],
        max_length=200,
        min_length=1,
        pattern="^[^\\S\\x00-\\x1f\\x7f]*[^\\s\\x00-\\x1f\\x7f][^\\x00-\\x1f\\x7f]*$",
    ),
]


type PartnerUrl = Annotated[
    str,
    Meta(
        description="Base URL of the partner's system, see [its contract](/openapi/partner-system.yaml). Without user information, query and fragment.",
        examples=["https://kitchen.example/api"],
        max_length=500,
        min_length=8,
        pattern="^https?://[\\x21\\x22\\x24-\\x3e\\x41-\\x7e]+$",
    ),
]


class CreatePartnerRequest(Struct, kw_only=True):
    title: PartnerName
    brand: PartnerName
    phone: Phone
    email: Email
    address: PartnerAddress
    api_url: PartnerUrl
    verified: bool = False
    enabled: bool = True
    picture_url: (
        Annotated[
            str,
            Meta(
                description="External picture. `putPartnerPicture` uploads a picture instead.",
                max_length=500,
                pattern="^https://[\\x21-\\x7e]+$",
            ),
        ]
        | UnsetType
    ) = UNSET
    delivery_fee: (
        Annotated[
            int,
            Meta(
                description="Fee of each order, in minor units; 0 if absent.",
                ge=0,
                le=1000000000,
            ),
        ]
        | UnsetType
    ) = UNSET
    delivery_fee_currency: (
        Annotated[
            str,
            Meta(
                description="ISO 4217; USD if absent.",
                examples=["USD"],
                pattern="^[A-Z]{3}$",
            ),
        ]
        | UnsetType
    ) = UNSET


class PartnerPatch(Struct, kw_only=True):
    title: PartnerName | UnsetType = UNSET
    brand: PartnerName | UnsetType = UNSET
    phone: Phone | UnsetType = UNSET
    email: Email | UnsetType = UNSET
    address: PartnerAddress | UnsetType = UNSET
    api_url: PartnerUrl | UnsetType = UNSET
    verified: bool | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    picture_url: (
        Annotated[
            str,
            Meta(description="External picture.", max_length=500, pattern="^https://[\\x21-\\x7e]+$"),
        ]
        | None
        | UnsetType
    ) = UNSET
    delivery_fee: (
        Annotated[
            int,
            Meta(description="Fee of each order, in minor units.", ge=0, le=1000000000),
        ]
        | UnsetType
    ) = UNSET
    delivery_fee_currency: (
        Annotated[str, Meta(description="ISO 4217.", examples=["USD"], pattern="^[A-Z]{3}$")] | UnsetType
    ) = UNSET


class NewPartnerSecret(Struct, kw_only=True):
    webhook_secret: Annotated[str, Meta(description="Returned only in this response.")]


class Weekday(StrEnum):
    monday = "monday"
    tuesday = "tuesday"
    wednesday = "wednesday"
    thursday = "thursday"
    friday = "friday"
    saturday = "saturday"
    sunday = "sunday"


class SetAvailabilityRequest(Struct, kw_only=True):
    price: Annotated[int, Meta(description="Minor units.", ge=0, le=1000000000)]
    currency: Currency = "USD"
    active: bool = True


class Availability(Struct, kw_only=True):
    price: Annotated[int, Meta(description="Minor units.", ge=0, le=1000000000)]
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")]
    active: bool


class PartnerCallKind(StrEnum):
    order = "order"
    cancellation = "cancellation"


class PartnerCallStatus(StrEnum):
    waiting = "waiting"
    delivered = "delivered"
    failed = "failed"
    withdrawn = "withdrawn"


class PartnerCallTry(Struct, kw_only=True):
    at: Annotated[datetime, Meta(description="End of the attempt.")]
    answer: Annotated[
        str,
        Meta(description="Result: the HTTP status, or the error when there was no response."),
    ]
    took_ms: Annotated[int, Meta(description="Milliseconds.", ge=0, le=2147483647)]


class BankSummary(Struct, kw_only=True):
    id: BankId
    title: str


type BankTitle = Annotated[
    str,
    Meta(
        examples=["Visa"],
        max_length=100,
        min_length=1,
        pattern="^[^\\S\\x00-\\x1f\\x7f]*[^\\s\\x00-\\x1f\\x7f][^\\x00-\\x1f\\x7f]*$",
    ),
]


type BankUrl = Annotated[
    str,
    Meta(
        description="Without user information and fragment; the URL of the API also without query.",
        examples=["https://bank.example/api"],
        max_length=500,
        min_length=8,
        pattern="^https?://[\\x21-\\x7e]+$",
    ),
]


class CreateBankRequest(Struct, kw_only=True):
    id: BankId
    title: BankTitle
    webcheckout_url: BankUrl
    api_url: BankUrl
    active: bool = True


class BankPatch(Struct, kw_only=True):
    title: BankTitle | UnsetType = UNSET
    webcheckout_url: BankUrl | UnsetType = UNSET
    api_url: BankUrl | UnsetType = UNSET
    active: bool | UnsetType = UNSET


class Bank(Struct, kw_only=True):
    id: BankId
    title: str
    webcheckout_url: str
    api_url: Annotated[str, Meta(description="Base URL of the bank's API for refunds.")]
    active: Annotated[bool, Meta(description="Whether customers may select the bank.")]


class CreatedBank(Struct, kw_only=True):
    id: BankId
    title: str
    webcheckout_url: str
    api_url: str
    active: bool
    webhook_secret: (
        Annotated[
            str,
            Meta(description="Returned only in this response, absent in a replayed response."),
        ]
        | UnsetType
    ) = UNSET


class NewBankSecret(Struct, kw_only=True):
    webhook_secret: Annotated[str, Meta(description="Returned only in this response.")]


class PaymentOutcome(StrEnum):
    paid = "paid"
    overpaid = "overpaid"
    insufficient = "insufficient"
    failed = "failed"
    conflict = "conflict"
    unknown_order = "unknown_order"
    duplicate_id = "duplicate_id"


class Payment(Struct, kw_only=True):
    bank_id: BankId
    payment_id: str
    order_id: str
    amount: Annotated[int, Meta(description="Minor units.", ge=0, le=9007199254740991)]
    currency: str
    outcome: PaymentOutcome
    refund_amount: Annotated[
        int,
        Meta(description="Refunded amount, in minor units.", ge=0, le=9007199254740991),
    ]
    at: datetime


class RefundActionKind(StrEnum):
    retried = "retried"
    settled = "settled"


class RefundAction(Struct, kw_only=True):
    kind: RefundActionKind
    actor: Annotated[str, Meta(description="The admin.")]
    at: datetime
    note: str | UnsetType = UNSET


class Refund(Struct, kw_only=True):
    id: Annotated[str, Meta(description="Also the `webhook-id` of the requests to the bank.")]
    bank_id: BankId
    payment_id: str
    order_id: str
    amount: Annotated[int, Meta(description="Minor units.", ge=1, le=9007199254740991)]
    currency: str
    status: RefundStatus
    attempts: Annotated[
        int,
        Meta(
            description="Requests to the bank since the refund was requested or retried.",
            ge=0,
            le=2147483647,
        ),
    ]
    created_at: datetime
    actions: Annotated[
        list[RefundAction],
        Meta(
            description="Actions of admins, at most the latest 50, oldest first.",
            max_length=50,
        ),
    ]
    last_response: (
        Annotated[
            str,
            Meta(description="Status code of the bank's last response, or the error without a response."),
        ]
        | UnsetType
    ) = UNSET
    next_attempt_at: Annotated[datetime, Meta(description="Only while the refund is requested.")] | UnsetType = UNSET


class RefundPage(Struct, kw_only=True):
    items: Annotated[list[Refund], Meta(max_length=100)]
    next_page_token: str | UnsetType = UNSET


class RefundSettlement(Struct, kw_only=True):
    note: Annotated[
        str,
        Meta(
            description="How the customer received the money.",
            max_length=500,
            min_length=1,
            pattern="^[^\\S\\x00-\\x1f\\x7f]*[^\\s\\x00-\\x1f\\x7f][^\\x00-\\x1f\\x7f]*$",
        ),
    ]


type Tip = Annotated[
    int,
    Meta(
        description="Tip for the deliverer in minor units, a part of `total_amount`.",
        ge=0,
        le=1000000000,
    ),
]


class Coordinates(Struct, kw_only=True):
    """
    Position in degrees (WGS 84).
    """

    latitude: Annotated[float, Meta(ge=-90.0, le=90.0)]
    longitude: Annotated[float, Meta(ge=-180.0, le=180.0)]


class Address(Struct, kw_only=True):
    street: Annotated[str, Meta(description="Street and number.")]
    city: str
    country: Annotated[str, Meta(description="ISO 3166-1 alpha-2.")]
    unit: Annotated[str, Meta(description="Flat or floor.")] | UnsetType = UNSET
    postal_code: str | UnsetType = UNSET
    region: Annotated[str, Meta(description="State or province.")] | UnsetType = UNSET
    coordinates: Coordinates | UnsetType = UNSET


class BasketItem(Struct, kw_only=True):
    product_id: Annotated[int, Meta(ge=1, le=9007199254740991)]
    quantity: Annotated[int, Meta(ge=1, le=99)]


class PartnerSummary(Struct, kw_only=True):
    id: Annotated[int, Meta(ge=1, le=9007199254740991)]
    title: str
    brand: str


class PricedItem(Struct, kw_only=True):
    product_id: Annotated[int, Meta(ge=1, le=9007199254740991)]
    title: str
    quantity: Annotated[int, Meta(ge=1, le=99)]
    price: Annotated[int, Meta(description="Unit price in minor units.", ge=0, le=1000000000)]


type ReturnUrl = Annotated[
    str,
    Meta(
        description="Page of the frontend to which the bank sends the customer after the checkout, with the query parameter `order_id` added. Its origin must be registered with the platform. The status of the payment is that of the order, not of the return.",
        max_length=500,
        min_length=8,
        pattern="^https?://[\\x21-\\x7e]+$",
    ),
]


class PaymentInstructions(Struct, kw_only=True):
    webcheckout_url: Annotated[str, Meta(description="The bank's checkout page with the order data.")]
    callback_url: Annotated[str, Meta(description="URL for the bank's payment callback.")]


class CancelOrderRequest(Struct, kw_only=True):
    reason: (
        Annotated[
            str,
            Meta(
                description="Shown in the order.",
                max_length=500,
                min_length=1,
                pattern="^\\s*[^\\x00\\s][^\\x00]*$",
            ),
        ]
        | UnsetType
    ) = UNSET


class OrderPartner(Struct, kw_only=True):
    id: Annotated[int, Meta(ge=1, le=9007199254740991)]
    title: str
    brand: str


class OrderItem(Struct, kw_only=True):
    product_id: Annotated[int, Meta(ge=1, le=9007199254740991)]
    title: str
    quantity: Annotated[int, Meta(ge=1, le=99)]
    price: Annotated[int, Meta(description="Unit price in minor units.", ge=0, le=1000000000)]


class HistoryEntry(Struct, kw_only=True):
    status: OrderStatus
    at: datetime
    actor: Annotated[
        str,
        Meta(
            description="Actor of the change: `customer:<id>`, `bank:<id>`, `partner:<id>`, `deliverer:<id>`, `admin:<id>` or `system`."
        ),
    ]
    note: str | UnsetType = UNSET


class RegisterDeviceRequest(Struct, kw_only=True):
    token: Annotated[
        str,
        Meta(
            description="Device token of FCM or APNs.",
            max_length=512,
            min_length=1,
            pattern="^[\\x21-\\x7e]+$",
        ),
    ]
    name: (
        Annotated[
            str,
            Meta(
                description="Name by which the user recognises the device.",
                max_length=100,
                min_length=1,
                pattern="^[^\\S\\x00-\\x1f\\x7f]*[^\\s\\x00-\\x1f\\x7f][^\\x00-\\x1f\\x7f]*$",
            ),
        ]
        | UnsetType
    ) = UNSET


class Device(Struct, kw_only=True):
    id: Id
    provider: Provider
    registered_at: datetime
    name: str | UnsetType = UNSET


class DeviceList(Struct, kw_only=True):
    items: Annotated[list[Device], Meta(max_length=10)]


class NotificationAttempt(Struct, kw_only=True):
    provider: Provider
    at: datetime
    outcome: Annotated[str, Meta(description="`accepted`, or the provider's error code.")]


type AgentName = Annotated[
    str,
    Meta(
        examples=["Order updates"],
        max_length=100,
        min_length=1,
        pattern="^[^\\S\\x00-\\x1f\\x7f]*[^\\s\\x00-\\x1f\\x7f][^\\x00-\\x1f\\x7f]*$",
    ),
]


type AgentPriority = Annotated[int, Meta(description="10 is the most urgent.", ge=1, le=10)]


type AgentProviders = Annotated[
    list[Provider],
    Meta(
        description="In order of preference; the next provider is used only when the previous one has rejected the notification.",
        max_length=3,
        min_length=1,
    ),
]
"""
In order of preference; the next provider is used only when the previous one has rejected the notification.
"""


type TimeToLive = Annotated[
    int,
    Meta(description="Seconds after which a notification expires.", ge=1, le=2419200),
]


type LocalTime = Annotated[
    str,
    Meta(examples=["22:00"], max_length=5, pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$"),
]


class QuietHours(Struct, kw_only=True):
    """
    Local time in which the user receives no notifications. Delayed notifications are sent at the end.
    """

    start: LocalTime
    end: LocalTime


type FcmKey = Annotated[
    str,
    Meta(
        description="A service account's key file (JSON).",
        max_length=8192,
        min_length=2,
    ),
]


class ApnsKey(Struct, kw_only=True):
    key_id: Annotated[str, Meta(examples=["ABC123DEFG"], pattern="^[A-Z0-9]{10}$")]
    team_id: Annotated[str, Meta(examples=["DEF123GHIJ"], pattern="^[A-Z0-9]{10}$")]
    topic: Annotated[
        str,
        Meta(
            description="The app's bundle id.",
            examples=["test.delivery.app"],
            max_length=128,
            pattern="^[A-Za-z0-9.-]+$",
        ),
    ]
    private_key: Annotated[
        str,
        Meta(
            description="PEM, an elliptic curve key on P-256.",
            max_length=4096,
            pattern="^[^\\x00]*$",
        ),
    ]


class AgentKeys(Struct, kw_only=True):
    fcm: FcmKey | UnsetType = UNSET
    apns: ApnsKey | UnsetType = UNSET


class CreateAgentPreferences(Struct, kw_only=True):
    ttl_s: TimeToLive
    quiet_hours: QuietHours | UnsetType = UNSET
    collapse: bool | UnsetType = UNSET


class CreateAgentRequest(Struct, kw_only=True):
    name: AgentName
    priority: AgentPriority
    providers: AgentProviders
    preferences: CreateAgentPreferences
    enabled: bool = True
    keys: AgentKeys | UnsetType = UNSET


class PreferencesPatch(Struct, kw_only=True):
    quiet_hours: QuietHours | None | UnsetType = UNSET
    ttl_s: TimeToLive | UnsetType = UNSET
    collapse: bool | None | UnsetType = UNSET


class AgentKeysPatch(Struct, kw_only=True):
    fcm: FcmKey | None | UnsetType = UNSET
    apns: ApnsKey | None | UnsetType = UNSET


class AgentPatch(Struct, kw_only=True):
    name: AgentName | UnsetType = UNSET
    priority: AgentPriority | UnsetType = UNSET
    providers: AgentProviders | UnsetType = UNSET
    preferences: PreferencesPatch | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    keys: AgentKeysPatch | UnsetType = UNSET


class PaymentStatus(StrEnum):
    succeeded = "succeeded"
    failed = "failed"


class PaymentCallback(Struct, kw_only=True):
    """
    Open, since banks may add fields.
    """

    payment_id: Annotated[str, Meta(max_length=128, min_length=1, pattern="^[\\x21-\\x7e]+$")]
    order_id: Annotated[str, Meta(max_length=64, min_length=1, pattern="^[\\x21-\\x7e]+$")]
    amount: Annotated[int, Meta(description="Minor units.", ge=0, le=9007199254740991)]
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")]
    status: Annotated[PaymentStatus, Meta(title="PaymentStatus")]


class PaymentReceipt(Struct, kw_only=True):
    payment_id: str


class ReadyCallback(Struct, kw_only=True):
    """
    Open, since partners may add fields.
    """

    order_id: Annotated[str, Meta(max_length=64, min_length=1, pattern="^[\\x21-\\x7e]+$")]
    pickup_address: Annotated[str, Meta(max_length=200, min_length=1, pattern="^\\s*[^\\x00\\s][^\\x00]*$")]


class UserPage(Struct, kw_only=True):
    items: Annotated[list[User], Meta(max_length=100)]
    next_page_token: str | UnsetType = UNSET


class ProviderSignInRequest(Struct, kw_only=True):
    provider: SignInProvider
    id_token: Annotated[
        str,
        Meta(
            description="Id token of the provider (OpenID Connect).",
            max_length=8192,
            min_length=1,
            pattern="^[A-Za-z0-9_.-]+$",
        ),
    ]
    nonce: (
        Annotated[
            str,
            Meta(
                description="Nonce before hashing, if the token contains one.",
                max_length=256,
                min_length=1,
                pattern="^[\\x21-\\x7e]+$",
            ),
        ]
        | UnsetType
    ) = UNSET
    first_name: PersonName | UnsetType = UNSET
    last_name: PersonName | UnsetType = UNSET
    locale: (
        Annotated[
            str,
            Meta(
                description="BCP 47.",
                examples=["en-GB"],
                max_length=35,
                pattern="^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$",
            ),
        ]
        | UnsetType
    ) = UNSET
    time_zone: (
        Annotated[
            str,
            Meta(
                description="IANA.",
                examples=["Europe/Berlin"],
                max_length=64,
                pattern="^[A-Za-z0-9_+/-]+$",
            ),
        ]
        | UnsetType
    ) = UNSET
    notif_token: (
        Annotated[
            str,
            Meta(
                description="Device token for push notifications.",
                max_length=512,
                min_length=1,
                pattern="^[\\x21-\\x7e]+$",
            ),
        ]
        | UnsetType
    ) = UNSET


class OpeningPeriod(Struct, kw_only=True):
    day: Weekday
    opens: LocalTime
    closes: Annotated[
        str,
        Meta(
            description="On the following day if it is not later than `opens`.",
            examples=["22:00"],
            max_length=5,
            pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$",
        ),
    ]


class OpeningHours(Struct, kw_only=True):
    """
    Weekly schedule in local time. Without it, a partner is always open.
    """

    time_zone: Annotated[
        str,
        Meta(
            description="Name in the IANA time zone database.",
            examples=["Europe/Berlin"],
            max_length=64,
            min_length=1,
            pattern="^[A-Za-z0-9_+/-]+$",
        ),
    ]
    periods: Annotated[
        list[OpeningPeriod],
        Meta(
            description="The partner is open during each of them.",
            max_length=28,
            min_length=1,
        ),
    ]


class PartnerCall(Struct, kw_only=True):
    id: Annotated[str, Meta(description="The `webhook-id` of every attempt.")]
    partner_id: Number
    order_id: str
    kind: PartnerCallKind
    status: PartnerCallStatus
    attempts: Annotated[
        int,
        Meta(
            description="Attempts since the call was scheduled or repeated.",
            ge=0,
            le=2147483647,
        ),
    ]
    body: Annotated[str, Meta(description="Request body, JSON.")]
    tries: Annotated[
        list[PartnerCallTry],
        Meta(description="The most recent attempts, oldest first.", max_length=50),
    ]
    created_at: datetime
    next_at: (
        Annotated[
            datetime,
            Meta(description="Time of the next attempt while the status is `waiting`."),
        ]
        | UnsetType
    ) = UNSET


class BankPage(Struct, kw_only=True):
    items: Annotated[list[BankSummary], Meta(max_length=100)]
    next_page_token: str | UnsetType = UNSET


class RegisteredBankPage(Struct, kw_only=True):
    items: Annotated[list[Bank], Meta(max_length=100)]
    next_page_token: str | UnsetType = UNSET


class PaymentPage(Struct, kw_only=True):
    items: Annotated[list[Payment], Meta(max_length=100)]
    next_page_token: str | UnsetType = UNSET


class OrderEvent(Struct, kw_only=True):
    order_id: Id
    status: OrderStatus
    at: Annotated[datetime, Meta(description="Time of the change or of the position.")]
    deliverer_position: Coordinates | UnsetType = UNSET


class CheckOrderAddress(Struct, kw_only=True):
    """
    Parts of `delivery_address`, for maps and navigation.
    """

    street: Annotated[
        str,
        Meta(
            description="Street and number.",
            max_length=200,
            min_length=1,
            pattern="^\\s*[^\\x00\\s][^\\x00]*$",
        ),
    ]
    city: Annotated[str, Meta(max_length=100, min_length=1, pattern="^\\s*[^\\x00\\s][^\\x00]*$")]
    country: Annotated[
        str,
        Meta(
            description="ISO 3166-1 alpha-2.",
            examples=["US"],
            max_length=2,
            min_length=2,
            pattern="^[A-Z]{2}$",
        ),
    ]
    unit: (
        Annotated[
            str,
            Meta(
                description="Flat or floor.",
                max_length=100,
                min_length=1,
                pattern="^\\s*[^\\x00\\s][^\\x00]*$",
            ),
        ]
        | UnsetType
    ) = UNSET
    postal_code: Annotated[str, Meta(max_length=20, min_length=1, pattern="^\\s*[^\\x00\\s][^\\x00]*$")] | UnsetType = (
        UNSET
    )
    region: (
        Annotated[
            str,
            Meta(
                description="State or province.",
                max_length=100,
                min_length=1,
                pattern="^\\s*[^\\x00\\s][^\\x00]*$",
            ),
        ]
        | UnsetType
    ) = UNSET
    coordinates: Coordinates | UnsetType = UNSET


class OrderCheck(Struct, kw_only=True):
    check_id: Id
    expires_at: datetime
    total_amount: Annotated[int, Meta(description="Minor units, with the tip.", ge=0, le=9007199254740991)]
    tip_amount: Annotated[int, Meta(description="Minor units.", ge=0, le=1000000000)]
    delivery_fee: Annotated[
        int,
        Meta(
            description="Delivery fee of the partner in minor units, a part of `total_amount`.",
            ge=0,
            le=1000000000,
        ),
    ]
    currency: str
    partner: PartnerSummary
    items: Annotated[list[PricedItem], Meta(max_length=50)]


class ConfirmOrderRequest(Struct, kw_only=True):
    check_id: Id
    return_url: ReturnUrl | UnsetType = UNSET


class Order(Struct, kw_only=True):
    id: Id
    status: OrderStatus
    customer_id: Id
    partner: OrderPartner
    items: Annotated[list[OrderItem], Meta(max_length=50)]
    total_amount: Annotated[int, Meta(description="Minor units, with the tip.", ge=0, le=9007199254740991)]
    tip_amount: Annotated[
        int,
        Meta(description="Tip for the deliverer, in minor units.", ge=0, le=1000000000),
    ]
    delivery_fee: Annotated[
        int,
        Meta(
            description="Delivery fee of the partner in minor units, a part of `total_amount`.",
            ge=0,
            le=1000000000,
        ),
    ]
    currency: str
    paid_amount: Annotated[
        int,
        Meta(
            description="Captured amount in minor units, including amounts that were refunded later.",
            ge=0,
            le=9223372036854775807,
        ),
    ]
    refunded_amount: Annotated[
        int,
        Meta(description="Refunded amount, in minor units.", ge=0, le=9223372036854775807),
    ]
    refund_status: RefundStatus
    bank_id: BankId
    delivery_address: str
    version: Annotated[
        int,
        Meta(description="Increases by one with every change.", ge=1, le=9007199254740991),
    ]
    created_at: datetime
    updated_at: datetime
    customer_name: str | UnsetType = UNSET
    customer_phone: str | UnsetType = UNSET
    payment_id: str | UnsetType = UNSET
    address: Address | UnsetType = UNSET
    note: Annotated[str, Meta(description="Message of the customer to the partner.")] | UnsetType = UNSET
    pickup_address: str | UnsetType = UNSET
    deliverer_id: str | UnsetType = UNSET
    cancel_reason: str | UnsetType = UNSET


class OrderPage(Struct, kw_only=True):
    items: Annotated[list[Order], Meta(max_length=100)]
    next_page_token: str | UnsetType = UNSET


class DeliveryPage(Struct, kw_only=True):
    items: Annotated[list[Order], Meta(max_length=100)]
    next_page_token: str | UnsetType = UNSET


class HistoryPage(Struct, kw_only=True):
    items: Annotated[list[HistoryEntry], Meta(max_length=100)]
    next_page_token: str | UnsetType = UNSET


class Notification(Struct, kw_only=True):
    id: Id
    event: Annotated[str, Meta(examples=["orders.paid"])]
    agent_id: str
    title: str
    body: str
    status: NotificationStatus
    attempts: Annotated[
        list[NotificationAttempt],
        Meta(description="The most recent attempts, oldest first.", max_length=100),
    ]
    created_at: datetime
    user_id: str
    order_id: Id | UnsetType = UNSET
    sent_at: datetime | UnsetType = UNSET
    reason: (
        Annotated[
            str,
            Meta(
                description="Machine-readable reason of the failure.",
                examples=["NO_DEVICE"],
            ),
        ]
        | UnsetType
    ) = UNSET


class NotificationRecordPage(Struct, kw_only=True):
    items: Annotated[list[Notification], Meta(max_length=100)]
    next_page_token: str | UnsetType = UNSET


class Preferences(Struct, kw_only=True):
    ttl_s: TimeToLive
    quiet_hours: QuietHours | UnsetType = UNSET
    collapse: (
        Annotated[
            bool,
            Meta(
                description="Whether only the last notification of an order is delivered to a device that was offline."
            ),
        ]
        | UnsetType
    ) = UNSET


class CatalogPartner(Struct, kw_only=True):
    id: Annotated[int, Meta(ge=1, le=9007199254740991)]
    title: str
    brand: str
    address: str
    products: Annotated[list[CatalogProduct], Meta(max_length=50)]
    products_truncated: Annotated[bool, Meta(description="Whether the partner has more products.")]
    picture_url: Annotated[str, Meta(min_length=1)] | UnsetType = UNSET
    is_open: (
        Annotated[
            bool,
            Meta(description="False while the partner is closed and rejects order checks. Up to 10 seconds old."),
        ]
        | UnsetType
    ) = UNSET
    opens_at: Annotated[datetime, Meta(description="Of a closed partner: time of the next opening.")] | UnsetType = (
        UNSET
    )
    opening_hours: OpeningHours | UnsetType = UNSET
    delivery_fee: (
        Annotated[
            int,
            Meta(description="Fee of each order, in minor units.", ge=0, le=1000000000),
        ]
        | UnsetType
    ) = UNSET
    delivery_fee_currency: (
        Annotated[str, Meta(description="ISO 4217.", examples=["USD"], pattern="^[A-Z]{3}$")] | UnsetType
    ) = UNSET


class Partner(Struct, kw_only=True):
    id: Number
    title: str
    brand: str
    phone: str
    email: str
    address: str
    api_url: Annotated[str, Meta(description="Base URL of the partner's system.")]
    verified: Annotated[bool, Meta(description="Whether an admin has verified the partner.")]
    enabled: Annotated[bool, Meta(description="Whether a verified partner accepts orders.")]
    picture_url: Annotated[str, Meta(min_length=1)] | UnsetType = UNSET
    opening_hours: OpeningHours | UnsetType = UNSET
    delivery_fee: (
        Annotated[
            int,
            Meta(description="Fee of each order, in minor units.", ge=0, le=1000000000),
        ]
        | UnsetType
    ) = UNSET
    delivery_fee_currency: (
        Annotated[str, Meta(description="ISO 4217.", examples=["USD"], pattern="^[A-Z]{3}$")] | UnsetType
    ) = UNSET


class PartnerPage(Struct, kw_only=True):
    items: Annotated[list[Partner], Meta(max_length=100)]
    next_page_token: str | UnsetType = UNSET


class CreatedPartner(Struct, kw_only=True):
    id: Number
    title: str
    brand: str
    phone: str
    email: str
    address: str
    api_url: str
    verified: bool
    enabled: bool
    picture_url: Annotated[str, Meta(min_length=1)] | UnsetType = UNSET
    opening_hours: OpeningHours | UnsetType = UNSET
    delivery_fee: (
        Annotated[
            int,
            Meta(description="Fee of each order, in minor units.", ge=0, le=1000000000),
        ]
        | UnsetType
    ) = UNSET
    delivery_fee_currency: (
        Annotated[str, Meta(description="ISO 4217.", examples=["USD"], pattern="^[A-Z]{3}$")] | UnsetType
    ) = UNSET
    webhook_secret: (
        Annotated[
            str,
            Meta(description="Returned only in this response, absent in a replayed response."),
        ]
        | UnsetType
    ) = UNSET


class PartnerCallPage(Struct, kw_only=True):
    items: Annotated[list[PartnerCall], Meta(max_length=100)]
    next_page_token: str | UnsetType = UNSET


class CheckOrderRequest(Struct, kw_only=True):
    partner_id: Annotated[int, Meta(ge=1, le=9007199254740991)]
    items: Annotated[
        list[BasketItem],
        Meta(description="Each product at most once.", max_length=50, min_length=1),
    ]
    total_amount: Annotated[
        int,
        Meta(
            description="Total that the customer expects, in minor units: items, delivery fee and tip.",
            ge=0,
            le=9007199254740991,
        ),
    ]
    bank_id: BankId
    delivery_address: Annotated[
        str,
        Meta(
            description="Address as the deliverer reads it.",
            max_length=200,
            min_length=1,
            pattern="^\\s*[^\\x00\\s][^\\x00]*$",
        ),
    ]
    currency: Currency = "USD"
    address: CheckOrderAddress | UnsetType = UNSET
    customer_name: (
        Annotated[
            str,
            Meta(max_length=200, min_length=1, pattern="^\\s*[^\\x00\\s][^\\x00]*$"),
        ]
        | UnsetType
    ) = UNSET
    customer_phone: Phone | UnsetType = UNSET
    note: (
        Annotated[
            str,
            Meta(
                description="Message to the partner, such as an allergy.",
                max_length=500,
                min_length=1,
                pattern="^\\s*[^\\x00\\s][^\\x00]*$",
            ),
        ]
        | UnsetType
    ) = UNSET
    tip_amount: Tip = 0


class ConfirmedOrder(Struct, kw_only=True):
    order: Order
    payment: PaymentInstructions


class NotificationPage(Struct, kw_only=True):
    items: Annotated[list[Notification], Meta(max_length=100)]
    next_page_token: str | UnsetType = UNSET


class Agent(Struct, kw_only=True):
    id: Id
    name: AgentName
    priority: AgentPriority
    providers: Annotated[list[Provider], Meta(max_length=3)]
    preferences: Preferences
    enabled: Annotated[bool, Meta(description="A disabled agent sends nothing.")]


class AgentPage(Struct, kw_only=True):
    items: Annotated[list[Agent], Meta(max_length=100)]
    next_page_token: str | UnsetType = UNSET


class CatalogPage(Struct, kw_only=True):
    items: Annotated[list[CatalogPartner], Meta(max_length=100)]
    next_page_token: str | UnsetType = UNSET
