"""Written by `make generate` from api-specs/openapi/apns.yaml. Do not edit."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType, field


class ApnsAlert(Struct, kw_only=True):
    """
    Open, since Apple adds fields.
    """

    title: Annotated[str, Meta(max_length=4096)] | UnsetType = UNSET
    body: Annotated[str, Meta(max_length=4096)] | UnsetType = UNSET


class ApnsFailure(Struct, kw_only=True):
    reason: Annotated[str, Meta(examples=["Unregistered"])]
    timestamp: (
        Annotated[
            int,
            Meta(description="With 410: when the token became invalid, in milliseconds since 1970."),
        ]
        | UnsetType
    ) = UNSET


class Aps(Struct, kw_only=True):
    """
    Open, since Apple adds fields.
    """

    alert: ApnsAlert | UnsetType = UNSET
    sound: Annotated[str, Meta(max_length=4096)] | UnsetType = UNSET
    thread_id: (
        Annotated[
            str,
            Meta(description="Groups notifications on the device.", max_length=4096),
        ]
        | UnsetType
    ) = field(name="thread-id", default=UNSET)


class ApnsPayload(Struct, kw_only=True):
    """
    Open. Fields beside `aps` belong to the app.
    """

    aps: Aps
