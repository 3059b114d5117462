"""Written by `make generate` from api-specs/openapi/delivery.yaml. Do not edit."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType, field

type Id = Annotated[
    str,
    Meta(description="Opaque.", max_length=64, min_length=1, pattern="^[A-Za-z0-9_-]+$"),
]


type Number = Annotated[int, Meta(description="Given by us.", examples=[1], ge=1, le=9007199254740991)]


type BankId = Annotated[
    str,
    Meta(
        description="A short word.",
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
    Meta(examples=["Ada"], max_length=100, min_length=1, pattern="^[^\\x00-\\x1f\\x7f]+$"),
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
    birth_date: Annotated[date, Meta(examples=["1990-12-10"])] | UnsetType = UNSET
    notif_token: (
        Annotated[
            str,
            Meta(
                description="Where a push reaches the device.",
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
            description="As mailed.",
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
    birth_date: date | None | UnsetType = UNSET
    notif_token: (
        Annotated[
            str,
            Meta(
                description="Where a push reaches the device.", max_length=512, min_length=1, pattern="^[\\x21-\\x7e]+$"
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


class ChangePasswordRequest(Struct, kw_only=True):
    old_password: Annotated[str, Meta(max_length=128, min_length=1, pattern="^[^\\x00]+$")]
    new_password: Password


class ResetPasswordRequest(Struct, kw_only=True):
    code: Annotated[
        str,
        Meta(
            description="As mailed.",
            max_length=128,
            min_length=1,
            pattern="^[\\x21-\\x7e]+$",
        ),
    ]
    password: Password


class SetUserRoleRequest(Struct, kw_only=True):
    role: Role


class SignInRequest(Struct, kw_only=True):
    email: Email
    password: Annotated[str, Meta(max_length=128, min_length=1, pattern="^[^\\x00]+$")]


class RefreshSessionRequest(Struct, kw_only=True):
    refresh_token: Annotated[str, Meta(max_length=4096, min_length=1, pattern="^[\\x21-\\x7e]+$")]


class Session(Struct, kw_only=True):
    access_token: Annotated[str, Meta(description="Sent as `Authorization: Bearer …`.")]
    refresh_token: str
    expires_in: Annotated[int, Meta(description="Seconds.", ge=0)]
    user_id: Id


class User(Struct, kw_only=True):
    id: Id
    email: Email
    email_verified: bool
    first_name: PersonName
    last_name: PersonName
    phone: Phone | UnsetType = UNSET
    birth_date: date | UnsetType = UNSET
    role: Role | UnsetType = UNSET
    locale: str | UnsetType = UNSET
    time_zone: str | UnsetType = UNSET
    notif_token: str | UnsetType = UNSET
    avatar_url: str | UnsetType = UNSET


class CatalogProduct(Struct, kw_only=True):
    id: Annotated[int, Meta(ge=1)]
    title: str
    description: str
    price: Annotated[int, Meta(description="Minor units.", ge=0, le=1000000000)]
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")]
    picture_url: str | UnsetType = UNSET


class Product(Struct, kw_only=True):
    id: Annotated[int, Meta(ge=1)]
    title: str
    description: str
    picture_url: str | UnsetType = UNSET


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
        pattern="^[^\\x00-\\x1f\\x7f]+$",
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
                description="A picture elsewhere. `putProductPicture` keeps one here.",
                max_length=500,
                pattern="^https://[\\x21-\\x7e]+$",
            ),
        ]
        | UnsetType
    ) = UNSET


class ProductPatch(Struct, kw_only=True):
    title: ProductTitle | UnsetType = UNSET
    description: ProductDescription | UnsetType = UNSET
    picture_url: (
        Annotated[
            str,
            Meta(description="A picture elsewhere.", max_length=500, pattern="^https://[\\x21-\\x7e]+$"),
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
        pattern="^[^\\x00-\\x1f\\x7f]+$",
    ),
]


type PartnerAddress = Annotated[
    str,
    Meta(
        examples=["1 Market Square"],
        max_length=200,
        min_length=1,
        pattern="^[^\\x00-\\x1f\\x7f]+$",
    ),
]


type PartnerUrl = Annotated[
    str,
    Meta(
        description="Where its system takes orders, as `partner-system.yaml` says. No user, query or fragment.",
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


class PartnerPatch(Struct, kw_only=True):
    title: PartnerName | UnsetType = UNSET
    brand: PartnerName | UnsetType = UNSET
    phone: Phone | UnsetType = UNSET
    email: Email | UnsetType = UNSET
    address: PartnerAddress | UnsetType = UNSET
    api_url: PartnerUrl | UnsetType = UNSET
    verified: bool | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET


class Partner(Struct, kw_only=True):
    id: Number
    title: str
    brand: str
    phone: str
    email: str
    address: str
    api_url: Annotated[str, Meta(description="Where its system takes orders.")]
    verified: Annotated[bool, Meta(description="Whether a person has looked at it.")]
    enabled: Annotated[bool, Meta(description="Whether it takes orders, if it is verified.")]


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
    webhook_secret: Annotated[str, Meta(description="Shown this once; absent in a repeated answer.")] | UnsetType = (
        UNSET
    )


class NewPartnerSecret(Struct, kw_only=True):
    webhook_secret: Annotated[str, Meta(description="Shown this once.")]


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
    at: Annotated[datetime, Meta(description="When it was over.")]
    answer: Annotated[str, Meta(description="What came of it: a status, or why there is none.")]
    took_ms: Annotated[int, Meta(description="Milliseconds.", ge=0)]


class BankSummary(Struct, kw_only=True):
    id: BankId
    title: str


type BankTitle = Annotated[
    str,
    Meta(
        examples=["Visa"],
        max_length=100,
        min_length=1,
        pattern="^[^\\x00-\\x1f\\x7f]+$",
    ),
]


type BankUrl = Annotated[
    str,
    Meta(
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
    api_url: Annotated[str, Meta(description="Where it is asked to pay back.")]
    active: Annotated[bool, Meta(description="Whether customers may choose it.")]


class CreatedBank(Struct, kw_only=True):
    id: BankId
    title: str
    webcheckout_url: str
    api_url: str
    active: bool
    webhook_secret: Annotated[str, Meta(description="Shown this once; absent in a repeated answer.")] | UnsetType = (
        UNSET
    )


class NewBankSecret(Struct, kw_only=True):
    webhook_secret: Annotated[str, Meta(description="Shown this once.")]


class PaymentOutcome(StrEnum):
    paid = "paid"
    overpaid = "overpaid"
    insufficient = "insufficient"
    failed = "failed"
    conflict = "conflict"
    unknown_order = "unknown_order"


class Payment(Struct, kw_only=True):
    bank_id: BankId
    payment_id: str
    order_id: str
    amount: Annotated[int, Meta(description="Minor units.", ge=0)]
    currency: str
    outcome: PaymentOutcome
    refund_amount: Annotated[int, Meta(description="What goes back of it, in minor units.", ge=0)]
    at: datetime


class OrderEvent(Struct, kw_only=True):
    order_id: Id
    status: OrderStatus
    at: datetime


class BasketItem(Struct, kw_only=True):
    product_id: Annotated[int, Meta(ge=1, le=9007199254740991)]
    quantity: Annotated[int, Meta(ge=1, le=99)]


class PartnerSummary(Struct, kw_only=True):
    id: Annotated[int, Meta(ge=1)]
    title: str
    brand: str


class PricedItem(Struct, kw_only=True):
    product_id: Annotated[int, Meta(ge=1)]
    title: str
    quantity: Annotated[int, Meta(ge=1, le=99)]
    price: Annotated[int, Meta(description="Minor units, of one piece.", ge=0, le=1000000000)]


class ConfirmOrderRequest(Struct, kw_only=True):
    check_id: Id


class PaymentInstructions(Struct, kw_only=True):
    webcheckout_url: Annotated[str, Meta(description="The bank's page, already filled in.")]
    callback_url: Annotated[str, Meta(description="Where the bank tells us.")]


class CancelOrderRequest(Struct, kw_only=True):
    reason: (
        Annotated[
            str,
            Meta(
                description="For those who read the order.",
                max_length=500,
                min_length=1,
                pattern="^[^\\x00]*$",
            ),
        ]
        | UnsetType
    ) = UNSET


class OrderPartner(Struct, kw_only=True):
    id: Annotated[int, Meta(ge=1)]
    title: str
    brand: str


class OrderItem(Struct, kw_only=True):
    product_id: Annotated[int, Meta(ge=1)]
    title: str
    quantity: Annotated[int, Meta(ge=1, le=99)]
    price: Annotated[int, Meta(description="Minor units, of one piece.", ge=0, le=1000000000)]


class HistoryEntry(Struct, kw_only=True):
    status: OrderStatus
    at: datetime
    actor: Annotated[
        str,
        Meta(
            description="Who did it: `customer:<id>`, `bank:<id>`, `partner:<id>`, `deliverer:<id>`, `admin:<id>` or `system`."
        ),
    ]
    note: str | UnsetType = UNSET


class NotificationAttempt(Struct, kw_only=True):
    provider: Provider
    at: datetime
    outcome: Annotated[str, Meta(description="`accepted`, or the provider's own word for why not.")]


type AgentName = Annotated[
    str,
    Meta(
        examples=["Order updates"],
        max_length=100,
        min_length=1,
        pattern="^[^\\x00-\\x1f\\x7f]+$",
    ),
]


type AgentPriority = Annotated[int, Meta(description="10 is the most urgent.", ge=1, le=10)]


type AgentProviders = Annotated[
    list[Provider],
    Meta(
        description="In order; the next one only when the one before has refused.",
        max_length=3,
        min_length=1,
    ),
]
"""
In order; the next one only when the one before has refused.
"""


type TimeToLive = Annotated[
    int,
    Meta(
        description="For how many seconds a notification is worth sending.",
        ge=1,
        le=2419200,
    ),
]


type LocalTime = Annotated[
    str,
    Meta(examples=["22:00"], max_length=5, pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$"),
]


class QuietHours(Struct, kw_only=True):
    """
    When a user is left alone, by the user's own clock. From the end on what waited is sent.
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


class NewPreferences(Struct, kw_only=True):
    ttl_s: TimeToLive
    quiet_hours: QuietHours | UnsetType = UNSET
    collapse: bool | UnsetType = UNSET


class CreateAgentRequest(Struct, kw_only=True):
    name: AgentName
    priority: AgentPriority
    providers: AgentProviders
    preferences: NewPreferences
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
    pickup_address: Annotated[str, Meta(max_length=200, min_length=1, pattern="^[^\\x00]*$")]


class FieldError(Struct, kw_only=True):
    field_: Annotated[str, Meta(description="A JSON pointer into the body, or the name of a parameter.")] = field(
        name="field"
    )
    message: str


class UserPage(Struct, kw_only=True):
    items: Annotated[list[User], Meta(max_length=100)]
    next_page_token: str | UnsetType = UNSET


class CatalogPartner(Struct, kw_only=True):
    id: Annotated[int, Meta(ge=1)]
    title: str
    brand: str
    address: str
    products: Annotated[list[CatalogProduct], Meta(max_length=50)]
    products_truncated: Annotated[bool, Meta(description="Whether there are more than these.")]


class PartnerCall(Struct, kw_only=True):
    id: Annotated[str, Meta(description="The `webhook-id` of every try.")]
    partner_id: Number
    order_id: str
    kind: PartnerCallKind
    status: PartnerCallStatus
    attempts: Annotated[int, Meta(description="Tries since the call was planned or made again.", ge=0)]
    body: Annotated[str, Meta(description="What is sent, as JSON.")]
    tries: Annotated[
        list[PartnerCallTry],
        Meta(description="The last of them, oldest first.", max_length=50),
    ]
    created_at: datetime
    next_at: Annotated[datetime, Meta(description="When it is tried again, while it waits.")] | UnsetType = UNSET


class BankPage(Struct, kw_only=True):
    items: Annotated[list[BankSummary], Meta(max_length=100)]
    next_page_token: str | UnsetType = UNSET


class PaymentPage(Struct, kw_only=True):
    items: Annotated[list[Payment], Meta(max_length=100)]
    next_page_token: str | UnsetType = UNSET


class CheckOrderRequest(Struct, kw_only=True):
    partner_id: Annotated[int, Meta(ge=1, le=9007199254740991)]
    items: Annotated[
        list[BasketItem],
        Meta(description="No product twice.", max_length=50, min_length=1),
    ]
    total_amount: Annotated[
        int,
        Meta(
            description="What the customer expects to pay, in minor units.",
            ge=0,
            le=9007199254740991,
        ),
    ]
    bank_id: BankId
    delivery_address: Annotated[str, Meta(max_length=200, min_length=6, pattern="^[^\\x00]*$")]
    currency: Currency = "USD"
    customer_name: Annotated[str, Meta(max_length=200, min_length=1, pattern="^[^\\x00]*$")] | UnsetType = UNSET
    customer_phone: Phone | UnsetType = UNSET


class OrderCheck(Struct, kw_only=True):
    check_id: Id
    expires_at: datetime
    total_amount: Annotated[int, Meta(description="Minor units.", ge=0)]
    currency: str
    partner: PartnerSummary
    items: list[PricedItem]


class Order(Struct, kw_only=True):
    id: Id
    status: OrderStatus
    customer_id: Id
    partner: OrderPartner
    items: list[OrderItem]
    total_amount: Annotated[int, Meta(description="Minor units.", ge=0)]
    currency: str
    paid_amount: Annotated[
        int,
        Meta(
            description="Captured for it, in minor units; what of it is refunded stays counted here.",
            ge=0,
        ),
    ]
    refunded_amount: Annotated[int, Meta(description="Gone back, in minor units.", ge=0)]
    refund_status: RefundStatus
    bank_id: BankId
    delivery_address: str
    version: Annotated[int, Meta(description="Grows by one with every change.", ge=1)]
    created_at: datetime
    updated_at: datetime
    customer_name: str | UnsetType = UNSET
    customer_phone: str | UnsetType = UNSET
    payment_id: str | UnsetType = UNSET
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
    attempts: list[NotificationAttempt]
    created_at: datetime
    user_id: str
    order_id: Id | UnsetType = UNSET
    sent_at: datetime | UnsetType = UNSET
    reason: (
        Annotated[
            str,
            Meta(
                description="Why it reached nobody: a stable word.",
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
            Meta(description="Of the notifications of one order that wait for an absent phone, only the last is kept."),
        ]
        | UnsetType
    ) = UNSET


class Problem(Struct, kw_only=True):
    """
    RFC 9457.
    """

    type: Annotated[str, Meta(description="A page that explains the reason: `/problems/<reason>`.")]
    title: str
    status: Annotated[int, Meta(ge=400, le=599)]
    detail: str
    reason: Annotated[
        str,
        Meta(description="Stable; the word to program against.", pattern="^[A-Z][A-Z_]*$"),
    ]
    trace_id: Annotated[str, Meta(description="Name it when you ask for help.")]
    instance: str | UnsetType = UNSET
    errors: list[FieldError] | UnsetType = UNSET


class CatalogPage(Struct, kw_only=True):
    items: Annotated[list[CatalogPartner], Meta(max_length=100)]
    next_page_token: str | UnsetType = UNSET


class PartnerCallPage(Struct, kw_only=True):
    items: Annotated[list[PartnerCall], Meta(max_length=100)]
    next_page_token: str | UnsetType = UNSET


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
    providers: list[Provider]
    preferences: Preferences
    enabled: Annotated[bool, Meta(description="Nothing is sent by an agent that is not.")]


class AgentPage(Struct, kw_only=True):
    items: Annotated[list[Agent], Meta(max_length=100)]
    next_page_token: str | UnsetType = UNSET
