"""Written by `make generate` from api-specs/openapi/payment-system.yaml. Do not edit."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

type Amount = Annotated[int, Meta(description="Minor units.", examples=[1234], ge=0, le=9007199254740991)]


type Currency = Annotated[str, Meta(description="ISO 4217.", examples=["USD"], pattern="^[A-Z]{3}$")]


type PaymentId = Annotated[
    str,
    Meta(
        description="Unique at the bank.",
        examples=["pay_8d3f"],
        max_length=128,
        min_length=1,
        pattern="^[\\x21-\\x7e]+$",
    ),
]


type RefundId = Annotated[
    str,
    Meta(
        description="Assigned by the platform; the same in every attempt.",
        max_length=128,
        min_length=1,
        pattern="^[\\x21-\\x7e]+$",
    ),
]


type OrderId = Annotated[
    str,
    Meta(
        description="The order id of the checkout.",
        max_length=64,
        min_length=1,
        pattern="^[\\x21-\\x7e]+$",
    ),
]


class RefundRequest(Struct, kw_only=True):
    refund_id: RefundId
    payment_id: PaymentId
    amount: Annotated[int, Meta(description="Minor units.", ge=1, le=9007199254740991)]
    currency: Currency


class Refund(Struct, kw_only=True):
    refund_id: RefundId
    payment_id: PaymentId
    amount: Amount
    currency: Currency


class PaymentStatus(StrEnum):
    succeeded = "succeeded"
    failed = "failed"


class PaymentCallback(Struct, kw_only=True):
    """
    Open, since banks may add fields.
    """

    payment_id: PaymentId
    order_id: OrderId
    amount: Amount
    currency: Currency
    status: PaymentStatus
