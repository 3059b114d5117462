"""Notifications on real servers: provider faults, priorities and the history."""

import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path

import pytest

from generated.proto.delivery.events.v1 import EmailRequested, Refunded, UserDeleted
from services.notifications.domain.notifications import HistoryFilter, Notification, Provider, Status
from services.notifications.usecases import devices
from services.runtime.core.principal import Principal
from services.runtime.messaging.events import Envelope
from tests.integration.fixtures.notifications import (
    NotificationsHarness,
    build_envelope,
    build_notification_request,
    build_order_paid,
    make_name,
    run_service,
)
from tests.integration.fixtures.servers import Servers
from tests.wait import wait_until_async

ALL_PROVIDERS = (Provider.FCM, Provider.APNS, Provider.EMAIL)


@pytest.fixture
async def harness(servers: Servers, tmp_path: Path) -> AsyncIterator[NotificationsHarness]:
    async with run_service(servers, tmp_path, FALLBACK_SECONDS="1.5") as harness:
        yield harness
        for provider in ("fcm", "apns"):
            await harness.inject_fault(provider, "none")


def make_android_token() -> str:
    return f"phone-{secrets.token_hex(8)}"


def make_apple_token() -> str:
    return secrets.token_hex(32)


def list_attempts(notification: Notification) -> list[tuple[str, str]]:
    return [(attempt.provider, attempt.outcome) for attempt in notification.attempts]


@pytest.mark.parametrize(
    ("mode", "count", "expected"),
    [
        ("none", None, [("fcm", "accepted")]),
        ("quota", 1, [("fcm", "QUOTA_EXCEEDED"), ("fcm", "accepted")]),
        ("unavailable", 1, [("fcm", "UNAVAILABLE"), ("fcm", "accepted")]),
        ("invalid_response", 1, [("fcm", "NONSENSE"), ("fcm", "accepted")]),
        ("unregistered", 1, [("fcm", "UNREGISTERED"), ("apns", "accepted")]),
        ("slow", 1, [("fcm", "TIMEOUT"), ("fcm", "accepted")]),
        ("unavailable", None, [("fcm", "UNAVAILABLE"), ("apns", "accepted")]),
    ],
)
async def test_provider_fault_leads_to_expected_attempts(
    harness: NotificationsHarness, mode: str, count: int | None, expected: list[tuple[str, str]]
) -> None:
    phone, apple = make_android_token(), make_apple_token()
    user = await harness.create_user(phone, apple)
    await harness.inject_fault("fcm", mode, count)
    [event] = await harness.publish(build_order_paid(user))
    notification = await harness.wait_for_notification(user, event)
    # Repeated attempts are grouped, because their number before the fallback depends on the speed of the machine.
    assert (notification.status, [attempt for attempt, _ in groupby(list_attempts(notification))]) == (
        Status.SENT,
        expected,
    )
    messages = await harness.get_device_messages(phone) + await harness.get_device_messages(apple)
    assert [message["data"]["notification_id"] for message in messages] == [event]


async def test_unregistered_tokens_are_deleted_and_mail_is_the_fallback(harness: NotificationsHarness) -> None:
    phone, apple = make_android_token(), make_apple_token()
    user = await harness.create_user(phone, apple)
    await harness.inject_fault("fcm", "unregistered", 1)
    await harness.inject_fault("apns", "unregistered", 1)
    [event] = await harness.publish(build_order_paid(user))
    notification = await harness.wait_for_notification(user, event)
    assert list_attempts(notification) == [("fcm", "UNREGISTERED"), ("apns", "Unregistered"), ("email", "accepted")]
    assert list(await harness.list_devices(user)) == []
    [mail] = await harness.get_mails(f"{user}@delivery.test")
    assert mail["subject"] == "Payment received"
    [second_event] = await harness.publish(build_order_paid(user))
    assert list_attempts(await harness.wait_for_notification(user, second_event)) == [("email", "accepted")]


async def test_only_the_unregistered_one_of_several_devices_is_removed(harness: NotificationsHarness) -> None:
    user, phones = await harness.create_user(), [make_android_token() for _ in range(3)]
    principal = Principal(user, "customer", "", True, datetime.now(UTC))
    for phone in phones:
        await devices.register_device(harness.repository, lambda: datetime.now(UTC), principal, phone, None)
    await harness.inject_fault("fcm", "unregistered", 1)
    [event] = await harness.publish(build_order_paid(user))
    await harness.wait_for_notification(user, event)
    messages = {phone: await harness.get_device_messages(phone) for phone in phones}
    remaining = {device.token for device in await harness.list_devices(user)}
    assert remaining == {phone for phone in phones if messages[phone]}
    assert len(remaining) == 2


async def test_duplicate_event_notifies_once(harness: NotificationsHarness) -> None:
    phone = make_android_token()
    user = await harness.create_user(phone)
    envelope = build_envelope(build_order_paid(user))
    async with harness.admin_broker.open_channel() as channel:
        await channel.publish([envelope, envelope])
        await harness.wait_for_notification(user, envelope.id)
        await channel.publish([envelope])
    [later_event] = await harness.publish(build_order_paid(user))
    await harness.wait_for_notification(user, later_event)
    notification = await harness.wait_for_notification(user, envelope.id)
    assert list_attempts(notification) == [("fcm", "accepted")]
    assert len(await harness.get_device_messages(phone)) == 2


@pytest.mark.parametrize(
    ("agent", "template", "reason"),
    [
        ("unknown", "announcement", "AGENT_UNKNOWN"),
        ("disabled", "announcement", "AGENT_DISABLED"),
        ("news", "no-such", "TEMPLATE_UNKNOWN"),
        ("news", "announcement", "NO_DEVICE"),
    ],
)
async def test_undeliverable_notification_is_recorded_with_reason(
    harness: NotificationsHarness, agent: str, template: str, reason: str
) -> None:
    if agent == "disabled":
        agent = (await harness.create_agent(providers=ALL_PROVIDERS, enabled=False)).id
    user = await harness.create_user()
    request = build_notification_request(user, agent)
    request.template = template
    [event] = await harness.publish(request)
    notification = await harness.wait_for_notification(user, event)
    assert (notification.status, notification.reason, notification.attempts) == (Status.FAILED, reason, ())


async def test_expired_notification_is_recorded(harness: NotificationsHarness) -> None:
    agent = await harness.create_agent(providers=(Provider.FCM,), ttl_s=2)
    user = await harness.create_user(make_android_token())
    await harness.inject_fault("fcm", "unavailable")
    [event] = await harness.publish(build_notification_request(user, agent.id))
    assert (await harness.wait_for_notification(user, event)).status is Status.EXPIRED


async def test_oversized_push_falls_back_to_mail(harness: NotificationsHarness) -> None:
    agent = await harness.create_agent(providers=ALL_PROVIDERS)
    user = await harness.create_user(make_android_token())
    request = build_notification_request(user, agent.id)
    request.values["body"] = "news " * 1000
    [event] = await harness.publish(request)
    assert list_attempts(await harness.wait_for_notification(user, event)) == [
        ("fcm", "PAYLOAD_TOO_LARGE"),
        ("email", "accepted"),
    ]


async def test_refund_notifies_customer_of_order_if_any(harness: NotificationsHarness) -> None:
    user = await harness.create_user(make_android_token())
    without_order, [event] = (
        await harness.publish(Refunded(refund_id="r1")),
        await harness.publish(Refunded(refund_id="r2", order_id="o9", amount=100, currency="USD", customer_id=user)),
    )
    notification = await harness.wait_for_notification(user, event)
    assert (notification.event, notification.order_id, notification.status) == ("payments.refunded", "o9", Status.SENT)
    entries = await harness.history.find(HistoryFilter(), 50, None, include_mails=True)
    assert not {entry.id for entry in entries} & set(without_order)


async def test_malformed_events_do_not_block_the_queue(harness: NotificationsHarness) -> None:
    user = await harness.create_user(make_android_token())
    now = datetime.now(UTC)
    malformed_payload = Envelope(make_name(), "/gateway", "notifications.requested", "x", now, {}, b"\xff\xff\xff")
    malformed_id = Envelope(
        "invalid / id",
        "/gateway",
        "notifications.requested",
        "x",
        now,
        {},
        bytes(build_envelope(build_notification_request(user, "news")).payload),
    )
    async with harness.admin_broker.open_channel() as channel:
        await channel.publish([malformed_payload, malformed_id])
    [event] = await harness.publish(build_notification_request(user, "news"))
    assert (await harness.wait_for_notification(user, event)).status is Status.SENT


async def test_account_mail_is_sent_and_code_is_not_stored(harness: NotificationsHarness) -> None:
    user, to = make_name(), f"{make_name()}@delivery.test"
    code = secrets.token_urlsafe(16)
    request = EmailRequested(user_id=user, email=to, template="password_reset", locale="de", values={"code": code})
    [event] = await harness.publish(request)
    notification = await harness.wait_for_notification(user, event)
    assert (notification.status, notification.agent_id, notification.body) == (Status.SENT, "mails", "")
    [mail] = await harness.get_mails(to)
    assert (mail["subject"], mail["code"]) == ("Wählen Sie ein neues Passwort", code)
    assert await harness.history.find(HistoryFilter(user_id=user), 10, None, include_mails=False) == []
    assert code not in str(notification)


async def test_deleted_user_leaves_only_a_tombstone(harness: NotificationsHarness) -> None:
    user = await harness.create_user(make_android_token())
    [event] = await harness.publish(build_order_paid(user))
    await harness.wait_for_notification(user, event)
    await harness.publish(UserDeleted(user_id=user, version=9))

    async def is_deleted() -> bool:
        contact = await harness.users.get(user)
        entries = await harness.history.find(HistoryFilter(user_id=user), 10, None, include_mails=True)
        return contact is not None and contact.is_deleted and entries == []

    await wait_until_async(is_deleted)
    assert list(await harness.list_devices(user)) == []


async def test_urgent_job_is_not_delayed_by_ten_thousand_pending_jobs(harness: NotificationsHarness) -> None:
    urgent_agent = await harness.create_agent(providers=(Provider.FCM,), priority=10)
    bulk_user, phone = await harness.create_user(make_android_token()), make_android_token()
    user = await harness.create_user(phone)
    await harness.inject_fault("fcm", "slow", 12)  # the slow sends occupy their workers
    [first] = await harness.publish(build_notification_request(bulk_user, "news"))
    async with harness.database.connection() as connection:

        async def is_queued() -> bool:
            cursor = await connection.connection.execute("SELECT 1 FROM delivery_jobs WHERE id = %s", (first,))
            return await cursor.fetchone() is not None

        await wait_until_async(is_queued)
        await connection.connection.execute(
            "INSERT INTO delivery_jobs SELECT id || '-' || n, user_id, priority, now(), expires_at, "
            "jsonb_set(notification, '{id}', to_jsonb(id || '-' || n)), mail, NULL, NULL, 0, '{}', false, false, trace "
            "FROM delivery_jobs, generate_series(1, 10000) AS n WHERE id = %s",
            (first,),
        )
        await wait_until_async(lambda: has_at_most_pending_jobs(harness, 10_000))
        [event] = await harness.publish(build_notification_request(user, urgent_agent.id, "Now"))
        notification = await harness.wait_for_notification(user, event, 5)
        pending = await count_pending_jobs(harness)
        await connection.connection.execute("DELETE FROM delivery_jobs WHERE priority = 1")
    assert notification.sent_at is not None
    assert notification.sent_at - notification.created_at < timedelta(seconds=1)
    assert pending > 9000


async def test_urgent_request_overtakes_messages_pending_in_broker(harness: NotificationsHarness) -> None:
    bulk_user, user = await harness.create_user(make_android_token()), await harness.create_user(make_android_token())
    try:
        await harness.publish(*(build_notification_request(bulk_user, "news") for _ in range(3000)))
        [event] = await harness.publish(build_notification_request(user, "alerts", "Now"))
        notification = await harness.wait_for_notification(user, event)
        pending = await harness.count_messages("notifications.requested")
    finally:
        await harness.purge("notifications.requested")
        async with harness.database.connection() as connection:
            await connection.connection.execute("DELETE FROM delivery_jobs WHERE user_id = %s", (bulk_user,))
    assert list_attempts(notification) == [("fcm", "accepted")]
    assert pending > 0


async def count_pending_jobs(harness: NotificationsHarness) -> int:
    async with harness.database.connection() as connection:
        cursor = await connection.connection.execute("SELECT count(*) AS n FROM delivery_jobs WHERE priority = 1")
        row = await cursor.fetchone()
    return int(row["n"]) if row else 0


async def has_at_most_pending_jobs(harness: NotificationsHarness, limit: int) -> bool:
    return await count_pending_jobs(harness) <= limit
