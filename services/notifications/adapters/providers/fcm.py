"""Client of Firebase Cloud Messaging (HTTP v1) with firebase-admin, whose blocking calls run in a thread pool."""

import asyncio
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import override
from uuid import uuid4

import firebase_admin
import requests
from firebase_admin import credentials, exceptions, messaging
from google.auth.exceptions import GoogleAuthError
from requests.adapters import HTTPAdapter
from urllib3.exceptions import ConnectTimeoutError, MaxRetryError, NewConnectionError

from services.notifications.adapters.providers.limits import MAX_PAYLOAD_BYTES
from services.notifications.adapters.providers.tracing import trace_send
from services.notifications.domain.notifications import ACCEPTED_RESPONSE, Outcome, ProviderResponse, Push
from services.notifications.usecases.deliver import PushClient
from services.runtime.core.clock import Clock, now
from services.runtime.outbound.retry_after import parse_retry_after
from services.runtime.telemetry import requests_sessions

TIMEOUT_S = 5
"""Timeout for connecting and for each read."""

TOTAL_TIMEOUT_S = 12.0
"""Total timeout of one send, including the request for an access token."""

MAX_THREADS = 32
"""Size of the thread pool; larger than the default number of workers, so that sends do not queue for a thread."""

RETRYABLE_STATUSES = {401, 403, 429, 503}
"""Statuses of messages that were not accepted and may be retried; 401 and 403 concern the service's credentials."""

NOT_SENT_ERRORS = (NewConnectionError, ConnectTimeoutError)


class FcmClient(PushClient):
    """FCM client for the project of a service account; `url` is the FCM endpoint or that of an emulator."""

    def __init__(self, account: Mapping[str, str], url: str, clock: Clock = now) -> None:
        project = account["project_id"]
        self._clock = clock
        self._executor = ThreadPoolExecutor(MAX_THREADS, "fcm")
        self._app = firebase_admin.initialize_app(
            credentials.Certificate(dict(account)), {"projectId": project, "httpTimeout": TIMEOUT_S}, name=uuid4().hex
        )
        service = messaging._get_messaging_service(self._app)
        self._client = service._client
        service._fcm_url = f"{url}/v1/projects/{project}/messages:send"
        # Otherwise the SDK requests the account's regional access boundary in threads that are never stopped.
        self._client.session.credentials._is_regional_access_boundary_lookup_required = lambda: False
        # requests would read proxies, CA certificates and .netrc from the environment for each message.
        environment = self._client.session.merge_environment_settings(url, {}, None, None, None)
        self._client.session.proxies, self._client.session.verify = environment["proxies"], environment["verify"]
        self._client.session.trust_env = False
        # The SDK's own retries would block for half a minute; the job queue retries, and the history records it.
        for scheme in ("http://", "https://", "https://fcm.googleapis.com"):
            self._client.session.mount(scheme, HTTPAdapter(max_retries=0, pool_maxsize=MAX_THREADS))
        requests_sessions.measure_requests(self._client.session)

    @override
    @trace_send("fcm")
    async def push(self, token: str, push: Push) -> ProviderResponse:
        if compute_payload_size(push) > MAX_PAYLOAD_BYTES:
            return ProviderResponse(Outcome.REJECTED, "PAYLOAD_TOO_LARGE")
        loop = asyncio.get_running_loop()
        send = requests_sessions.bind_context(partial(self._send, self._build_message(token, push)))
        try:
            async with asyncio.timeout(TOTAL_TIMEOUT_S):
                return await loop.run_in_executor(self._executor, send)
        except TimeoutError:
            return ProviderResponse(Outcome.UNCLEAR, "TIMEOUT")

    def _build_message(self, token: str, push: Push) -> messaging.Message:
        ttl = max(timedelta(0), push.expires_at - self._clock())
        message = messaging.Message(
            notification=messaging.Notification(title=push.title, body=push.body),
            data=dict(push.data),
            android=messaging.AndroidConfig(
                collapse_key=push.collapse_key or push.id,
                priority="high" if push.is_urgent else "normal",
                ttl=timedelta(seconds=int(ttl.total_seconds())),
                notification=messaging.AndroidNotification(tag=push.id),
            ),
            apns=messaging.APNSConfig(headers={"apns-collapse-id": push.id}),
        )
        # The constructor deprecates `token` in favour of installation ids; stored devices have registration tokens.
        message.token = token
        return message

    def _send(self, message: messaging.Message) -> ProviderResponse:
        try:
            message_name = messaging.send(message, app=self._app)
        except exceptions.FirebaseError as error:
            return map_error(error)
        except GoogleAuthError:
            return ProviderResponse(Outcome.BUSY, "AUTH_UNAVAILABLE")
        except requests.RequestException:
            return ProviderResponse(Outcome.UNCLEAR, "TRANSPORT")
        except (KeyError, TypeError, ValueError, AttributeError):
            return ProviderResponse(Outcome.UNCLEAR, "NONSENSE")
        is_valid = isinstance(message_name, str) and message_name.startswith("projects/")
        return ACCEPTED_RESPONSE if is_valid else ProviderResponse(Outcome.UNCLEAR, "NONSENSE")

    async def close(self) -> None:
        """Release the threads and connections; sends in progress are finished."""
        self._executor.shutdown(wait=False)
        # In a thread, because the SDK runs its own event loop to close its asynchronous client.
        await asyncio.to_thread(firebase_admin.delete_app, self._app)
        self._client.close()


def compute_payload_size(push: Push) -> int:
    """Return the size of a message in bytes as FCM counts it."""
    return len(json.dumps([{"title": push.title, "body": push.body}, push.data], ensure_ascii=False).encode())


def map_error(error: exceptions.FirebaseError) -> ProviderResponse:
    """Classify an FCM error; the code is its `errorCode`, for example "UNREGISTERED"."""
    response = error.http_response
    if response is None:
        return _map_connection_error(error)
    status, code = response.status_code, _parse_error_code(response, error)
    retry_after = parse_retry_after(response.headers.get("retry-after"), now())
    if isinstance(error, messaging.UnregisteredError):
        return ProviderResponse(Outcome.REJECTED, "UNREGISTERED", is_unregistered=True)
    if isinstance(error, messaging.SenderIdMismatchError):
        return ProviderResponse(Outcome.REJECTED, "SENDER_ID_MISMATCH")
    if status in RETRYABLE_STATUSES:
        return ProviderResponse(Outcome.BUSY, code, retry_after)
    # A successful status with an unreadable body may mean that the message was accepted.
    return ProviderResponse(Outcome.REJECTED if 400 <= status < 500 else Outcome.UNCLEAR, code, retry_after)


def _parse_error_code(response: requests.Response, error: exceptions.FirebaseError) -> str:
    if response.ok:
        return "NONSENSE"
    try:
        details = response.json()["error"]["details"]
        return str(next(detail["errorCode"] for detail in details if "errorCode" in detail))[:64]
    except (ValueError, KeyError, TypeError, StopIteration):
        return str(error.code)


def _map_connection_error(error: exceptions.FirebaseError) -> ProviderResponse:
    """Classify an error without a response; only a connection that was never established rules out delivery."""
    cause = error.cause
    reason = cause.args[0] if cause is not None and cause.args else None
    if isinstance(cause, requests.ConnectTimeout) or (
        isinstance(reason, MaxRetryError) and isinstance(reason.reason, NOT_SENT_ERRORS)
    ):
        return ProviderResponse(Outcome.BUSY, "UNREACHABLE")
    return ProviderResponse(Outcome.UNCLEAR, "TIMEOUT" if isinstance(cause, requests.Timeout) else "TRANSPORT")
