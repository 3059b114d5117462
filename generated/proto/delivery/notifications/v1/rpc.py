"""Written by `make generate` from api-specs/proto. Do not edit."""

from abc import abstractmethod

from generated.proto.delivery.notifications.v1 import ListMyNotificationsRequest, ListMyNotificationsResponse
from services.runtime.principal import Principal
from services.runtime.rpc import Idempotency, Method, Servicer, Stub

LIST_MY_NOTIFICATIONS: Method[ListMyNotificationsRequest, ListMyNotificationsResponse] = Method(
    service="delivery.notifications.v1.NotificationsService",
    name="ListMyNotifications",
    attribute="list_my_notifications",
    request=ListMyNotificationsRequest,
    response=ListMyNotificationsResponse,
    server_streaming=False,
    idempotency=Idempotency.NO_SIDE_EFFECTS,
    callers=("gateway",),
    actor_required=True,
    timeout_s=5.0,
    attempts=3,
)


class NotificationsServicer(Servicer):
    """Push notifications and mail."""

    SERVICE = "delivery.notifications.v1.NotificationsService"
    METHODS = (LIST_MY_NOTIFICATIONS,)

    @abstractmethod
    async def list_my_notifications(
        self, request: ListMyNotificationsRequest, principal: Principal
    ) -> ListMyNotificationsResponse:
        """Lists what the calling user was told, newest first."""


class NotificationsStub(Stub):
    """Push notifications and mail."""

    METHODS = NotificationsServicer.METHODS

    async def list_my_notifications(
        self, request: ListMyNotificationsRequest, *, timeout: float | None = None
    ) -> ListMyNotificationsResponse:
        """Lists what the calling user was told, newest first."""
        return await self.unary(LIST_MY_NOTIFICATIONS, request, timeout)
