"""Written by `make generate` from api-specs/openapi/partner-system.yaml. Do not edit."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

type OrderId = Annotated[
    str,
    Meta(
        description="Id of the order.",
        examples=["0b6f"],
        max_length=64,
        min_length=1,
        pattern="^[\\x21-\\x7e]+$",
    ),
]


class PartnerItem(Struct, kw_only=True):
    product_id: Annotated[int, Meta(ge=1, le=9007199254740991)]
    title: Annotated[str, Meta(max_length=200)]
    quantity: Annotated[int, Meta(ge=1, le=99)]


class OrderAcknowledgement(Struct, kw_only=True):
    """
    Open, since partners may add fields.
    """

    order_id: OrderId


class PartnerCancellation(Struct, kw_only=True):
    """
    Open; may contain a reason.
    """

    order_id: OrderId | UnsetType = UNSET
    reason: Annotated[str, Meta(max_length=500)] | UnsetType = UNSET


class PartnerOrder(Struct, kw_only=True):
    order_id: OrderId
    items: Annotated[list[PartnerItem], Meta(max_length=50, min_length=1)]
    callback_url: Annotated[str, Meta(description="URL for the ready callback.", max_length=2000)]
    note: (
        Annotated[
            str,
            Meta(
                description="Message of the customer to the partner.",
                max_length=500,
                min_length=1,
            ),
        ]
        | UnsetType
    ) = UNSET
