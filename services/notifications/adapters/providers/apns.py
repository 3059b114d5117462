"""Apple Push Notification service over HTTP/2, by provider tokens."""

import json
import time
from collections.abc import Callable
from typing import NamedTuple
from uuid import UUID

import httpx
import jwt

from services.notifications.adapters.providers.http import MAX_PAYLOAD_BYTES, parse_retry_after
from services.notifications.domain.notifications import ACCEPTED_RESPONSE, Outcome, ProviderResponse, Push

TIMEOUT_S = 5.0
"""Seconds to connect, and seconds to answer."""

MAX_TOKEN_AGE_S = 45 * 60
"""Apple refuses provider tokens older than an hour, and new ones within twenty minutes."""

UNREGISTERED_REASONS = {"BadDeviceToken", "Unregistered", "ExpiredToken"}
"""Reasons that say nobody is there."""

CREDENTIAL_REASONS = {"ExpiredProviderToken", "InvalidProviderToken", "MissingProviderToken"}


class ApnsKey(NamedTuple):
    """What Apple knows us by; `private_key` is PEM."""

    key_id: str
    team_id: str
    topic: str
    private_key: str


class ApnsClient:
    """Sends to the devices of one app."""

    def __init__(self, url: str, key: ApnsKey, clock: Callable[[], float] = time.time) -> None:
        self._key = key
        self._clock = clock
        self._token = ""
        self._token_created_at = 0.0
        self._client = httpx.AsyncClient(
            base_url=url, http1=False, http2=True, timeout=TIMEOUT_S, trust_env=False, follow_redirects=False
        )

    async def push(self, token: str, push: Push) -> ProviderResponse:
        """Sends to one device. The notification's id is the collapse id by which a phone shows repeats once."""
        content = build_payload(push)
        if len(content) > MAX_PAYLOAD_BYTES:
            return ProviderResponse(Outcome.REJECTED, "PAYLOAD_TOO_LARGE")
        try:
            response = await self._client.post(f"/3/device/{token}", content=content, headers=self._build_headers(push))
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout):
            return ProviderResponse(Outcome.BUSY, "UNREACHABLE")
        except httpx.TimeoutException:
            return ProviderResponse(Outcome.UNCLEAR, "TIMEOUT")
        except httpx.TransportError:
            return ProviderResponse(Outcome.UNCLEAR, "TRANSPORT")
        answer = map_response(response)
        if answer.code in CREDENTIAL_REASONS:
            self._token = ""
        return answer

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
            return headers  # Apple makes one
        return headers

    def _get_provider_token(self) -> str:
        now = self._clock()
        if not self._token or now - self._token_created_at > MAX_TOKEN_AGE_S:
            self._token_created_at = now
            self._token = jwt.encode(
                {"iss": self._key.team_id, "iat": int(now)},
                self._key.private_key,
                algorithm="ES256",
                headers={"kid": self._key.key_id},
            )
        return self._token

    async def close(self) -> None:
        """Closes the connection."""
        await self._client.aclose()


def build_payload(push: Push) -> bytes:
    """The notification as Apple takes it."""
    aps: dict[str, object] = {"alert": {"title": push.title, "body": push.body}, "sound": "default"}
    if push.collapse_key:
        aps["thread-id"] = push.collapse_key
    return json.dumps({"aps": aps, **push.data}, ensure_ascii=False, separators=(",", ":")).encode()


def map_response(response: httpx.Response) -> ProviderResponse:
    """What an answer means, in Apple's own word: "Unregistered"."""
    if response.status_code == 200:
        return ACCEPTED_RESPONSE if response.headers.get("apns-id") else ProviderResponse(Outcome.UNCLEAR, "NONSENSE")
    word, wait = _parse_reason(response), parse_retry_after(response.headers.get("retry-after"))
    if response.status_code == 410 or word in UNREGISTERED_REASONS:
        return ProviderResponse(Outcome.REJECTED, word, is_unregistered=True)
    if response.status_code in (429, 503) or word in CREDENTIAL_REASONS:
        return ProviderResponse(Outcome.BUSY, word, wait)
    refused = 400 <= response.status_code < 500
    return ProviderResponse(Outcome.REJECTED if refused else Outcome.UNCLEAR, word, wait)


def _parse_reason(response: httpx.Response) -> str:
    try:
        return str(response.json()["reason"])[:64]
    except (ValueError, KeyError, TypeError):
        return f"HTTP_{response.status_code}"
