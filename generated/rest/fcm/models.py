"""Written by `make generate` from api-specs/openapi/fcm.yaml. Do not edit."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType, field


class PushNotification(Struct, kw_only=True):
    title: Annotated[str, Meta(max_length=4096)] | UnsetType = UNSET
    body: Annotated[str, Meta(max_length=4096)] | UnsetType = UNSET


class AndroidPriority(StrEnum):
    normal = "normal"
    high = "high"


class AndroidNotification(Struct, kw_only=True):
    tag: (
        Annotated[
            str,
            Meta(
                description="Replaces the notification that has the same one.",
                max_length=4096,
            ),
        ]
        | UnsetType
    ) = UNSET


type StringMapAdditionalProperty = Annotated[str, Meta(max_length=4096)]


type StringMap = Annotated[dict[str, StringMapAdditionalProperty], Meta(max_length=100)]


class SentMessage(Struct, kw_only=True):
    name: Annotated[
        str,
        Meta(
            examples=["projects/delivery-local/messages/9c1e"],
            pattern="^projects/[^/]+/messages/.+$",
        ),
    ]


class FcmErrorDetail(Struct, kw_only=True):
    field_type: str = field(name="@type")
    errorCode: (
        Annotated[
            str,
            Meta(
                description="UNREGISTERED, QUOTA_EXCEEDED, UNAVAILABLE, SENDER_ID_MISMATCH and others.",
                examples=["UNREGISTERED"],
            ),
        ]
        | UnsetType
    ) = UNSET


class AndroidConfig(Struct, kw_only=True):
    collapse_key: (
        Annotated[
            str,
            Meta(
                description="Key that groups messages: only the last one is delivered to a device that was offline.",
                max_length=4096,
            ),
        ]
        | UnsetType
    ) = UNSET
    priority: AndroidPriority | UnsetType = UNSET
    ttl: (
        Annotated[
            str,
            Meta(
                description="Time to live of the message.",
                pattern="^[0-9]{1,8}(\\.[0-9]{1,9})?s$",
            ),
        ]
        | UnsetType
    ) = UNSET
    notification: AndroidNotification | UnsetType = UNSET


class ApnsConfig(Struct, kw_only=True):
    headers: StringMap | UnsetType = UNSET


class FcmError(Struct, kw_only=True):
    code: Annotated[int, Meta(ge=400, le=599)]
    message: str
    status: Annotated[str, Meta(examples=["UNAVAILABLE"])]
    details: list[FcmErrorDetail] | UnsetType = UNSET


class PushMessage(Struct, kw_only=True):
    """
    Contains exactly one of `token` and `fid`.
    """

    token: (
        Annotated[
            str,
            Meta(
                description="Registration token of the device.",
                max_length=4096,
                min_length=1,
            ),
        ]
        | UnsetType
    ) = UNSET
    fid: (
        Annotated[
            str,
            Meta(
                description="The app's Firebase installation id.",
                max_length=4096,
                min_length=1,
            ),
        ]
        | UnsetType
    ) = UNSET
    notification: PushNotification | UnsetType = UNSET
    data: StringMap | UnsetType = UNSET
    android: AndroidConfig | UnsetType = UNSET
    apns: ApnsConfig | UnsetType = UNSET


class FcmFailure(Struct, kw_only=True):
    error: FcmError


class SendRequest(Struct, kw_only=True):
    message: PushMessage
    validate_only: bool = False
