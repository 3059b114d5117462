"""gRPC servicer of notifications: roles, agents without their keys, and unknown enum values."""

import pytest

from generated.problems import Reason
from generated.proto.delivery.notifications import v1
from services.notifications.domain.notifications import Notification, Status
from services.notifications.entrypoints.rpc import NotificationsRpc
from services.runtime.rpc.codec import get_codec
from tests.unit.fake_transactions import build_principal, raises_reason
from tests.unit.notifications.fakes import FakeBackend

ADMIN, ADA = build_principal("admin", "root"), build_principal("customer")


def build_rpc(backend: FakeBackend) -> NotificationsRpc:
    return NotificationsRpc(backend, backend, backend.clock)


async def test_agent_is_created_once_and_updated() -> None:
    rpc = build_rpc(FakeBackend(agent=None))
    request = v1.CreateAgentRequest(
        name="Orders",
        priority=5,
        providers=[v1.Provider.FCM],
        preferences=v1.Preferences(ttl_s=60, quiet_hours=v1.QuietHours(start="22:00", end="07:00")),
        enabled=True,
        idempotency_key="k1",
    )
    first, second = [
        get_codec().decode(v1.CreateAgentResponse, (await rpc.create_agent(request, ADMIN)).data) for _ in range(2)
    ]
    assert (first.agent, first.replayed, second.replayed) == (second.agent, False, True)
    update = v1.UpdateAgentRequest(agent_id=first.agent.id, if_match=first.etag, priority=10)
    updated = await rpc.update_agent(update, ADMIN)
    assert (updated.agent.priority, updated.agent.name, updated.etag) == (10, "Orders", '"2"')
    assert (await rpc.get_agent(v1.GetAgentRequest(agent_id=first.agent.id), ADMIN)).agent == updated.agent
    assert (await rpc.list_agents(v1.ListAgentsRequest(page_size=10), ADMIN)).items == [updated.agent]


@pytest.mark.parametrize("if_match", [None, "*", '"1"', '"zzz", "1"'])
async def test_update_that_matches_the_version_is_applied(if_match: str | None) -> None:
    update = v1.UpdateAgentRequest(agent_id="orders", if_match=if_match, priority=10)
    assert (await build_rpc(FakeBackend()).update_agent(update, ADMIN)).etag == '"2"'


@pytest.mark.parametrize(
    ("agent_id", "if_match", "reason"),
    [
        ("orders", '"2", W/"1"', Reason.PRECONDITION_FAILED),
        ("orders", '"zzz"', Reason.PRECONDITION_FAILED),
        ("orders", "1", Reason.INVALID_REQUEST),
        ("unknown", "1", Reason.AGENT_NOT_FOUND),
    ],
)
async def test_update_that_does_not_match_is_rejected(agent_id: str, if_match: str, reason: Reason) -> None:
    rpc = build_rpc(FakeBackend())
    with raises_reason(reason):
        await rpc.update_agent(v1.UpdateAgentRequest(agent_id=agent_id, if_match=if_match, priority=10), ADMIN)
    assert (await rpc.get_agent(v1.GetAgentRequest(agent_id="orders"), ADMIN)).etag == '"1"'


@pytest.mark.parametrize(
    "update",
    [
        v1.UpdateAgentRequest(preferences=v1.PreferencesPatch(remove=["ttl_s"])),
        v1.UpdateAgentRequest(preferences=v1.PreferencesPatch(remove=["name"])),
        v1.UpdateAgentRequest(keys=v1.AgentKeysPatch(remove=["email"])),
    ],
)
async def test_update_that_removes_a_required_field_raises(update: v1.UpdateAgentRequest) -> None:
    rpc = build_rpc(FakeBackend(agent=None))
    request = v1.CreateAgentRequest(
        name="Orders", priority=5, providers=[v1.Provider.FCM], preferences=v1.Preferences(ttl_s=60), enabled=True
    )
    created = get_codec().decode(v1.CreateAgentResponse, (await rpc.create_agent(request, ADMIN)).data)
    update.agent_id = created.agent.id
    with raises_reason(Reason.INVALID_REQUEST):
        await rpc.update_agent(update, ADMIN)
    got = await rpc.get_agent(v1.GetAgentRequest(agent_id=created.agent.id), ADMIN)
    assert got.agent == created.agent


@pytest.mark.parametrize(("start", "end"), [("24:00", "07:00"), ("22:60", "07:00"), ("22:00", "7:00"), ("", "07:00")])
async def test_invalid_quiet_hours_raise(start: str, end: str) -> None:
    request = v1.CreateAgentRequest(preferences=v1.Preferences(quiet_hours=v1.QuietHours(start=start, end=end)))
    with raises_reason(Reason.INVALID_REQUEST) as raised:
        await build_rpc(FakeBackend(agent=None)).create_agent(request, ADMIN)
    assert [error.message for error in raised.value.errors] == ["must be a time HH:MM"]


@pytest.mark.parametrize("provider", [0, 99])
async def test_unknown_provider_raises(provider: int) -> None:
    request = v1.CreateAgentRequest(name="x", priority=1, providers=[v1.Provider(provider)])
    with raises_reason(Reason.INVALID_REQUEST) as raised:
        await build_rpc(FakeBackend(agent=None)).create_agent(request, ADMIN)
    assert raised.value.detail == f"Provider has no value {provider}."


async def test_administration_requires_admin_role() -> None:
    rpc = build_rpc(FakeBackend())
    for operation in (
        rpc.create_agent(v1.CreateAgentRequest(), ADA),
        rpc.get_agent(v1.GetAgentRequest(agent_id="orders"), ADA),
        rpc.list_agents(v1.ListAgentsRequest(page_size=10), ADA),
        rpc.update_agent(v1.UpdateAgentRequest(agent_id="orders"), ADA),
        rpc.list_notifications(v1.ListNotificationsRequest(page_size=10), ADA),
    ):
        with raises_reason(Reason.FORBIDDEN):
            await operation


@pytest.mark.parametrize("status", [0, 99])
async def test_unknown_status_filter_raises(status: int) -> None:
    request = v1.ListNotificationsRequest(page_size=10, status=v1.NotificationStatus(status))
    with raises_reason(Reason.INVALID_REQUEST):
        await build_rpc(FakeBackend(agent=None)).list_notifications(request, ADMIN)


@pytest.mark.parametrize("name", ["user_id", "agent_id", "order_id", "status"])
async def test_notifications_are_listed_by_each_filter(name: str) -> None:
    backend = FakeBackend()
    created_at = backend.clock()
    backend.stored_notifications = {
        each: Notification(each, each, "orders.paid", each, each, "T", "B", Status(each), created_at)
        for each in ("sent", "failed")
    }
    value = v1.NotificationStatus.SENT if name == "status" else "sent"
    listed = await build_rpc(backend).list_notifications(
        v1.ListNotificationsRequest(page_size=10, **{name: value}),  # type: ignore[arg-type]
        ADMIN,
    )
    assert [each.id for each in listed.items] == ["sent"]


async def test_device_message_contains_no_token() -> None:
    backend = FakeBackend()
    rpc = build_rpc(backend)
    request = v1.RegisterDeviceRequest(token="secret-token", name="Telephone")
    device = (await rpc.register_device(request, ADA)).device
    assert device is not None
    assert (device.provider, device.name, device.registered_at) == (v1.Provider.FCM, "Telephone", backend.clock())
    assert (await rpc.list_devices(v1.ListDevicesRequest(), ADA)).items == [device]
    assert b"secret" not in get_codec().encode(device)
    await rpc.remove_device(v1.RemoveDeviceRequest(device_id=device.id), ADA)
    assert (await rpc.list_devices(v1.ListDevicesRequest(), ADA)).items == []
