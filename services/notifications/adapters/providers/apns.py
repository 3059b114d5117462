"""Client of the Apple Push Notification service (APNs) over HTTP/2, authenticated with provider tokens."""

import asyncio
import json
import time
from collections.abc import Callable
from typing import NamedTuple, override
from uuid import UUID

import httpx
import jwt
from opentelemetry import trace

from services.notifications.adapters.providers.limits import MAX_PAYLOAD_BYTES
from services.notifications.adapters.providers.tracing import trace_send
from services.notifications.domain.notifications import ACCEPTED_RESPONSE, Outcome, ProviderResponse, Push
from services.notifications.usecases.deliver import PushClient
from services.runtime.core.clock import now
from services.runtime.outbound.retry_after import parse_retry_after
from services.runtime.telemetry import http_client

TIMEOUT_S = 5.0
"""Timeout for connecting and for each read."""

TOTAL_TIMEOUT_S = 10.0
"""Total timeout of one send."""

MAX_TOKEN_AGE_S = 45 * 60
"""Lifetime of a provider token; APNs rejects tokens older than an hour and renewals within twenty minutes."""

UNREGISTERED_REASONS = {"BadDeviceToken", "Unregistered", "ExpiredToken"}
"""Error reasons for a device token that is not registered."""

CREDENTIAL_REASONS = {"ExpiredProviderToken", "InvalidProviderToken", "MissingProviderToken"}


class ApnsKey(NamedTuple):
    """Authentication key for APNs; `private_key` is PEM."""

    key_id: str
    team_id: str
    topic: str
    private_key: str


class ApnsClient(PushClient):
    """APNs client for the devices of one app."""

    def __init__(self, url: str, key: ApnsKey, clock: Callable[[], float] = time.time) -> None:
        self._key = key
        self._clock = clock
        self._token = ""
        self._token_created_at = 0.0
        self._client = httpx.AsyncClient(
            base_url=url, http1=False, http2=True, timeout=TIMEOUT_S, trust_env=False, follow_redirects=False
        )

    @override
    @trace_send("apns")
    async def push(self, token: str, push: Push) -> ProviderResponse:
        payload = build_payload(push)
        if len(payload) > MAX_PAYLOAD_BYTES:
            return ProviderResponse(Outcome.REJECTED, "PAYLOAD_TOO_LARGE")
        headers = self._build_headers(push)
        try:
            with http_client.Measurement("POST", self._client.base_url, trace.get_current_span()) as measurement:
                async with asyncio.timeout(TOTAL_TIMEOUT_S):
                    response = await self._client.post(f"/3/device/{token}", content=payload, headers=headers)
                measurement.status = response.status_code
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout):
            return ProviderResponse(Outcome.BUSY, "UNREACHABLE")
        except (TimeoutError, httpx.TimeoutException):
            return ProviderResponse(Outcome.UNCLEAR, "TIMEOUT")
        except httpx.TransportError:
            return ProviderResponse(Outcome.UNCLEAR, "TRANSPORT")
        provider_response = map_response(response)
        if provider_response.code in CREDENTIAL_REASONS:
            self._token = ""
        return provider_response

    def _build_headers(self, push: Push) -> dict[str, str]:
        headers = {
            "authorization": f"bearer {self._get_provider_token()}",
            "apns-topic": self._key.topic,
            "apns-push-type": "alert",
            "apns-priority": "10" if push.is_urgent else "5",
            "apns-expiration": str(int(push.expires_at.timestamp())),
            "apns-collapse-id": push.id,
        }
        try:
            headers["apns-id"] = str(UUID(push.id))
        except ValueError:
            return headers  # APNs generates an id
        return headers

    def _get_provider_token(self) -> str:
        at = self._clock()
        if not self._token or at - self._token_created_at > MAX_TOKEN_AGE_S:
            self._token_created_at = at
            self._token = jwt.encode(
                {"iss": self._key.team_id, "iat": int(at)},
                self._key.private_key,
                algorithm="ES256",
                headers={"kid": self._key.key_id},
            )
        return self._token

    async def close(self) -> None:
        """Close the connection."""
        await self._client.aclose()


def build_payload(push: Push) -> bytes:
    """Return the JSON payload of the notification."""
    aps: dict[str, object] = {"alert": {"title": push.title, "body": push.body}, "sound": "default"}
    if push.collapse_key:
        aps["thread-id"] = push.collapse_key
    return json.dumps({"aps": aps, **push.data}, ensure_ascii=False, separators=(",", ":")).encode()


def map_response(response: httpx.Response) -> ProviderResponse:
    """Classify an APNs response; the code is its `reason`, for example "Unregistered"."""
    if response.status_code == 200:
        return ACCEPTED_RESPONSE if response.headers.get("apns-id") else ProviderResponse(Outcome.UNCLEAR, "NONSENSE")
    reason = _parse_reason(response)
    retry_after = parse_retry_after(response.headers.get("retry-after"), now())
    if response.status_code == 410 or reason in UNREGISTERED_REASONS:
        return ProviderResponse(Outcome.REJECTED, reason, is_unregistered=True)
    if response.status_code in (429, 503) or reason in CREDENTIAL_REASONS:
        return ProviderResponse(Outcome.BUSY, reason, retry_after)
    is_client_error = 400 <= response.status_code < 500
    return ProviderResponse(Outcome.REJECTED if is_client_error else Outcome.UNCLEAR, reason, retry_after)


def _parse_reason(response: httpx.Response) -> str:
    try:
        return str(response.json()["reason"])[:64]
    except (ValueError, KeyError, TypeError):
        return f"HTTP_{response.status_code}"
