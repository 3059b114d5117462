"""The gRPC door of notifications."""

from generated.proto.delivery.notifications import v1
from generated.proto.delivery.notifications.v1.rpc import NotificationsServicer
from services.notifications import usecases
from services.notifications.domain import Notification
from services.notifications.usecases import Documents
from services.runtime.principal import Principal


class NotificationsRpc(NotificationsServicer):
    """Implements the generated servicer."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    async def list_my_notifications(
        self, request: v1.ListMyNotificationsRequest, principal: Principal
    ) -> v1.ListMyNotificationsResponse:
        """A page of what the user was told."""
        page = await usecases.list_notifications(self._documents, principal, request.page_size, request.page_token)
        items = [_notification(notification) for notification in page.items]
        return v1.ListMyNotificationsResponse(items=items, next_page_token=page.next_page_token)


def _notification(notification: Notification) -> v1.Notification:
    return v1.Notification(
        id=notification.id,
        event=notification.event,
        order_id=notification.order_id,
        agent_id=notification.agent_id,
        title=notification.title,
        body=notification.body,
        status=v1.NotificationStatus[notification.status.name],
        attempts=[
            v1.Attempt(provider=v1.Provider[attempt.provider.name], at=attempt.at, outcome=attempt.outcome)
            for attempt in notification.attempts
        ],
        created_at=notification.created_at,
        sent_at=notification.sent_at,
    )
