"""Messages of the emulated banks. Amounts are in minor units."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

import msgspec

from services.sandbox.webhooks import CallbackResponse

MAX_AMOUNT = 2**53 - 1

type Amount = Annotated[int, msgspec.Meta(ge=0, le=MAX_AMOUNT)]
type Currency = Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$")]
type Identifier = Annotated[str, msgspec.Meta(min_length=1, max_length=128, pattern=r"^[\x21-\x7e]+$")]
type Url = Annotated[str, msgspec.Meta(max_length=2000, pattern="^https?://")]


class CheckoutOutcome(StrEnum):
    """Outcome of a checkout, selected by the payer.

    `less` and `more` are off by one minor unit; `twice` sends the callback twice.
    """

    PAY = "pay"
    FAIL = "fail"
    TWICE = "twice"
    LESS = "less"
    MORE = "more"


class Checkout(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A payment to make; the amount is in minor units."""

    order_id: Identifier
    amount: Amount
    currency: Currency
    callback_url: Url
    outcome: CheckoutOutcome
    return_url: Url | None = None
    timestamp: str | None = None
    return_url_signature: str | None = None


class PaymentCallback(msgspec.Struct, frozen=True):
    """Callback that reports a payment to the merchant."""

    payment_id: str
    order_id: str
    amount: int
    currency: str
    status: str


class CheckoutResult(msgspec.Struct, frozen=True):
    """Result of a checkout: the response to each callback, in the order of sending."""

    payment_id: str
    callbacks: list[CallbackResponse]


class Refund(msgspec.Struct, frozen=True):
    """Refund of an amount in minor units, idempotent by its id."""

    refund_id: Identifier
    payment_id: Identifier
    amount: Annotated[int, msgspec.Meta(ge=1, le=MAX_AMOUNT)]
    currency: Currency


class LedgerEntry(msgspec.Struct, frozen=True):
    """One payment, in minor units. A failed payment has captured nothing."""

    payment_id: str
    order_id: str
    captured: int
    refunded: int
    currency: str


class PaymentListRequest(msgspec.Struct, frozen=True):
    """Request for the payments of a period; the token is the position of the last payment of the previous page."""

    captured_since: datetime
    captured_until: datetime
    page_token: Annotated[str, msgspec.Meta(pattern="^[0-9]{1,18}$")] | None = None


class CapturedPayment(msgspec.Struct, frozen=True):
    """Captured payment; the amount is in minor units."""

    payment_id: str
    order_id: str
    amount: int
    currency: str


class PaymentList(msgspec.Struct, frozen=True):
    """Page of captured payments."""

    payments: list[CapturedPayment]
    next_page_token: str | msgspec.UnsetType = msgspec.UNSET
