"""Delivery: provider fallback, retries, localisation, quiet hours and termination."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generated.proto.delivery.events.v1 import NotificationFailed, NotificationSent
from services.notifications.adapters import template_loader
from services.notifications.domain.agents import QuietHours, find_quiet_hours_end
from services.notifications.domain.delivery_state import RetryPolicy
from services.notifications.domain.notifications import (
    ACCEPTED_RESPONSE,
    Device,
    Outcome,
    Provider,
    ProviderResponse,
    Push,
    RegisteredDevice,
    Status,
    User,
    compute_device_id,
    detect_provider,
)
from services.notifications.domain.rendering import render
from services.notifications.usecases import contacts, enqueue
from services.notifications.usecases.deliver import deliver, fail_undecodable_job
from services.notifications.usecases.delivery_jobs import DeliveryJobs
from services.notifications.usecases.enqueue import UnknownUserError
from tests.unit.notifications.fakes import ADA, AGENT, START_TIME, FakeBackend, FakeProviderClient

PHONE = Device(Provider.FCM, "phone")
TABLET = Device(Provider.FCM, "tablet")
IPHONE = Device(Provider.APNS, "ab" * 32)
UNREGISTERED = ProviderResponse(Outcome.REJECTED, "UNREGISTERED", is_unregistered=True)
BUSY = ProviderResponse(Outcome.BUSY, "UNAVAILABLE")
UNCLEAR = ProviderResponse(Outcome.UNCLEAR, "TIMEOUT")
VALUES = {"partner_title": "Green Bowl"}


async def enqueue_order_paid(backend: FakeBackend, *, retry_unknown_user: bool = False, event_id: str = "e1") -> None:
    rule = template_loader.load_rules()["orders.paid"]
    await enqueue.enqueue_notification(
        backend.enqueuer,
        backend.make_source_event(event_id),
        rule.templates,
        "orders",
        "ada",
        "o1",
        VALUES,
        retry_unknown_user=retry_unknown_user,
    )


def list_attempts(backend: FakeBackend) -> list[tuple[str, str]]:
    return [(attempt.provider, attempt.outcome) for attempt in backend.stored_notifications["e1"].attempts]


async def test_notification_is_localised_and_recorded_as_sent() -> None:
    backend = FakeBackend(PHONE)
    await enqueue_order_paid(backend)
    notification = await backend.run()
    assert notification.status is Status.SENT
    assert "Green Bowl ist bezahlt" in notification.body
    assert isinstance(backend.events[0], NotificationSent)


async def test_duplicate_event_creates_one_notification() -> None:
    backend = FakeBackend(PHONE)
    await enqueue_order_paid(backend)
    await backend.run()
    await enqueue_order_paid(backend)
    assert await backend.step() is False
    assert len(backend.clients[Provider.FCM].sent) == 1
    assert backend.stored_notifications["e1"].status is Status.SENT


async def test_push_is_sent_to_all_devices_of_first_provider_only() -> None:
    backend = FakeBackend(PHONE, IPHONE, TABLET)
    await enqueue_order_paid(backend)
    await backend.run()
    assert [token for token, _ in backend.clients[Provider.FCM].sent] == ["phone", "tablet"]
    assert backend.clients[Provider.APNS].sent == backend.mail_client.sent == []


@pytest.mark.parametrize(
    ("responses", "expected"),
    [
        ([UNREGISTERED], [("fcm", "UNREGISTERED"), ("apns", "accepted")]),
        ([BUSY, BUSY], [("fcm", "UNAVAILABLE")] * 2 + [("fcm", "accepted")]),
        ([UNCLEAR, UNCLEAR], [("fcm", "TIMEOUT")] * 2 + [("fcm", "accepted")]),
        ([UNCLEAR, UNREGISTERED], [("fcm", "TIMEOUT"), ("fcm", "UNREGISTERED"), ("apns", "accepted")]),
        (
            [UNCLEAR, BUSY, BUSY, BUSY, BUSY, BUSY],
            [("fcm", "TIMEOUT")] + [("fcm", "UNAVAILABLE")] * 5 + [("fcm", "accepted")],
        ),
    ],
)
async def test_fallback_happens_only_after_rejection(
    responses: list[ProviderResponse], expected: list[tuple[str, str]]
) -> None:
    backend = FakeBackend(PHONE, IPHONE)
    backend.clients[Provider.FCM].responses = list(responses)
    await enqueue_order_paid(backend)
    assert (await backend.run()).status is Status.SENT
    assert list_attempts(backend) == expected


async def test_busy_provider_falls_back_to_next_with_mail_last() -> None:
    backend = FakeBackend(PHONE, IPHONE)
    for provider in (Provider.FCM, Provider.APNS):
        backend.clients[provider].responses = [BUSY] * 100
    await enqueue_order_paid(backend)
    assert (await backend.run()).status is Status.SENT
    providers = [provider for provider, _ in list_attempts(backend)]
    assert providers == sorted(providers, key=["fcm", "apns", "email"].index)
    assert providers[-1] == "email"
    assert backend.now - START_TIME >= timedelta(seconds=20)
    [(to, _)] = backend.mail_client.sent
    assert to == ADA.email


async def test_unclear_response_is_retried_without_fallback() -> None:
    backend = FakeBackend(PHONE, IPHONE)
    backend.clients[Provider.FCM].responses = [UNCLEAR] * 100
    await enqueue_order_paid(backend)
    assert (await backend.run()).status is Status.FAILED
    assert {provider for provider, _ in list_attempts(backend)} == {"fcm"}
    assert backend.clients[Provider.APNS].sent == backend.mail_client.sent == []


async def test_retry_after_delays_next_attempt() -> None:
    backend = FakeBackend(PHONE)
    backend.clients[Provider.FCM].responses = [replace(BUSY, retry_after=timedelta(seconds=9))]
    await enqueue_order_paid(backend)
    await backend.run()
    first, second = (attempt.at for attempt in backend.stored_notifications["e1"].attempts)
    assert second - first >= timedelta(seconds=9)


async def test_open_breaker_delays_delivery_without_attempt() -> None:
    backend = FakeBackend(PHONE)
    backend.only_breaker.open_for = timedelta(seconds=3)
    await enqueue_order_paid(backend)
    assert await backend.step() is True
    assert backend.clients[Provider.FCM].sent == []
    backend.only_breaker.open_for = timedelta(0)
    assert (await backend.run()).status is Status.SENT
    assert len(list_attempts(backend)) == 1


async def test_unregistered_device_is_deleted_and_others_remain() -> None:
    backend = FakeBackend(PHONE, TABLET)
    for device in (PHONE, TABLET):
        device_id = compute_device_id(device.token)
        registered = RegisteredDevice(device_id, "ada", device.token, device.provider, None, START_TIME)
        await backend.devices.save(registered)
    backend.clients[Provider.FCM].responses = [UNREGISTERED, ACCEPTED_RESPONSE]
    await enqueue_order_paid(backend)
    assert (await backend.run()).status is Status.SENT
    assert list(backend.user_devices) == [TABLET]
    assert [device.token for device in backend.devices.values()] == [TABLET.token]


async def test_retry_skips_device_with_accepted_push() -> None:
    backend = FakeBackend(PHONE, TABLET)
    backend.clients[Provider.FCM].responses = [ACCEPTED_RESPONSE, UNCLEAR]
    await enqueue_order_paid(backend)
    assert (await backend.run()).status is Status.SENT
    assert [token for token, _ in backend.clients[Provider.FCM].sent] == ["phone", "tablet", "tablet"]


@pytest.mark.parametrize(
    ("backend", "status", "reason"),
    [
        (FakeBackend(PHONE, agent=None), Status.FAILED, "AGENT_UNKNOWN"),
        (FakeBackend(PHONE, agent=replace(AGENT, enabled=False)), Status.FAILED, "AGENT_DISABLED"),
        (FakeBackend(PHONE, agent=replace(AGENT, providers=(Provider.APNS,))), Status.FAILED, "NO_DEVICE"),
        (FakeBackend(agent=replace(AGENT, providers=(Provider.FCM, Provider.APNS))), Status.FAILED, "NO_DEVICE"),
        (FakeBackend(PHONE, user=None), Status.FAILED, "USER_UNKNOWN"),
        (FakeBackend(PHONE, user=User("ada", "", None, None, 9)), Status.FAILED, "USER_GONE"),
    ],
)
async def test_undeliverable_notification_fails_with_reason(backend: FakeBackend, status: Status, reason: str) -> None:
    await enqueue_order_paid(backend)
    notification = await backend.run()
    assert (notification.status, notification.reason, notification.attempts) == (status, reason, ())
    assert isinstance(backend.events[0], NotificationFailed)


async def test_expired_notification_is_not_sent() -> None:
    backend = FakeBackend(PHONE)
    backend.clients[Provider.FCM].responses = [UNCLEAR]
    await enqueue_order_paid(backend)
    await backend.step()
    backend.now = START_TIME + timedelta(hours=2)
    notification = await backend.run()
    assert (notification.status, notification.reason) == (Status.EXPIRED, "EXPIRED")
    assert len(backend.clients[Provider.FCM].sent) == 1


@pytest.mark.parametrize("is_lost", [False, True])
async def test_undecodable_job_fails_while_its_lease_is_held(*, is_lost: bool) -> None:
    backend = FakeBackend()
    await enqueue_order_paid(backend)
    [job] = await backend.jobs.claim(1, 1, START_TIME, START_TIME)
    if is_lost:
        backend.jobs.clear()
    await fail_undecodable_job(DeliveryJobs(backend), backend, backend.clock, job.lease, "ada")
    notification = backend.stored_notifications["e1"]
    assert (notification.status, notification.reason) == (Status.FAILED, "INTERNAL_ERROR")
    failed = NotificationFailed(notification_id="e1", user_id="ada", reason="INTERNAL_ERROR", at=START_TIME)
    assert (backend.jobs, backend.events) == ({}, [] if is_lost else [failed])


async def test_template_error_is_recorded_as_failure() -> None:
    backend = FakeBackend(PHONE)
    await enqueue.enqueue_notification(
        backend.enqueuer, backend.make_source_event(), None, "orders", "ada", None, {}, retry_unknown_user=False
    )
    assert (await backend.run()).reason == "TEMPLATE_UNKNOWN"
    other_backend = FakeBackend(PHONE)
    announcement = template_loader.load_request_templates()["announcement"]
    await enqueue.enqueue_notification(
        other_backend.enqueuer,
        other_backend.make_source_event(),
        announcement,
        "orders",
        "ada",
        None,
        {"title": "x"},
        retry_unknown_user=False,
    )
    assert (await other_backend.run()).reason == "VALUE_MISSING"


async def test_unknown_user_raises_for_retry() -> None:
    with pytest.raises(UnknownUserError):
        await enqueue_order_paid(FakeBackend(user=None), retry_unknown_user=True)


async def test_quiet_hours_delay_push_but_not_account_mail() -> None:
    quiet_agent = replace(AGENT, quiet_hours=QuietHours("22:00", "07:00"))
    backend = FakeBackend(PHONE, user=replace(ADA, time_zone="Asia/Tokyo"), agent=replace(quiet_agent, ttl_s=86400))
    backend.now = datetime(2026, 1, 1, 14, tzinfo=UTC)  # 23:00 in Tokyo
    await enqueue_order_paid(backend)
    await enqueue.enqueue_mail(
        backend.enqueuer,
        backend.make_source_event("m1"),
        template_loader.load_mail_templates()["verification"],
        "ada",
        "a@b.c",
        None,
        {"code": "1"},
    )
    await backend.step()
    assert [to for to, _ in backend.mail_client.sent] == ["a@b.c"]
    assert (await backend.run()).sent_at == datetime(2026, 1, 1, 22, tzinfo=UTC)


async def test_notification_expires_during_quiet_hours() -> None:
    backend = FakeBackend(PHONE, agent=replace(AGENT, quiet_hours=QuietHours("11:00", "23:00")))
    await enqueue_order_paid(backend)
    assert (await backend.run()).status is Status.EXPIRED
    assert backend.now == START_TIME + timedelta(hours=1)


async def test_history_outage_neither_loses_nor_repeats_delivery() -> None:
    backend = FakeBackend(PHONE)
    await enqueue_order_paid(backend)
    backend.history_unavailable = True
    assert await backend.step() is True
    assert backend.events == []
    backend.history_unavailable = False
    assert (await backend.run()).status is Status.SENT
    assert len(backend.clients[Provider.FCM].sent) == 1


class InterruptedClient(FakeProviderClient):
    """Provider client that calls `interrupt` during the first send."""

    def __init__(self, response: ProviderResponse, interrupt: Callable[[], Awaitable[object]]) -> None:
        super().__init__([response])
        self.interrupt = interrupt

    async def push(self, token: str, push: Push) -> ProviderResponse:
        response = await super().push(token, push)
        if len(self.sent) == 1:
            await self.interrupt()
        return response


@pytest.mark.parametrize("is_history_unavailable", [False, True])
@pytest.mark.parametrize("response", [BUSY, UNREGISTERED, ACCEPTED_RESPONSE])
async def test_user_deleted_during_send_has_no_history(
    response: ProviderResponse, *, is_history_unavailable: bool
) -> None:
    backend = FakeBackend(PHONE)

    async def delete_user() -> None:
        await contacts.delete_contact(backend, backend, "ada", 9)
        backend.history_unavailable = is_history_unavailable

    backend.clients[Provider.FCM] = InterruptedClient(response, delete_user)
    await enqueue_order_paid(backend)
    assert await backend.step() is False
    assert (backend.stored_notifications, backend.events) == ({}, [])


@pytest.mark.parametrize("late_response", [BUSY, UNCLEAR, ACCEPTED_RESPONSE])
async def test_worker_without_lease_does_not_replace_sent_status(late_response: ProviderResponse) -> None:
    backend = FakeBackend(PHONE)

    async def deliver_by_other_worker() -> None:
        backend.now += timedelta(minutes=2)
        assert await backend.step() is False

    backend.clients[Provider.FCM] = InterruptedClient(late_response, deliver_by_other_worker)
    await enqueue_order_paid(backend)
    [job] = await backend.jobs.claim(1, 1, backend.now, backend.now + timedelta(minutes=1))
    assert await deliver(backend.create_context(), job) is None
    assert backend.stored_notifications["e1"].status is Status.SENT
    assert [type(event) for event in backend.events] == [NotificationSent]


async def test_worker_without_lease_does_not_release_job() -> None:
    backend = FakeBackend(PHONE)
    backend.clients[Provider.FCM].responses = [BUSY]
    await enqueue_order_paid(backend)
    [job] = await backend.jobs.claim(1, 1, backend.now, backend.now + timedelta(minutes=1))
    backend.now += timedelta(minutes=2)
    [claimed_again] = await backend.jobs.claim(1, 1, backend.now, backend.now + timedelta(minutes=1))
    assert await deliver(backend.create_context(), job) is None
    assert backend.jobs["e1"][1] == claimed_again.lease_expires_at
    assert list(backend.stored_notifications) == ["e1"]


async def test_deleted_user_receives_only_account_mail() -> None:
    backend = FakeBackend(PHONE)
    await enqueue_order_paid(backend)
    await enqueue.enqueue_mail(
        backend.enqueuer,
        backend.make_source_event("m1"),
        template_loader.load_mail_templates()["account_deleted"],
        "ada",
        "a@b.c",
        "de",
        {},
    )
    await contacts.delete_contact(backend, backend, "ada", 9)
    await backend.step()
    assert backend.clients[Provider.FCM].sent == []
    assert [to for to, _ in backend.mail_client.sent] == ["a@b.c"]


async def test_mail_history_does_not_contain_code() -> None:
    backend = FakeBackend()
    await enqueue.enqueue_mail(
        backend.enqueuer,
        backend.make_source_event(),
        template_loader.load_mail_templates()["verification"],
        "ada",
        "a@b.c",
        None,
        {"code": "s3cret"},
    )
    notification = await backend.run()
    assert notification.title == "Confirm your e-mail address"
    assert "s3cret" not in str(notification)
    assert "s3cret" in str(backend.mail_client.sent)


response_strategy = st.sampled_from(
    [ACCEPTED_RESPONSE, UNREGISTERED, replace(BUSY, retry_after=timedelta(seconds=20)), BUSY, UNCLEAR]
)


@given(
    fcm=st.lists(response_strategy, max_size=12),
    apns=st.lists(response_strategy, max_size=12),
    mail=st.lists(response_strategy, max_size=12),
)
@settings(deadline=None)
def test_delivery_terminates_and_sent_requires_accepted_attempt(
    fcm: list[ProviderResponse], apns: list[ProviderResponse], mail: list[ProviderResponse]
) -> None:
    async def run_delivery() -> None:
        backend = FakeBackend(PHONE, TABLET, IPHONE)
        for provider, responses in zip(Provider, (fcm, apns, mail), strict=True):
            backend.clients[provider].responses = list(responses)
        await enqueue_order_paid(backend)
        notification = await backend.run(RetryPolicy(fallback_after_s=30, max_rounds=6))
        accepted = [attempt.provider for attempt in notification.attempts if attempt.outcome == "accepted"]
        assert (notification.status is Status.SENT) == bool(accepted)
        assert len(set(accepted)) <= 1, "accepted by two providers"

    asyncio.run(run_delivery())


@pytest.mark.parametrize("event", template_loader.load_rules())
def test_every_template_renders_without_placeholders(event: str) -> None:
    values = VALUES | {"reason": "R", "subject": "s", "detail": "d"}
    for template in template_loader.load_rules()[event].templates.values():
        assert "{" not in render(template.title, values) + render(template.body, values)


time_zones = st.sampled_from(
    ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", None, "No/Where"]
)
times_of_day = st.times().map(lambda time: time.strftime("%H:%M"))


@given(
    start=times_of_day, end=times_of_day, zone=time_zones, now=st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1))
)
def test_quiet_hours_end_is_later_and_within_a_day(start: str, end: str, zone: str | None, now: datetime) -> None:
    utc_now = now.replace(tzinfo=UTC)
    quiet_hours_end = find_quiet_hours_end(QuietHours(start, end), zone, utc_now)
    if quiet_hours_end is not None:
        assert utc_now < quiet_hours_end <= utc_now + timedelta(hours=25)


@pytest.mark.parametrize(
    ("now", "zone", "end"),
    [
        ("2026-01-01T21:59Z", "UTC", None),
        ("2026-01-01T22:00Z", "UTC", "2026-01-02T07:00Z"),
        ("2026-01-02T06:59Z", "UTC", "2026-01-02T07:00Z"),
        ("2026-01-02T07:00Z", "UTC", None),
        ("2026-03-29T00:30Z", "Europe/Berlin", "2026-03-29T05:00Z"),
        ("2026-10-25T00:30Z", "Europe/Berlin", "2026-10-25T06:00Z"),
    ],
)
def test_quiet_hours_end_uses_user_time_zone(now: str, zone: str, end: str | None) -> None:
    expected = None if end is None else datetime.fromisoformat(end)
    assert find_quiet_hours_end(QuietHours("22:00", "07:00"), zone, datetime.fromisoformat(now)) == expected


def test_provider_is_detected_from_token() -> None:
    assert detect_provider("ab" * 32) is Provider.APNS
    assert detect_provider("demo-customer") is Provider.FCM
    assert detect_provider("a:b" * 40) is Provider.FCM
