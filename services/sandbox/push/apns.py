"""Emulated Apple Push Notification service (APNs), with its request validation."""

import re
import time
from typing import Annotated, NamedTuple
from uuid import UUID, uuid4

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, request_response

from services.sandbox.fault_injection import FaultInjector, PushFaultMode
from services.sandbox.http_helpers import create_json_response
from services.sandbox.push.devices import Devices

MAX_PAYLOAD_BYTES = 4096
MAX_COLLAPSE_ID_BYTES = 64
MAX_TOKEN_AGE_S = 3600

_DEVICE_TOKEN_PATTERN = re.compile(r"(?:[0-9a-fA-F]{2}){32,100}")
_PRIORITIES = {"1", "5", "10"}
_PUSH_TYPES = {"alert", "background", "voip", "complication", "fileprovider", "mdm", "location", "liveactivity"}


class ApnsCredentials(NamedTuple):
    """Credentials that clients must use, and the app that they may notify."""

    key_id: str
    team_id: str
    topic: str
    public_key: EllipticCurvePublicKey


class Alert(msgspec.Struct, frozen=True):
    """Text of a notification."""

    title: str = ""
    body: str = ""


class Aps(msgspec.Struct, frozen=True):
    """The `aps` dictionary of a payload."""

    alert: Alert | str | msgspec.UnsetType = msgspec.UNSET
    content_available: Annotated[int, msgspec.Meta(ge=0, le=1)] = msgspec.field(name="content-available", default=0)


class ApnsPayload(msgspec.Struct, frozen=True):
    """A payload; fields other than `aps` are custom data of the app."""

    aps: Aps


class ApnsError(Exception):
    """Error response with an APNs reason."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


_FAULT_ERRORS = {
    PushFaultMode.UNAVAILABLE: (503, "ServiceUnavailable"),
    PushFaultMode.UNREGISTERED: (410, "Unregistered"),
    PushFaultMode.QUOTA: (429, "TooManyRequests"),
}


class ApnsEmulator:
    """Emulator of `POST /3/device/{token}`."""

    def __init__(self, devices: Devices, fault_injector: FaultInjector, credentials: ApnsCredentials) -> None:
        self._devices = devices
        self._fault_injector = fault_injector
        self._credentials = credentials

    def create_app(self) -> Starlette:
        """Return the application for a server of its own, since APNs responds to every method and path."""
        return Starlette(routes=[Mount("/", app=request_response(self.handle))])

    async def handle(self, request: Request) -> Response:
        """Validate the request and deliver the notification to the device."""
        headers = request.headers
        apns_id = headers.get("apns-id") or str(uuid4())
        body = await _read_body(request)
        try:
            token, payload, data = self._validate(request, body)
            mode = self._fault_injector.consume("push:apns")
            if mode in _FAULT_ERRORS:
                raise ApnsError(*_FAULT_ERRORS[PushFaultMode(mode)])
        except ApnsError as error:
            return _create_error_response(error, apns_id)
        alert = payload.aps.alert
        notification = alert if isinstance(alert, Alert) else Alert(body=alert) if isinstance(alert, str) else Alert()
        self._devices.deliver(
            token, apns_id, notification.title, notification.body, data, headers.get("apns-collapse-id")
        )
        if mode == PushFaultMode.SLOW:
            await self._fault_injector.delay()
        return Response(headers={} if mode == PushFaultMode.INVALID_RESPONSE else {"apns-id": apns_id})

    def _validate(self, request: Request, body: bytes) -> tuple[str, ApnsPayload, dict[str, str]]:
        """Return the device token, the payload and its custom data. Raises ApnsError."""
        headers = request.headers
        path = request.url.path
        if request.method != "POST":
            raise ApnsError(405, "MethodNotAllowed")
        if not path.startswith("/3/device/"):
            raise ApnsError(404, "BadPath")
        self._authenticate(headers.get("authorization", ""))
        token = path.removeprefix("/3/device/")
        if _DEVICE_TOKEN_PATTERN.fullmatch(token) is None:
            raise ApnsError(400, "BadDeviceToken")
        self._validate_headers(headers)
        if not body:
            raise ApnsError(400, "PayloadEmpty")
        if len(body) > MAX_PAYLOAD_BYTES:
            raise ApnsError(413, "PayloadTooLarge")
        try:
            content = msgspec.json.decode(body)
            payload = msgspec.convert(content, ApnsPayload)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ApnsError(400, "BadMessage") from error
        return token, payload, {name: str(value) for name, value in content.items() if name != "aps"}

    def _authenticate(self, authorization: str) -> None:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise ApnsError(403, "MissingProviderToken")
        try:
            is_key_valid = jwt.get_unverified_header(token).get("kid") == self._credentials.key_id
            claims = jwt.decode(
                token, self._credentials.public_key, algorithms=["ES256"], options={"verify_iat": False}
            )
            is_fresh = abs(time.time() - int(claims["iat"])) <= MAX_TOKEN_AGE_S
        except (jwt.InvalidTokenError, KeyError, ValueError, TypeError) as error:
            raise ApnsError(403, "InvalidProviderToken") from error
        if not is_key_valid or claims.get("iss") != self._credentials.team_id:
            raise ApnsError(403, "InvalidProviderToken")
        if not is_fresh:
            raise ApnsError(403, "ExpiredProviderToken")

    def _validate_headers(self, headers: Headers) -> None:
        if "apns-topic" not in headers:
            raise ApnsError(400, "MissingTopic")
        if headers["apns-topic"] != self._credentials.topic:
            raise ApnsError(400, "DeviceTokenNotForTopic")
        if headers.get("apns-push-type", "") not in _PUSH_TYPES:
            raise ApnsError(400, "InvalidPushType")
        if headers.get("apns-priority", "10") not in _PRIORITIES:
            raise ApnsError(400, "BadPriority")
        if not headers.get("apns-expiration", "0").isdecimal():
            raise ApnsError(400, "BadExpirationDate")
        if len(headers.get("apns-collapse-id", "").encode()) > MAX_COLLAPSE_ID_BYTES:
            raise ApnsError(400, "BadCollapseId")
        try:
            UUID(headers.get("apns-id", str(uuid4())))
        except ValueError as error:
            raise ApnsError(400, "BadMessageId") from error


async def _read_body(request: Request) -> bytes:
    """Return the body. Discard what exceeds the limit, so that the rest of the request is received."""
    body = bytearray()
    async for chunk in request.stream():
        if len(body) <= MAX_PAYLOAD_BYTES:
            body += chunk
    return bytes(body)


def _create_error_response(error: ApnsError, apns_id: str) -> Response:
    body: dict[str, object] = {"reason": error.reason}
    if error.status == 410:
        body["timestamp"] = int(time.time() * 1000)
    headers = {"apns-id": apns_id}
    if error.status == 503:
        headers["retry-after"] = "1"
    return create_json_response(body, error.status, headers)
