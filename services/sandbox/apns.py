"""Push to Apple's phones: APNs, which checks what Apple checks."""

import re
import time
from typing import Annotated, NamedTuple
from uuid import UUID, uuid4

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from services.sandbox.faults import Faults, PushMode
from services.sandbox.http2 import Http2Request, Http2Response
from services.sandbox.phones import Phones

MAX_PAYLOAD = 4096
MAX_COLLAPSE = 64
TOKEN_AGE_S = 3600

_TOKEN = re.compile(r"(?:[0-9a-fA-F]{2}){32,100}")
_PRIORITIES = {"1", "5", "10"}
_TYPES = {"alert", "background", "voip", "complication", "fileprovider", "mdm", "location", "liveactivity"}


class AppleKey(NamedTuple):
    """Who may push, and to which app."""

    key_id: str
    team_id: str
    topic: str
    public: EllipticCurvePublicKey


class Alert(msgspec.Struct, frozen=True):
    """What a phone shows."""

    title: str = ""
    body: str = ""


class Aps(msgspec.Struct, frozen=True):
    """Apple's part of a payload."""

    alert: Alert | str | msgspec.UnsetType = msgspec.UNSET
    content_available: Annotated[int, msgspec.Meta(ge=0, le=1)] = msgspec.field(name="content-available", default=0)


class Payload(msgspec.Struct, frozen=True):
    """A payload; what stands beside `aps` is the app's."""

    aps: Aps


class RefusedError(Exception):
    """Apple says no."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


_FAULTS = {
    PushMode.UNAVAILABLE: (503, "ServiceUnavailable"),
    PushMode.UNREGISTERED: (410, "Unregistered"),
    PushMode.QUOTA: (429, "TooManyRequests"),
}


class Apns:
    """The one operation there is: POST /3/device/{token}."""

    def __init__(self, phones: Phones, faults: Faults, key: AppleKey) -> None:
        self._phones = phones
        self._faults = faults
        self._key = key

    async def answer(self, request: Http2Request) -> Http2Response:
        """Checks the request as Apple does, and shows it on the phone."""
        headers = request.headers
        apns_id = headers.get("apns-id") or str(uuid4())
        try:
            token, payload = self._checked(request)
            mode = self._faults.take("push:apns")
            if mode in _FAULTS:
                raise RefusedError(*_FAULTS[PushMode(mode)])
        except RefusedError as error:
            return _refusal(error, apns_id)
        alert = payload.aps.alert
        shown = alert if isinstance(alert, Alert) else Alert(body=alert) if isinstance(alert, str) else Alert()
        others = {name: str(value) for name, value in msgspec.json.decode(request.body).items() if name != "aps"}
        self._phones.show(token, apns_id, shown.title, shown.body, others, headers.get("apns-collapse-id"))
        if mode == PushMode.SLOW:
            await self._faults.linger()
        return Http2Response(200, {} if mode == PushMode.LIE else {"apns-id": apns_id})

    def _checked(self, request: Http2Request) -> tuple[str, Payload]:
        headers = request.headers
        path = headers.get(":path", "")
        if headers.get(":method") != "POST":
            raise RefusedError(405, "MethodNotAllowed")
        if not path.startswith("/3/device/"):
            raise RefusedError(404, "BadPath")
        self._sign_in(headers.get("authorization", ""))
        token = path.removeprefix("/3/device/")
        if _TOKEN.fullmatch(token) is None:
            raise RefusedError(400, "BadDeviceToken")
        self._check_headers(headers)
        if not request.body:
            raise RefusedError(400, "PayloadEmpty")
        if len(request.body) > MAX_PAYLOAD:
            raise RefusedError(413, "PayloadTooLarge")
        try:
            return token, msgspec.json.decode(request.body, type=Payload)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise RefusedError(400, "BadMessage") from error

    def _sign_in(self, authorization: str) -> None:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise RefusedError(403, "MissingProviderToken")
        try:
            known = jwt.get_unverified_header(token).get("kid") == self._key.key_id
            claims = jwt.decode(token, self._key.public, algorithms=["ES256"], options={"verify_iat": False})
            fresh = abs(time.time() - int(claims["iat"])) <= TOKEN_AGE_S
        except (jwt.InvalidTokenError, KeyError, ValueError, TypeError) as error:
            raise RefusedError(403, "InvalidProviderToken") from error
        if not known or claims.get("iss") != self._key.team_id:
            raise RefusedError(403, "InvalidProviderToken")
        if not fresh:
            raise RefusedError(403, "ExpiredProviderToken")

    def _check_headers(self, headers: dict[str, str]) -> None:
        if "apns-topic" not in headers:
            raise RefusedError(400, "MissingTopic")
        if headers["apns-topic"] != self._key.topic:
            raise RefusedError(400, "DeviceTokenNotForTopic")
        if headers.get("apns-push-type", "") not in _TYPES:
            raise RefusedError(400, "InvalidPushType")
        if headers.get("apns-priority", "10") not in _PRIORITIES:
            raise RefusedError(400, "BadPriority")
        if not headers.get("apns-expiration", "0").isdecimal():
            raise RefusedError(400, "BadExpirationDate")
        if len(headers.get("apns-collapse-id", "").encode()) > MAX_COLLAPSE:
            raise RefusedError(400, "BadCollapseId")
        try:
            UUID(headers.get("apns-id", str(uuid4())))
        except ValueError as error:
            raise RefusedError(400, "BadMessageId") from error


def _refusal(error: RefusedError, apns_id: str) -> Http2Response:
    body: dict[str, object] = {"reason": error.reason}
    if error.status == 410:
        body["timestamp"] = int(time.time() * 1000)
    headers = {"apns-id": apns_id, "content-type": "application/json"}
    if error.status == 503:
        headers["retry-after"] = "1"
    return Http2Response(error.status, headers, msgspec.json.encode(body))
