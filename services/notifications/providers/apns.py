"""Apple Push Notification service over HTTP/2, by provider tokens."""

import json
import time
from collections.abc import Callable
from typing import NamedTuple
from uuid import UUID

import httpx
import jwt

from services.notifications.domain.notifications import ACCEPTED, Answer, Push, Verdict
from services.notifications.providers.answers import MAX_PAYLOAD, retry_after

TIMEOUT = 5.0
"""Seconds to connect, and seconds to answer."""

TOKEN_AGE_S = 45 * 60
"""Apple refuses provider tokens older than an hour, and new ones within twenty minutes."""

GONE = {"BadDeviceToken", "Unregistered", "ExpiredToken"}
"""Reasons that say nobody is there."""

CREDENTIALS = {"ExpiredProviderToken", "InvalidProviderToken", "MissingProviderToken"}


class Key(NamedTuple):
    """What Apple knows us by; `private_key` is PEM."""

    key_id: str
    team_id: str
    topic: str
    private_key: str


class Apns:
    """Sends to the devices of one app."""

    def __init__(self, url: str, key: Key, clock: Callable[[], float] = time.time) -> None:
        self._key = key
        self._clock = clock
        self._token = ""
        self._made = 0.0
        self._client = httpx.AsyncClient(
            base_url=url, http1=False, http2=True, timeout=TIMEOUT, trust_env=False, follow_redirects=False
        )

    async def push(self, token: str, push: Push) -> Answer:
        """Sends to one device. The notification's id is the collapse id by which a phone shows repeats once."""
        content = payload(push)
        if len(content) > MAX_PAYLOAD:
            return Answer(Verdict.REFUSED, "PAYLOAD_TOO_LARGE")
        try:
            response = await self._client.post(f"/3/device/{token}", content=content, headers=self._headers(push))
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout):
            return Answer(Verdict.BUSY, "UNREACHABLE")
        except httpx.TimeoutException:
            return Answer(Verdict.UNCLEAR, "TIMEOUT")
        except httpx.TransportError:
            return Answer(Verdict.UNCLEAR, "TRANSPORT")
        answer = answer_of(response)
        if answer.word in CREDENTIALS:
            self._token = ""
        return answer

    def _headers(self, push: Push) -> dict[str, str]:
        headers = {
            "authorization": f"bearer {self._provider_token()}",
            "apns-topic": self._key.topic,
            "apns-push-type": "alert",
            "apns-priority": "10" if push.urgent else "5",
            "apns-expiration": str(int(push.expires_at.timestamp())),
            "apns-collapse-id": push.id,
        }
        try:
            headers["apns-id"] = str(UUID(push.id))
        except ValueError:
            return headers  # Apple makes one
        return headers

    def _provider_token(self) -> str:
        now = self._clock()
        if not self._token or now - self._made > TOKEN_AGE_S:
            self._made = now
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


def payload(push: Push) -> bytes:
    """The notification as Apple takes it."""
    aps: dict[str, object] = {"alert": {"title": push.title, "body": push.body}, "sound": "default"}
    if push.collapse:
        aps["thread-id"] = push.collapse
    return json.dumps({"aps": aps, **push.data}, ensure_ascii=False, separators=(",", ":")).encode()


def answer_of(response: httpx.Response) -> Answer:
    """What an answer means, in Apple's own word: "Unregistered"."""
    if response.status_code == 200:
        return ACCEPTED if response.headers.get("apns-id") else Answer(Verdict.UNCLEAR, "NONSENSE")
    word, wait = _reason(response), retry_after(response.headers.get("retry-after"))
    if response.status_code == 410 or word in GONE:
        return Answer(Verdict.REFUSED, word, gone=True)
    if response.status_code in (429, 503) or word in CREDENTIALS:
        return Answer(Verdict.BUSY, word, wait)
    refused = 400 <= response.status_code < 500
    return Answer(Verdict.REFUSED if refused else Verdict.UNCLEAR, word, wait)


def _reason(response: httpx.Response) -> str:
    try:
        return str(response.json()["reason"])[:64]
    except (ValueError, KeyError, TypeError):
        return f"HTTP_{response.status_code}"
