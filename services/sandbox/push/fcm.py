"""Emulated Firebase Cloud Messaging (FCM), HTTP v1."""

import secrets
from typing import Annotated, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.sandbox.fault_injection import FaultInjector, PushFaultMode, RequestCount
from services.sandbox.http_helpers import create_json_response, read_json_body
from services.sandbox.identity.tokens import TokenIssuer
from services.sandbox.push.devices import Devices

MAX_PAYLOAD_BYTES = 4096
"""Maximum size of a message payload, as counted by FCM."""

type Text = Annotated[str, msgspec.Meta(max_length=MAX_PAYLOAD_BYTES)]
type Target = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_PAYLOAD_BYTES)]
type StringMap = dict[str, Text]
type Duration = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,8}(\.[0-9]{1,9})?s$")]


class FcmModel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of FCM messages; FCM rejects unknown fields."""


class Notification(FcmModel, frozen=True):
    """Notification for all platforms."""

    title: Text = ""
    body: Text = ""
    image: Text | None = None


class AndroidNotification(FcmModel, frozen=True):
    """Notification for Android, with precedence; it replaces the one with the same `tag`."""

    title: Text | None = None
    body: Text | None = None
    tag: Text | None = None
    channel_id: Text | None = None
    icon: Text | None = None
    color: Text | None = None
    sound: Text | None = None
    click_action: Text | None = None


class AndroidConfig(FcmModel, frozen=True):
    """Options for Android."""

    collapse_key: Text | None = None
    priority: Literal["normal", "high", "NORMAL", "HIGH"] | None = None
    ttl: Duration | None = None
    data: StringMap = {}
    notification: AndroidNotification | None = None


class ApnsConfig(FcmModel, frozen=True):
    """Options for APNs; the header `apns-collapse-id` works like `tag`."""

    headers: StringMap = {}
    payload: dict[str, object] = {}


class Message(FcmModel, frozen=True):
    """A message for one device, identified by its registration token or Firebase installation id."""

    token: Target | None = None
    fid: Target | None = None
    name: Text | None = None
    data: StringMap = {}
    notification: Notification | None = None
    android: AndroidConfig | None = None
    apns: ApnsConfig | None = None

    def __post_init__(self) -> None:
        if (self.token is None) == (self.fid is None):
            raise ValueError("Exactly one of token and fid must be set.")

    @property
    def target(self) -> str:
        """Return the token or installation id of the device."""
        return self.token or self.fid or ""


class SendMessageRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Request of projects.messages.send."""

    message: Message
    validate_only: bool = False


class PushFault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Fault of a provider for `count` messages; without a count, until the mode `none` is set."""

    provider: Literal["fcm", "apns"]
    mode: PushFaultMode
    count: RequestCount | None = None


_FAULT_ERRORS = {
    PushFaultMode.UNAVAILABLE: (503, "UNAVAILABLE", "UNAVAILABLE", "The service is currently unavailable."),
    PushFaultMode.UNREGISTERED: (404, "NOT_FOUND", "UNREGISTERED", "Requested entity was not found."),
    PushFaultMode.QUOTA: (429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED", "Quota exceeded for quota metric."),
}


def _create_error_response(code: int, status: str, error_code: str, message: str) -> Response:
    details = [{"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": error_code}]
    error = {"code": code, "message": message, "status": status, "details": details}
    headers = {"retry-after": "1"} if code in (429, 503) else None
    return create_json_response({"error": error}, code, headers)


class FcmEmulator:
    """Emulator of FCM."""

    def __init__(
        self, devices: Devices, token_issuer: TokenIssuer, fault_injector: FaultInjector, project: str
    ) -> None:
        self._devices = devices
        self._token_issuer = token_issuer
        self._fault_injector = fault_injector
        self._project = project

    def build_routes(self) -> list[Route]:
        """Return the routes of the FCM API and of fault injection."""
        return [
            Route("/v1/projects/{project}/messages:send", self.send, methods=["POST"]),
            Route("/push/fault", self.set_fault, methods=["PUT"]),
        ]

    async def send(self, request: Request) -> Response:
        """Validate the message and deliver it to the device."""
        if not self._token_issuer.is_admin(request.headers.get("authorization", "")):
            return _create_error_response(
                401, "UNAUTHENTICATED", "THIRD_PARTY_AUTH_ERROR", "Request had invalid authentication credentials."
            )
        if request.path_params["project"] != self._project:
            return _create_error_response(403, "PERMISSION_DENIED", "SENDER_ID_MISMATCH", "SenderId mismatch")
        content = await request.body()
        try:
            body = msgspec.json.decode(content, type=SendMessageRequest)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return _create_error_response(400, "INVALID_ARGUMENT", "INVALID_ARGUMENT", str(error))
        if len(msgspec.json.encode([body.message.notification, body.message.data])) > MAX_PAYLOAD_BYTES:
            return _create_error_response(400, "INVALID_ARGUMENT", "INVALID_ARGUMENT", "Message is too big.")
        mode = self._fault_injector.consume("push:fcm")
        if mode in _FAULT_ERRORS:
            return _create_error_response(*_FAULT_ERRORS[PushFaultMode(mode)])
        name = f"projects/{self._project}/messages/{secrets.token_hex(12)}"
        if not body.validate_only:
            self._deliver(name, body.message)
        if mode == PushFaultMode.INVALID_RESPONSE:
            return create_json_response({"ok": True})
        if mode == PushFaultMode.SLOW:
            await self._fault_injector.delay()
        return create_json_response({"name": name})

    def _deliver(self, name: str, message: Message) -> None:
        android = message.android.notification if message.android else None
        notification = message.notification or Notification()
        collapse_id = (
            (android and android.tag) or (message.apns and message.apns.headers.get("apns-collapse-id")) or None
        )
        self._devices.deliver(
            message.target,
            name,
            (android and android.title) or notification.title,
            (android and android.body) or notification.body,
            message.data | (message.android.data if message.android else {}),
            collapse_id,
        )

    async def set_fault(self, request: Request) -> Response:
        """Set the fault of a provider."""
        fault = await read_json_body(request, PushFault)
        self._fault_injector.set(f"push:{fault.provider}", fault.mode, fault.count)
        return Response(status_code=204)
