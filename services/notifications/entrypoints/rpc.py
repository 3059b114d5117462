"""gRPC servicer of notifications."""

import json

from generated.problems import Reason
from generated.proto.delivery.notifications import v1
from generated.proto.delivery.notifications.v1.rpc import NotificationsServicer
from services.notifications.domain.agents import Agent, QuietHours
from services.notifications.domain.notifications import (
    HistoryFilter,
    Notification,
    Provider,
    RegisteredDevice,
    Status,
)
from services.notifications.usecases import agents, devices, history
from services.notifications.usecases.agents import AgentPatch, AgentsRepository
from services.notifications.usecases.ports import HistoryRepository
from services.runtime.core.clock import Clock
from services.runtime.core.errors import ApiError, FieldError
from services.runtime.core.idempotency import build_idempotency_key
from services.runtime.core.preconditions import check_if_match, format_etag
from services.runtime.core.principal import Principal, require_role
from services.runtime.rpc.codec import PreEncoded, get_codec
from services.runtime.rpc.request_validation import check_removed_fields

OPTIONAL_PREFERENCES = ("quiet_hours", "collapse")
OPTIONAL_KEYS = (Provider.FCM, Provider.APNS)
"""Providers whose key an agent may have."""

FIELD_POINTERS = {
    "name": "/name",
    "priority": "/priority",
    "providers": "/providers",
    "ttl_s": "/preferences/ttl_s",
    "keys.fcm": "/keys/fcm",
    "keys.apns": "/keys/apns",
}
"""JSON pointer into the body of a request by field of an agent."""


class NotificationsRpc(NotificationsServicer):
    """Implementation of the generated NotificationsService."""

    FIELD_POINTERS = FIELD_POINTERS

    def __init__(self, repository: AgentsRepository, history_repository: HistoryRepository, clock: Clock) -> None:
        self._repository = repository
        self._history = history_repository
        self._clock = clock

    async def list_my_notifications(
        self, request: v1.ListMyNotificationsRequest, principal: Principal
    ) -> v1.ListMyNotificationsResponse:
        """Return a page of the user's notifications."""
        page = await history.list_for_user(self._history, principal, request.page_size, request.page_token)
        return v1.ListMyNotificationsResponse(
            items=[_to_notification_message(item) for item in page.items], next_page_token=page.next_page_token
        )

    async def list_devices(self, request: v1.ListDevicesRequest, principal: Principal) -> v1.ListDevicesResponse:
        """Return the user's registered devices."""
        items = await devices.list_devices(self._repository, principal)
        return v1.ListDevicesResponse(items=[_to_device_message(item) for item in items])

    async def register_device(
        self, request: v1.RegisterDeviceRequest, principal: Principal
    ) -> v1.RegisterDeviceResponse:
        """Register a device of the user."""
        device = await devices.register_device(self._repository, self._clock, principal, request.token, request.name)
        return v1.RegisterDeviceResponse(device=_to_device_message(device))

    async def remove_device(self, request: v1.RemoveDeviceRequest, principal: Principal) -> v1.RemoveDeviceResponse:
        """Remove a device of the user."""
        await devices.remove_device(self._repository, principal, request.device_id)
        return v1.RemoveDeviceResponse()

    async def list_notifications(
        self, request: v1.ListNotificationsRequest, principal: Principal
    ) -> v1.ListNotificationsResponse:
        """Return a page of the notifications of all users.

        Raises ApiError: FORBIDDEN, INVALID_REQUEST.
        """
        require_role(principal, "admin")
        status = None if request.status is None else Status(_to_enum_name(request.status, v1.NotificationStatus))
        history_filter = HistoryFilter(request.user_id, request.agent_id, status, request.order_id)
        page = await history.list_all(self._history, history_filter, request.page_size, request.page_token)
        return v1.ListNotificationsResponse(
            items=[_to_notification_message(item) for item in page.items], next_page_token=page.next_page_token
        )

    async def create_agent(
        self, request: v1.CreateAgentRequest, principal: Principal
    ) -> PreEncoded[v1.CreateAgentResponse]:
        """Create an agent idempotently.

        The response contains no keys; of the request, only a digest is stored.

        Raises ApiError: FORBIDDEN, INVALID_REQUEST, AGENT_KEY_INVALID, IDEMPOTENCY_KEY_REUSED, IDEMPOTENCY_KEY_BUSY.
        """
        require_role(principal, "admin")
        preferences = request.preferences or v1.Preferences()
        keys = request.keys or v1.AgentKeys()
        optional_keys = {Provider.FCM: keys.fcm, Provider.APNS: _to_apns_key_json(keys.apns)}
        provider_keys: dict[str, str] = {name: key for name, key in optional_keys.items() if key is not None}
        new_agent = Agent(
            id="",
            name=request.name,
            priority=request.priority,
            providers=_to_providers(request.providers),
            ttl_s=preferences.ttl_s,
            enabled=request.enabled,
            quiet_hours=_to_quiet_hours(preferences.quiet_hours),
            collapse=preferences.collapse,
        )
        key = build_idempotency_key(principal, "createAgent", request.idempotency_key, (new_agent, provider_keys))
        response = await agents.create_agent(self._repository, new_agent, provider_keys, key, _encode_created_agent)
        return get_codec().extend(response.data, v1.CreateAgentResponse(replayed=True) if response.replayed else None)

    async def list_agents(self, request: v1.ListAgentsRequest, principal: Principal) -> v1.ListAgentsResponse:
        """Return a page of agents.

        Raises ApiError: FORBIDDEN, INVALID_REQUEST.
        """
        require_role(principal, "admin")
        page = await agents.list_agents(self._repository, request.page_size, request.page_token)
        return v1.ListAgentsResponse(
            items=[_to_agent_message(agent) for agent in page.items], next_page_token=page.next_page_token
        )

    async def get_agent(self, request: v1.GetAgentRequest, principal: Principal) -> v1.GetAgentResponse:
        """Return an agent.

        Raises ApiError: FORBIDDEN, AGENT_NOT_FOUND.
        """
        require_role(principal, "admin")
        agent = await agents.get_agent(self._repository, request.agent_id)
        return v1.GetAgentResponse(agent=_to_agent_message(agent), etag=format_etag(agent.version))

    async def update_agent(self, request: v1.UpdateAgentRequest, principal: Principal) -> v1.UpdateAgentResponse:
        """Apply a patch to an agent.

        Raises ApiError: FORBIDDEN, INVALID_REQUEST, AGENT_NOT_FOUND, AGENT_KEY_INVALID, PRECONDITION_FAILED.
        """
        require_role(principal, "admin")

        def check_version(version: int) -> None:
            check_if_match(request.if_match, format_etag(version))

        agent = await agents.update_agent(self._repository, request.agent_id, _to_patch(request), check_version)
        return v1.UpdateAgentResponse(agent=_to_agent_message(agent), etag=format_etag(agent.version))


def _to_patch(request: v1.UpdateAgentRequest) -> AgentPatch:
    preferences, keys = request.preferences or v1.PreferencesPatch(), request.keys or v1.AgentKeysPatch()
    check_removed_fields(preferences.remove, OPTIONAL_PREFERENCES)
    check_removed_fields(keys.remove, OPTIONAL_KEYS)
    values: dict[str, object] = {
        "name": request.name,
        "priority": request.priority,
        "providers": _to_providers(request.providers) or None,
        "quiet_hours": _to_quiet_hours(preferences.quiet_hours),
        "ttl_s": preferences.ttl_s,
        "collapse": preferences.collapse,
        "enabled": request.enabled,
    }
    given_keys = {Provider.FCM: keys.fcm, Provider.APNS: _to_apns_key_json(keys.apns)}
    return AgentPatch(
        {name: value for name, value in values.items() if value is not None or name in preferences.remove},
        {name: key for name, key in given_keys.items() if key is not None or name in keys.remove},
    )


def _to_enum_name(
    value: v1.Provider | v1.NotificationStatus, enum_type: type[v1.Provider | v1.NotificationStatus]
) -> str:
    """Return the name of an enum value: PROVIDER_FCM → "fcm".

    Raises ApiError: INVALID_REQUEST for an unspecified or unknown value.
    """
    if value == 0 or value not in list(enum_type):
        raise ApiError(Reason.INVALID_REQUEST, f"{enum_type.__name__} has no value {int(value)}.")
    return str(enum_type(value).name).lower()


def _to_providers(values: list[v1.Provider]) -> tuple[Provider, ...]:
    return tuple(Provider(_to_enum_name(value, v1.Provider)) for value in values)


def _to_quiet_hours(hours: v1.QuietHours | None) -> QuietHours | None:
    if hours is None:
        return None
    for name, value in (("start", hours.start), ("end", hours.end)):
        hour, _, minute = value.partition(":")
        is_valid = len(value) == 5 and (hour + minute).isdecimal() and int(hour) < 24 and int(minute) < 60
        if not is_valid:
            raise ApiError(
                Reason.INVALID_REQUEST, errors=[FieldError(f"/preferences/quiet_hours/{name}", "must be a time HH:MM")]
            )
    return QuietHours(hours.start, hours.end)


def _to_apns_key_json(key: v1.ApnsKey | None) -> str | None:
    if key is None:
        return None
    names = ("key_id", "team_id", "topic", "private_key")
    return json.dumps({name: getattr(key, name) for name in names})


def _encode_created_agent(agent: Agent) -> bytes:
    return get_codec().encode(v1.CreateAgentResponse(agent=_to_agent_message(agent), etag=format_etag(agent.version)))


def _to_agent_message(agent: Agent) -> v1.Agent:
    hours = agent.quiet_hours
    return v1.Agent(
        id=agent.id,
        name=agent.name,
        priority=agent.priority,
        providers=[v1.Provider[provider.name] for provider in agent.providers],
        preferences=v1.Preferences(
            quiet_hours=None if hours is None else v1.QuietHours(start=hours.start, end=hours.end),
            ttl_s=agent.ttl_s,
            collapse=agent.collapse,
        ),
        enabled=agent.enabled,
    )


def _to_device_message(device: RegisteredDevice) -> v1.Device:
    return v1.Device(
        id=device.id,
        provider=v1.Provider[device.provider.name],
        name=device.name,
        registered_at=device.registered_at,
    )


def _to_notification_message(notification: Notification) -> v1.Notification:
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
        user_id=notification.user_id,
        reason=notification.reason,
    )
