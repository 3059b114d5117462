"""Notifications on real servers: faults of providers, who is told first, and what is kept of it."""

import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path

import pytest

from generated.proto.delivery.events.v1 import EmailRequested, Refunded, UserDeleted
from services.notifications.domain.notifications import Notification, Provider, Status
from services.notifications.usecases.ports import HistoryFilter
from services.runtime.messaging.events import Envelope
from tests.integration.fixtures.notifications import (
    NotificationsHarness,
    build_envelope,
    build_notification_request,
    build_order_paid,
    make_name,
    run_service,
    wait_until,
)
from tests.integration.fixtures.servers import Servers

ALL = (Provider.FCM, Provider.APNS, Provider.EMAIL)


@pytest.fixture
async def service(servers: Servers, tmp_path: Path) -> AsyncIterator[NotificationsHarness]:
    async with run_service(servers, tmp_path, FALLBACK_SECONDS="1.5") as made:
        yield made
        for provider in ("fcm", "apns"):
            await made.inject_fault(provider, "none")


def android() -> str:
    return f"phone-{secrets.token_hex(8)}"


def iphone() -> str:
    return secrets.token_hex(32)


def tried(notification: Notification) -> list[tuple[str, str]]:
    return [(attempt.provider, attempt.outcome) for attempt in notification.attempts]


@pytest.mark.parametrize(
    ("mode", "count", "expected"),
    [
        ("none", None, [("fcm", "accepted")]),
        ("quota", 1, [("fcm", "QUOTA_EXCEEDED"), ("fcm", "accepted")]),
        ("unavailable", 1, [("fcm", "UNAVAILABLE"), ("fcm", "accepted")]),
        ("lie", 1, [("fcm", "NONSENSE"), ("fcm", "accepted")]),
        ("unregistered", 1, [("fcm", "UNREGISTERED"), ("apns", "accepted")]),
        ("slow", 1, [("fcm", "TIMEOUT"), ("fcm", "accepted")]),
        ("unavailable", None, [("fcm", "UNAVAILABLE"), ("apns", "accepted")]),
    ],
)
async def test_the_fault_table(
    service: NotificationsHarness, mode: str, count: int | None, expected: list[tuple[str, str]]
) -> None:
    phone, apple = android(), iphone()
    user = await service.create_user(phone, apple)
    await service.inject_fault("fcm", mode, count)
    [event] = await service.publish(build_order_paid(user))
    outcome = await service.wait_for_notification(user, event)
    # How often a provider is asked before another takes over is a matter of time, and so of the machine.
    assert (outcome.status, [attempt for attempt, _ in groupby(tried(outcome))]) == (Status.SENT, expected)
    everywhere = await service.get_device_messages(phone) + await service.get_device_messages(apple)
    assert [one["data"]["notification_id"] for one in everywhere] == [event]


async def test_mail_is_the_last_resort_and_an_unregistered_token_is_forgotten(service: NotificationsHarness) -> None:
    phone, apple = android(), iphone()
    user = await service.create_user(phone, apple)
    await service.inject_fault("fcm", "unregistered", 1)
    await service.inject_fault("apns", "unregistered", 1)
    [event] = await service.publish(build_order_paid(user))
    outcome = await service.wait_for_notification(user, event)
    assert tried(outcome) == [("fcm", "UNREGISTERED"), ("apns", "Unregistered"), ("email", "accepted")]
    assert list(await service.users.list_devices(user)) == []
    [mail] = await service.get_mails(f"{user}@delivery.test")
    assert mail["subject"] == "Payment received"
    [again] = await service.publish(build_order_paid(user))
    assert tried(await service.wait_for_notification(user, again)) == [("email", "accepted")]


async def test_a_repeated_event_is_told_once(service: NotificationsHarness) -> None:
    phone = android()
    user = await service.create_user(phone)
    made = build_envelope(build_order_paid(user))
    async with service.broker.open_channel() as channel:
        await channel.publish([made, made])
        await service.wait_for_notification(user, made.id)
        await channel.publish([made])
    [after] = await service.publish(build_order_paid(user))
    await service.wait_for_notification(user, after)
    outcome = await service.wait_for_notification(user, made.id)
    assert tried(outcome) == [("fcm", "accepted")]
    assert len(await service.get_device_messages(phone)) == 2


@pytest.mark.parametrize(
    ("agent", "template", "reason"),
    [
        ("nobody", "announcement", "AGENT_UNKNOWN"),
        ("disabled", "announcement", "AGENT_DISABLED"),
        ("news", "no-such", "TEMPLATE_UNKNOWN"),
        ("news", "announcement", "NO_DEVICE"),
    ],
)
async def test_what_reaches_nobody_is_recorded(
    service: NotificationsHarness, agent: str, template: str, reason: str
) -> None:
    if agent == "disabled":
        agent = (await service.create_agent(providers=ALL, enabled=False)).id
    user = await service.create_user()
    asked = build_notification_request(user, agent)
    asked.template = template
    [event] = await service.publish(asked)
    outcome = await service.wait_for_notification(user, event)
    assert (outcome.status, outcome.reason, outcome.attempts) == (Status.FAILED, reason, ())


async def test_what_expires_is_recorded(service: NotificationsHarness) -> None:
    agent = await service.create_agent(providers=(Provider.FCM,), ttl_s=2)
    user = await service.create_user(android())
    await service.inject_fault("fcm", "unavailable")
    [event] = await service.publish(build_notification_request(user, agent.id))
    assert (await service.wait_for_notification(user, event)).status is Status.EXPIRED


async def test_a_payload_too_large_for_pushes_goes_by_mail(service: NotificationsHarness) -> None:
    agent = await service.create_agent(providers=ALL)
    user = await service.create_user(android())
    asked = build_notification_request(user, agent.id)
    asked.values["body"] = "news " * 1000
    [event] = await service.publish(asked)
    assert tried(await service.wait_for_notification(user, event)) == [
        ("fcm", "PAYLOAD_TOO_LARGE"),
        ("email", "accepted"),
    ]


async def test_a_refund_is_told_to_whom_the_order_is_if_it_is_anybodys(service: NotificationsHarness) -> None:
    user = await service.create_user(android())
    nobodys, [event] = (
        await service.publish(Refunded(refund_id="r1")),
        await service.publish(Refunded(refund_id="r2", order_id="o9", amount=100, currency="USD", customer_id=user)),
    )
    outcome = await service.wait_for_notification(user, event)
    assert (outcome.event, outcome.order_id, outcome.status) == ("payments.refunded", "o9", Status.SENT)
    kept = await service.history.find(HistoryFilter(), 50, None, include_mails=True)
    assert not {one.id for one in kept} & set(nobodys)


async def test_garbage_is_a_dead_letter_and_delays_nobody(service: NotificationsHarness) -> None:
    user = await service.create_user(android())
    now = datetime.now(UTC)
    garbage = Envelope(make_name(), "/test", "notifications.requested", "x", now, {}, b"\xff\xff\xff")
    strange = Envelope(
        "no id / of ours",
        "/test",
        "notifications.requested",
        "x",
        now,
        {},
        bytes(build_envelope(build_notification_request(user, "news")).payload),
    )
    async with service.broker.open_channel() as channel:
        await channel.publish([garbage, strange])
    [event] = await service.publish(build_notification_request(user, "news"))
    assert (await service.wait_for_notification(user, event)).status is Status.SENT


async def test_mails_of_accounts_arrive_and_their_codes_are_kept_nowhere(service: NotificationsHarness) -> None:
    user, to = make_name(), f"{make_name()}@delivery.test"
    code = secrets.token_urlsafe(16)
    asked = EmailRequested(user_id=user, email=to, template="password_reset", locale="de", values={"code": code})
    [event] = await service.publish(asked)
    outcome = await service.wait_for_notification(user, event)
    assert (outcome.status, outcome.agent_id, outcome.body) == (Status.SENT, "mails", "")
    [mail] = await service.get_mails(to)
    assert (mail["subject"], mail["code"]) == ("Setze ein neues Passwort", code)
    assert await service.history.find(HistoryFilter(user_id=user), 10, None, include_mails=False) == []
    assert code not in str(outcome)


async def test_who_is_deleted_leaves_nothing_but_a_mark(service: NotificationsHarness) -> None:
    user = await service.create_user(android())
    [event] = await service.publish(build_order_paid(user))
    await service.wait_for_notification(user, event)
    await service.publish(UserDeleted(user_id=user, version=9))

    async def gone() -> bool:
        known = await service.users.get_user(user)
        nothing = await service.history.find(HistoryFilter(user_id=user), 10, None, include_mails=True) == []
        return known is not None and known.is_deleted and nothing

    await wait_until(gone)
    assert list(await service.users.list_devices(user)) == []


async def test_ten_thousand_that_wait_do_not_delay_an_urgent_one(service: NotificationsHarness) -> None:
    urgent = await service.create_agent(providers=(Provider.FCM,), priority=10)
    crowd, phone = await service.create_user(android()), android()
    user = await service.create_user(phone)
    await service.inject_fault("fcm", "slow", 12)  # whoever is sent to now keeps its worker busy
    [first] = await service.publish(build_notification_request(crowd, "news"))
    async with service.database.connection() as connection:

        async def there() -> bool:
            cursor = await connection.connection.execute("SELECT 1 FROM delivery_jobs WHERE id = %s", (first,))
            return await cursor.fetchone() is not None

        await wait_until(there)
        await connection.connection.execute(
            "INSERT INTO delivery_jobs SELECT id || '-' || n, user_id, priority, now(), expires_at, "
            "jsonb_set(notification, '{id}', to_jsonb(id || '-' || n)), mail, NULL, NULL, 0, '{}', false, false, trace "
            "FROM delivery_jobs, generate_series(1, 10000) AS n WHERE id = %s",
            (first,),
        )
        await wait_until(lambda: waits_less_than(service, 10_000))
        [event] = await service.publish(build_notification_request(user, urgent.id, "Now"))
        outcome = await service.wait_for_notification(user, event, 5)
        waiting = await waits(service)
        await connection.connection.execute("DELETE FROM delivery_jobs WHERE priority = 1")
    assert outcome.sent_at is not None
    assert outcome.sent_at - outcome.created_at < timedelta(seconds=1)
    assert waiting > 9000


async def test_an_urgent_request_overtakes_those_that_wait_in_the_broker(service: NotificationsHarness) -> None:
    crowd, user = await service.create_user(android()), await service.create_user(android())
    try:
        await service.publish(*(build_notification_request(crowd, "news") for _ in range(3000)))
        [event] = await service.publish(build_notification_request(user, "alerts", "Now"))
        outcome = await service.wait_for_notification(user, event)
        waiting = await service.count_messages("notifications.requested")
    finally:
        await service.purge("notifications.requested")
        async with service.database.connection() as connection:
            await connection.connection.execute("DELETE FROM delivery_jobs WHERE user_id = %s", (crowd,))
    assert tried(outcome) == [("fcm", "accepted")]
    assert waiting > 0


async def waits(service: NotificationsHarness) -> int:
    async with service.database.connection() as connection:
        cursor = await connection.connection.execute("SELECT count(*) AS n FROM delivery_jobs WHERE priority = 1")
        row = await cursor.fetchone()
    return int(row["n"]) if row else 0


async def waits_less_than(service: NotificationsHarness, many: int) -> bool:
    return await waits(service) < many + 1
