"""REST handlers of notification agents and notification records, for admins."""

from msgspec import UNSET, UnsetType

from generated.proto.delivery.notifications import v1
from generated.proto.delivery.notifications.v1.rpc import NotificationsStub
from generated.rest.delivery import convert, pages
from generated.rest.delivery.handlers import NotificationsHandler
from generated.rest.delivery.models import (
    Agent,
    AgentPage,
    AgentPatch,
    ApnsKey,
    CreateAgentRequest,
    NotificationRecordPage,
    NotificationStatus,
    QuietHours,
)
from services.runtime.core.principal import Principal
from services.runtime.rest.types import Response, require

AGENTS_PATH = "/api/v1/notification-agents"


class Notifications(NotificationsHandler):
    """Operations tagged `notifications`."""

    def __init__(self, notifications: NotificationsStub) -> None:
        self._notifications = notifications

    async def list_notifications(
        self,
        *,
        principal: Principal,
        page_size: int = 20,
        page_token: str | None = None,
        user_id: str | None = None,
        agent_id: str | None = None,
        status: NotificationStatus | None = None,
    ) -> NotificationRecordPage:
        """Return a page of notification records."""
        request = v1.ListNotificationsRequest(
            page_size=page_size,
            page_token=page_token or "",
            user_id=user_id,
            agent_id=agent_id,
            status=None if status is None else v1.NotificationStatus[status.name.upper()],
        )
        return await self._notifications.list_notifications(request, pages.notification_record_page)

    async def list_agents(
        self, *, principal: Principal, page_size: int = 20, page_token: str | None = None
    ) -> AgentPage:
        """Return a page of agents."""
        request = v1.ListAgentsRequest(page_size=page_size, page_token=page_token or "")
        return await self._notifications.list_agents(request, pages.agent_page)

    async def create_agent(
        self, *, principal: Principal, body: CreateAgentRequest, idempotency_key: str | None = None
    ) -> Response[Agent]:
        """Create an agent."""
        preferences, keys = body.preferences, body.keys or None
        response = await self._notifications.create_agent(
            v1.CreateAgentRequest(
                name=body.name,
                priority=body.priority,
                providers=[v1.Provider[provider.name.upper()] for provider in body.providers],
                preferences=v1.Preferences(
                    quiet_hours=_to_quiet_hours(preferences.quiet_hours),
                    ttl_s=preferences.ttl_s,
                    collapse=unset_or_null_to_none(preferences.collapse),
                ),
                enabled=body.enabled,
                fcm_key=None if keys is None else unset_or_null_to_none(keys.fcm),
                apns_key=None if keys is None else _to_apns_key(keys.apns),
                idempotency_key=idempotency_key,
            )
        )
        agent = convert.agent(require(response.agent))
        headers = {"Location": f"{AGENTS_PATH}/{agent.id}", "ETag": response.etag}
        return Response(agent, headers, replayed=response.replayed)

    async def get_agent(self, *, principal: Principal, agent_id: str) -> Response[Agent]:
        """Return the agent."""
        response = await self._notifications.get_agent(v1.GetAgentRequest(agent_id=agent_id))
        return Response(convert.agent(require(response.agent)), {"ETag": response.etag})

    async def update_agent(
        self, *, principal: Principal, agent_id: str, body: AgentPatch, if_match: str | None = None
    ) -> Response[Agent]:
        """Update an agent."""
        preferences, keys = body.preferences or None, body.keys or None
        removable = {
            "quiet_hours": preferences and preferences.quiet_hours,
            "collapse": preferences and preferences.collapse,
            "fcm_key": keys and keys.fcm,
            "apns_key": keys and keys.apns,
        }
        parents = {"quiet_hours": preferences, "collapse": preferences, "fcm_key": keys, "apns_key": keys}
        request = v1.UpdateAgentRequest(
            agent_id=agent_id,
            if_match=if_match,
            name=unset_or_null_to_none(body.name),
            priority=unset_or_null_to_none(body.priority),
            providers=[v1.Provider[provider.name.upper()] for provider in body.providers or []],
            enabled=unset_or_null_to_none(body.enabled),
            remove=[name for name, value in removable.items() if parents[name] is not None and value is None],
        )
        if preferences is not None:
            request.quiet_hours = _to_quiet_hours(preferences.quiet_hours)
            request.ttl_s = unset_or_null_to_none(preferences.ttl_s)
            request.collapse = unset_or_null_to_none(preferences.collapse)
        if keys is not None:
            request.fcm_key, request.apns_key = unset_or_null_to_none(keys.fcm), _to_apns_key(keys.apns)
        response = await self._notifications.update_agent(request)
        return Response(convert.agent(require(response.agent)), {"ETag": response.etag})


def unset_or_null_to_none[T](value: T | UnsetType | None) -> T | None:
    """Convert an absent or null value of a REST model to None, as messages have it."""
    return None if value is UNSET or value is None else value


def _to_quiet_hours(hours: QuietHours | UnsetType | None) -> v1.QuietHours | None:
    return None if hours is UNSET or hours is None else convert.to_quiet_hours(hours)


def _to_apns_key(key: ApnsKey | UnsetType | None) -> v1.ApnsKey | None:
    if key is UNSET or key is None:
        return None
    return v1.ApnsKey(key_id=key.key_id, team_id=key.team_id, topic=key.topic, private_key=key.private_key)
