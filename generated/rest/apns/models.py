"""Written by `make generate` from api-specs/openapi/apns.yaml. Do not edit."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType, field


class ApnsAlert(Struct, kw_only=True):
    title: str | UnsetType = UNSET
    body: str | UnsetType = UNSET


class ApnsFailure(Struct, kw_only=True):
    reason: Annotated[str, Meta(examples=["Unregistered"])]
    timestamp: (
        Annotated[
            int,
            Meta(description="With 410: since when nobody has the token, in milliseconds since 1970."),
        ]
        | UnsetType
    ) = UNSET


class Aps(Struct, kw_only=True):
    alert: ApnsAlert | UnsetType = UNSET
    sound: str | UnsetType = UNSET
    thread_id: Annotated[str, Meta(description="Groups notifications on the phone.")] | UnsetType = field(
        name="thread-id", default=UNSET
    )


class ApnsPayload(Struct, kw_only=True):
    """
    What stands beside `aps` is the app's.
    """

    aps: Aps
