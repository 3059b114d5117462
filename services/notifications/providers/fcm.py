"""Firebase Cloud Messaging (HTTP v1) by firebase-admin, in a thread, since the SDK blocks."""

import asyncio

import firebase_admin
from firebase_admin import credentials, exceptions, messaging
from requests.adapters import HTTPAdapter

from services.notifications.domain import Notification, Verdict

TIMEOUT = 5
"""Seconds one send may take."""

REFUSED = (messaging.UnregisteredError, messaging.SenderIdMismatchError, exceptions.InvalidArgumentError)
"""Answers that no repeat will change."""


class Fcm:
    """Sends by the project of a service account; `url` is Google's, or whatever plays it."""

    def __init__(self, project_id: str, service_account: str, url: str) -> None:
        self._app = firebase_admin.initialize_app(
            credentials.Certificate(service_account), {"projectId": project_id, "httpTimeout": TIMEOUT}, name="fcm"
        )
        service = messaging._get_messaging_service(self._app)
        service._fcm_url = f"{url}/v1/projects/{project_id}/messages:send"
        # The SDK's own retries would wait half a minute unseen; ours stand in the history.
        for scheme in ("http://", "https://"):
            service._client.session.mount(scheme, HTTPAdapter(max_retries=0, pool_maxsize=32))

    async def push(self, token: str, notification: Notification) -> tuple[Verdict, str]:
        """Sends to one device. The notification's id is the tag by which a phone shows repeats once."""
        message = messaging.Message(
            token=token,
            notification=messaging.Notification(title=notification.title, body=notification.body),
            data={
                "notification_id": notification.id,
                "event": notification.event,
                "order_id": notification.order_id or "",
            },
            android=messaging.AndroidConfig(
                collapse_key=notification.id, notification=messaging.AndroidNotification(tag=notification.id)
            ),
            apns=messaging.APNSConfig(headers={"apns-collapse-id": notification.id}),
        )
        try:
            await asyncio.to_thread(messaging.send, message, app=self._app)
        except REFUSED as error:
            return Verdict.REFUSED, word(error)
        except exceptions.FirebaseError as error:
            return Verdict.UNCLEAR, word(error)
        return Verdict.ACCEPTED, "accepted"


def word(error: exceptions.FirebaseError) -> str:
    """The provider's own word: "UNREGISTERED"."""
    if isinstance(error, messaging.UnregisteredError):
        return "UNREGISTERED"
    return str(error.code)
