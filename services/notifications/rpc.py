"""The gRPC door of notifications."""

import json

import msgspec

from generated.problems import Reason
from generated.proto.delivery.notifications import v1
from generated.proto.delivery.notifications.v1.rpc import NotificationsServicer
from services.notifications.domain.agents import Agent, QuietHours
from services.notifications.domain.notifications import Notification, Provider, Status
from services.notifications.usecases import agents, history
from services.notifications.usecases.agents import Change
from services.notifications.usecases.ports import AgentStore, AgentUnit, History, Wanted
from services.runtime.codec import codec
from services.runtime.idempotency import Key
from services.runtime.principal import Principal
from services.runtime.refusal import FieldError, Refusal


class NotificationsRpc(NotificationsServicer):
    """Implements the generated servicer."""

    def __init__(self, store: AgentStore, kept: History) -> None:
        self._store = store
        self._kept = kept

    async def list_my_notifications(
        self, request: v1.ListMyNotificationsRequest, principal: Principal
    ) -> v1.ListMyNotificationsResponse:
        """A page of what the user was told."""
        page = await history.mine(self._kept, principal, request.page_size, request.page_token)
        return v1.ListMyNotificationsResponse(
            items=[_notification(one) for one in page.items], next_page_token=page.next_page_token
        )

    async def list_notifications(
        self, request: v1.ListNotificationsRequest, principal: Principal
    ) -> v1.ListNotificationsResponse:
        """A page of what everybody was told."""
        _admin(principal)
        status = None if request.status is None else Status(_word(request.status, v1.NotificationStatus))
        wanted = Wanted(request.user_id, request.agent_id, status)
        page = await history.everybodys(self._kept, wanted, request.page_size, request.page_token)
        return v1.ListNotificationsResponse(
            items=[_notification(one) for one in page.items], next_page_token=page.next_page_token
        )

    async def create_agent(self, request: v1.CreateAgentRequest, principal: Principal) -> v1.CreateAgentResponse:
        """A new agent. Its keys are in no answer, and of a repeated request only a digest is kept."""
        _admin(principal)
        preferences = request.preferences or v1.Preferences()
        given = {Provider.FCM: request.fcm_key, Provider.APNS: _apns_key(request.apns_key)}
        keys: dict[str, str] = {name: key for name, key in given.items() if key is not None}
        wanted = Agent(
            id="",
            name=request.name,
            priority=request.priority,
            providers=_providers(request.providers),
            ttl_s=preferences.ttl_s,
            enabled=request.enabled,
            quiet_hours=_quiet_hours(preferences.quiet_hours),
            collapse=preferences.collapse,
        )

        async def work(unit: AgentUnit) -> bytes:
            agent = await agents.create(unit, wanted, keys)
            return codec().encode(v1.CreateAgentResponse(agent=_agent(agent), etag=agent.etag))

        said = msgspec.json.encode((wanted, keys))
        key = None
        if request.idempotency_key is not None:
            key = Key(principal.user_id, "createAgent", request.idempotency_key, said)
        kept = await self._store.once(key, work)
        answer = codec().decode(v1.CreateAgentResponse, kept.answer)
        answer.replayed = kept.replayed
        return answer

    async def list_agents(self, request: v1.ListAgentsRequest, principal: Principal) -> v1.ListAgentsResponse:
        """A page of agents."""
        _admin(principal)
        page = await agents.find(self._store, request.page_size, request.page_token)
        return v1.ListAgentsResponse(
            items=[_agent(agent) for agent in page.items], next_page_token=page.next_page_token
        )

    async def get_agent(self, request: v1.GetAgentRequest, principal: Principal) -> v1.GetAgentResponse:
        """An agent."""
        _admin(principal)
        agent = await agents.read(self._store, request.agent_id)
        return v1.GetAgentResponse(agent=_agent(agent), etag=agent.etag)

    async def update_agent(self, request: v1.UpdateAgentRequest, principal: Principal) -> v1.UpdateAgentResponse:
        """An agent, changed."""
        _admin(principal)
        agent = await agents.update(self._store, request.agent_id, _change(request), request.if_match)
        return v1.UpdateAgentResponse(agent=_agent(agent), etag=agent.etag)


def _admin(principal: Principal) -> None:
    """The edge has looked at the role already; whoever comes past it is looked at here."""
    if principal.role != "admin":
        raise Refusal(Reason.FORBIDDEN)


def _change(request: v1.UpdateAgentRequest) -> Change:
    values: dict[str, object] = {
        "name": request.name,
        "priority": request.priority,
        "providers": _providers(request.providers) or None,
        "quiet_hours": _quiet_hours(request.quiet_hours),
        "ttl_s": request.ttl_s,
        "collapse": request.collapse,
        "enabled": request.enabled,
    }
    keys = {Provider.FCM: request.fcm_key, Provider.APNS: _apns_key(request.apns_key)}
    removed = set(request.remove)
    if unknown := removed - {"quiet_hours", "collapse", "fcm_key", "apns_key"}:
        raise Refusal(Reason.INVALID_REQUEST, errors=[FieldError("remove", f"{', '.join(sorted(unknown))} must stay")])
    return Change(
        {name: value for name, value in values.items() if value is not None or name in removed},
        {name: key for name, key in keys.items() if key is not None or f"{name}_key" in removed},
    )


def _word(value: v1.Provider | v1.NotificationStatus, kind: type[v1.Provider | v1.NotificationStatus]) -> str:
    """PROVIDER_FCM → "fcm". Refuses INVALID_REQUEST for what the contract does not name."""
    if value == 0 or value not in list(kind):
        raise Refusal(Reason.INVALID_REQUEST, f"{kind.__name__} has no {int(value)}.")
    return str(kind(value).name).lower()


def _providers(values: list[v1.Provider]) -> tuple[Provider, ...]:
    return tuple(Provider(_word(value, v1.Provider)) for value in values)


def _quiet_hours(hours: v1.QuietHours | None) -> QuietHours | None:
    if hours is None:
        return None
    for name, value in (("start", hours.start), ("end", hours.end)):
        clock, _, minutes = value.partition(":")
        well = len(value) == 5 and (clock + minutes).isdecimal() and int(clock) < 24 and int(minutes) < 60
        if not well:
            raise Refusal(Reason.INVALID_REQUEST, errors=[FieldError(f"/preferences/quiet_hours/{name}", "is no time")])
    return QuietHours(hours.start, hours.end)


def _apns_key(key: v1.ApnsKey | None) -> str | None:
    if key is None:
        return None
    names = ("key_id", "team_id", "topic", "private_key")
    return json.dumps({name: getattr(key, name) for name in names})


def _agent(agent: Agent) -> v1.Agent:
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
        user_id=notification.user_id,
        reason=notification.reason,
    )
