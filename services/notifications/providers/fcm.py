"""Firebase Cloud Messaging (HTTP v1) by firebase-admin, in threads of its own, since the SDK blocks."""

import asyncio
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import uuid4

import firebase_admin
import requests
from firebase_admin import credentials, exceptions, messaging
from google.auth.exceptions import GoogleAuthError
from requests.adapters import HTTPAdapter
from urllib3.exceptions import ConnectTimeoutError, MaxRetryError, NewConnectionError

from services.notifications.domain.notifications import ACCEPTED, Answer, Push, Verdict
from services.notifications.providers.answers import MAX_PAYLOAD, retry_after
from services.runtime.clock import Clock, now

TIMEOUT = 5
"""Seconds to connect, and seconds to answer."""

LONGEST = 12.0
"""Seconds one send may take, a new access token included."""

THREADS = 32
"""More than there are workers, so that nobody waits for a thread."""

BUSY = {401, 403, 429, 503}
"""Statuses that say it was not taken, but may be later; 401 and 403 are about our credentials."""

UNSENT = (NewConnectionError, ConnectTimeoutError)


class Fcm:
    """Sends by the project of a service account; `url` is Google's, or whatever plays it."""

    def __init__(self, account: Mapping[str, str], url: str, clock: Clock = now) -> None:
        project = account["project_id"]
        self._clock = clock
        self._threads = ThreadPoolExecutor(THREADS, "fcm")
        self._app = firebase_admin.initialize_app(
            credentials.Certificate(dict(account)), {"projectId": project, "httpTimeout": TIMEOUT}, name=uuid4().hex
        )
        service = messaging._get_messaging_service(self._app)
        self._client = service._client
        service._fcm_url = f"{url}/v1/projects/{project}/messages:send"
        # Or Google is asked, in threads that nobody ends, which regions the account may use.
        self._client.session.credentials._is_regional_access_boundary_lookup_required = lambda: False
        # The SDK's own retries would wait half a minute unseen; ours stand in the history.
        for scheme in ("http://", "https://", "https://fcm.googleapis.com"):
            self._client.session.mount(scheme, HTTPAdapter(max_retries=0, pool_maxsize=THREADS))

    async def push(self, token: str, push: Push) -> Answer:
        """Sends to one device. The notification's id is the tag by which a phone shows repeats once."""
        if size(push) > MAX_PAYLOAD:
            return Answer(Verdict.REFUSED, "PAYLOAD_TOO_LARGE")
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(LONGEST):
                return await loop.run_in_executor(self._threads, self._send, self._message(token, push))
        except TimeoutError:
            return Answer(Verdict.UNCLEAR, "TIMEOUT")

    def _message(self, token: str, push: Push) -> messaging.Message:
        left = max(timedelta(0), push.expires_at - self._clock())
        message = messaging.Message(
            notification=messaging.Notification(title=push.title, body=push.body),
            data=dict(push.data),
            android=messaging.AndroidConfig(
                collapse_key=push.collapse or push.id,
                priority="high" if push.urgent else "normal",
                ttl=timedelta(seconds=int(left.total_seconds())),
                notification=messaging.AndroidNotification(tag=push.id),
            ),
            apns=messaging.APNSConfig(headers={"apns-collapse-id": push.id}),
        )
        # The constructor warns of `token` in favour of installation ids; our users have registration tokens.
        message.token = token
        return message

    def _send(self, message: messaging.Message) -> Answer:
        try:
            name = messaging.send(message, app=self._app)
        except exceptions.FirebaseError as error:
            return answer_of(error)
        except GoogleAuthError:
            return Answer(Verdict.BUSY, "AUTH_UNAVAILABLE")
        except requests.RequestException:
            return Answer(Verdict.UNCLEAR, "TRANSPORT")
        except (KeyError, TypeError, ValueError, AttributeError):
            return Answer(Verdict.UNCLEAR, "NONSENSE")
        named = isinstance(name, str) and name.startswith("projects/")
        return ACCEPTED if named else Answer(Verdict.UNCLEAR, "NONSENSE")

    async def close(self) -> None:
        """Lets go of the threads; what they are sending is sent."""
        self._threads.shutdown(wait=False)
        # In a thread, since the SDK runs a loop of its own to close its asynchronous client.
        await asyncio.to_thread(firebase_admin.delete_app, self._app)
        self._client.close()


def size(push: Push) -> int:
    """Bytes of a message as Firebase counts them."""
    return len(json.dumps([{"title": push.title, "body": push.body}, push.data], ensure_ascii=False).encode())


def answer_of(error: exceptions.FirebaseError) -> Answer:
    """What an error means, in Google's own word: "UNREGISTERED"."""
    response = error.http_response
    if response is None:
        return _unanswered(error)
    status, word, wait = response.status_code, _word(response, error), retry_after(response.headers.get("retry-after"))
    if isinstance(error, messaging.UnregisteredError):
        return Answer(Verdict.REFUSED, "UNREGISTERED", gone=True)
    if isinstance(error, messaging.SenderIdMismatchError):
        return Answer(Verdict.REFUSED, "SENDER_ID_MISMATCH")
    if status in BUSY:
        return Answer(Verdict.BUSY, word, wait)
    # A success that cannot be read may have been one.
    return Answer(Verdict.REFUSED if 400 <= status < 500 else Verdict.UNCLEAR, word, wait)


def _word(response: requests.Response, error: exceptions.FirebaseError) -> str:
    if response.ok:
        return "NONSENSE"
    try:
        details = response.json()["error"]["details"]
        return str(next(detail["errorCode"] for detail in details if "errorCode" in detail))[:64]
    except (ValueError, KeyError, TypeError, StopIteration):
        return str(error.code)


def _unanswered(error: exceptions.FirebaseError) -> Answer:
    """Only a connection that was never made is sure not to have carried the message."""
    cause = error.cause
    reason = cause.args[0] if cause is not None and cause.args else None
    if isinstance(cause, requests.ConnectTimeout) or (
        isinstance(reason, MaxRetryError) and isinstance(reason.reason, UNSENT)
    ):
        return Answer(Verdict.BUSY, "UNREACHABLE")
    return Answer(Verdict.UNCLEAR, "TIMEOUT" if isinstance(cause, requests.Timeout) else "TRANSPORT")
