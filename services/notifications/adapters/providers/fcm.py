"""Client of Firebase Cloud Messaging (HTTP v1), with the credentials of firebase-admin.

The messages are not encoded and sent by the SDK, which takes several times the CPU time, and a thread for each of them.
"""

import asyncio
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import override

import firebase_admin
import httpx
import msgspec
import requests
from firebase_admin import credentials
from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import Request
from opentelemetry import trace
from requests.utils import get_environ_proxies, select_proxy

from services.notifications.adapters.providers.limits import MAX_PAYLOAD_BYTES
from services.notifications.adapters.providers.tracing import trace_send
from services.notifications.domain.notifications import ACCEPTED_RESPONSE, Outcome, ProviderResponse, Push
from services.notifications.usecases.deliver import PushClient
from services.runtime.core.clock import Clock, now
from services.runtime.outbound import safe_http_client
from services.runtime.outbound.retry_after import parse_retry_after
from services.runtime.telemetry import http_client, requests_sessions

TIMEOUT_S = 5.0
"""Timeout of a request, from the connection to the end of the response."""

TOTAL_TIMEOUT_S = 12.0
"""Total timeout of one send, including the request for an access token."""

RETRYABLE_STATUSES = {401, 403, 429, 503}
"""Statuses of messages that were not accepted and may be retried; 401 and 403 concern the service's credentials."""

NOT_SENT_ERRORS = (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError)


class AccessToken:
    """OAuth access token of a service account. It is requested in a thread, and again shortly before it expires."""

    def __init__(self, account: Mapping[str, str]) -> None:
        self._credentials = credentials.Certificate(dict(account)).get_credential()
        self._session = requests.Session()
        requests_sessions.measure_requests(self._session)
        self._request = partial(Request(self._session), timeout=TIMEOUT_S)
        self._lock = asyncio.Lock()

    async def get(self) -> str:
        """Return a valid token. Raises GoogleAuthError."""
        async with self._lock:
            if not self._credentials.valid:
                refresh = partial(self._credentials.refresh, self._request)
                await asyncio.to_thread(requests_sessions.bind_context(refresh))
        return str(self._credentials.token)

    def invalidate(self) -> None:
        """Discard the token, which the provider has rejected."""
        self._credentials.token = None

    def close(self) -> None:
        """Close the connections."""
        self._session.close()


class FcmClient(PushClient):
    """FCM client for the project of a service account; `url` is the FCM endpoint or that of an emulator."""

    def __init__(self, account: Mapping[str, str], url: str, clock: Clock = now) -> None:
        self._clock = clock
        self._url = httpx.URL(f"{url}/v1/projects/{account['project_id']}/messages:send")
        self._token = AccessToken(account)
        self._transport = _create_transport(url)

    @override
    @trace_send("fcm")
    async def push(self, token: str, push: Push) -> ProviderResponse:
        if compute_payload_size(push) > MAX_PAYLOAD_BYTES:
            return ProviderResponse(Outcome.REJECTED, "PAYLOAD_TOO_LARGE")
        body = msgspec.json.encode({"message": build_message(token, push, self._clock())})
        try:
            async with asyncio.timeout(TOTAL_TIMEOUT_S):
                response = await self._post(body)
                if response.status_code == httpx.codes.UNAUTHORIZED:
                    self._token.invalidate()
                    response = await self._post(body)
        except GoogleAuthError:
            return ProviderResponse(Outcome.BUSY, "AUTH_UNAVAILABLE")
        except NOT_SENT_ERRORS:
            return ProviderResponse(Outcome.BUSY, "UNREACHABLE")
        except (TimeoutError, httpx.TimeoutException):
            return ProviderResponse(Outcome.UNCLEAR, "TIMEOUT")
        except httpx.TransportError:
            return ProviderResponse(Outcome.UNCLEAR, "TRANSPORT")
        return map_response(response)

    async def _post(self, body: bytes) -> httpx.Response:
        headers = {
            "authorization": f"Bearer {await self._token.get()}",
            "content-type": "application/json",
            "x-firebase-client": f"fire-admin-python/{firebase_admin.__version__}",
            "x-goog-api-format-version": "2",
        }
        request = httpx.Request("POST", self._url, headers=headers, content=body)
        with http_client.Measurement("POST", self._url, trace.get_current_span()) as measurement:
            async with asyncio.timeout(TIMEOUT_S):
                response = await self._transport.handle_async_request(request)
                measurement.status = response.status_code
                try:
                    await response.aread()
                finally:
                    await response.aclose()
        return response

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.aclose()
        self._token.close()


def _create_transport(url: str) -> httpx.AsyncBaseTransport:
    """Create the transport to FCM, through the proxy of the environment if there is one."""
    proxy = select_proxy(url, get_environ_proxies(url))
    return safe_http_client.create_transport([url]) if proxy is None else httpx.AsyncHTTPTransport(proxy=proxy)


def build_message(token: str, push: Push, now: datetime) -> dict[str, object]:
    """Return the message for a device, as the contract defines it."""
    ttl = max(timedelta(0), push.expires_at - now)
    return {
        "token": token,
        "notification": {"title": push.title, "body": push.body},
        "data": push.data,
        "android": {
            "collapse_key": push.collapse_key or push.id,
            "priority": "high" if push.is_urgent else "normal",
            "ttl": f"{int(ttl.total_seconds())}s",
            "notification": {"tag": push.id},
        },
        "apns": {"headers": {"apns-collapse-id": push.id}},
    }


def compute_payload_size(push: Push) -> int:
    """Return the size of a message in bytes as FCM counts it."""
    return len(json.dumps([{"title": push.title, "body": push.body}, push.data], ensure_ascii=False).encode())


def map_response(response: httpx.Response) -> ProviderResponse:
    """Classify an FCM response; the code is its `errorCode`, for example "UNREGISTERED"."""
    status = response.status_code
    if response.is_success:
        return ACCEPTED_RESPONSE if _has_message_name(response) else ProviderResponse(Outcome.UNCLEAR, "NONSENSE")
    code = _parse_error_code(response)
    retry_after = parse_retry_after(response.headers.get("retry-after"), now())
    if code == "UNREGISTERED":
        return ProviderResponse(Outcome.REJECTED, code, is_unregistered=True)
    if code == "SENDER_ID_MISMATCH":
        return ProviderResponse(Outcome.REJECTED, code)
    if status in RETRYABLE_STATUSES:
        return ProviderResponse(Outcome.BUSY, code, retry_after)
    return ProviderResponse(Outcome.REJECTED if 400 <= status < 500 else Outcome.UNCLEAR, code, retry_after)


def _has_message_name(response: httpx.Response) -> bool:
    try:
        return str(response.json()["name"]).startswith("projects/")
    except (ValueError, KeyError, TypeError, RecursionError):
        return False


def _parse_error_code(response: httpx.Response) -> str:
    try:
        details = response.json()["error"]["details"]
        return str(next(detail["errorCode"] for detail in details if "errorCode" in detail))[:64]
    except (ValueError, KeyError, TypeError, StopIteration, RecursionError):
        return f"HTTP_{response.status_code}"
