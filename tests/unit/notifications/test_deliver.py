"""What an answer means for what comes next, in whose language, and that every notification ends."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generated.proto.delivery.events.v1 import NotificationFailed, NotificationSent
from services.notifications.adapters import template_loader
from services.notifications.domain.agents import Agent, QuietHours, find_quiet_hours_end
from services.notifications.domain.delivery_state import RetryPolicy
from services.notifications.domain.notifications import (
    ACCEPTED_RESPONSE,
    Device,
    Outcome,
    Provider,
    ProviderResponse,
    Status,
    User,
    detect_provider,
)
from services.notifications.usecases import contacts, enqueue
from services.notifications.usecases.ports import UnknownUserError
from tests.unit.notifications.fakes import ADA, AGENT, START_TIME, FakeBackend

PHONE = Device(Provider.FCM, "phone")
TABLET = Device(Provider.FCM, "tablet")
IPHONE = Device(Provider.APNS, "ab" * 32)
UNREGISTERED = ProviderResponse(Outcome.REJECTED, "UNREGISTERED", is_unregistered=True)
BUSY = ProviderResponse(Outcome.BUSY, "UNAVAILABLE")
UNCLEAR = ProviderResponse(Outcome.UNCLEAR, "TIMEOUT")
VALUES = {"partner_title": "Green Bowl"}


async def paid(world: FakeBackend, *, patient: bool = False, event_id: str = "e1") -> None:
    rule = template_loader.load_rules()["orders.paid"]
    happened = world.make_source_event(event_id)
    await enqueue.enqueue_notification(
        world.enqueuer, happened, rule.templates, "orders", "ada", "o1", VALUES, retry_unknown_user=patient
    )


def tried(world: FakeBackend) -> list[tuple[str, str]]:
    return [(attempt.provider, attempt.outcome) for attempt in world.stored_notifications["e1"].attempts]


async def test_it_is_said_in_the_users_language_and_kept_as_sent() -> None:
    world = FakeBackend(PHONE)
    await paid(world)
    outcome = await world.run()
    assert outcome.status is Status.SENT
    assert "Green Bowl ist bezahlt" in outcome.body
    assert isinstance(world.published_events[0], NotificationSent)


async def test_a_repeated_event_is_one_notification() -> None:
    world = FakeBackend(PHONE)
    await paid(world)
    await world.run()
    await paid(world)
    assert await world.step() is False
    assert len(world.clients[Provider.FCM].sent) == 1
    assert world.stored_notifications["e1"].status is Status.SENT


async def test_every_device_of_the_first_provider_shows_it_and_no_other_provider_is_asked() -> None:
    world = FakeBackend(PHONE, IPHONE, TABLET)
    await paid(world)
    await world.run()
    assert [token for token, _ in world.clients[Provider.FCM].sent] == ["phone", "tablet"]
    assert world.clients[Provider.APNS].sent == world.mail_client.sent == []


@pytest.mark.parametrize(
    ("answers", "expected"),
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
async def test_only_a_definite_no_brings_the_next_provider(
    answers: list[ProviderResponse], expected: list[tuple[str, str]]
) -> None:
    world = FakeBackend(PHONE, IPHONE)
    world.clients[Provider.FCM].responses = list(answers)
    await paid(world)
    assert (await world.run()).status is Status.SENT
    assert tried(world) == expected


async def test_a_provider_that_stays_busy_is_passed_over_after_a_while_and_mail_comes_last() -> None:
    world = FakeBackend(PHONE, IPHONE)
    for provider in (Provider.FCM, Provider.APNS):
        world.clients[provider].responses = [BUSY] * 100
    await paid(world)
    assert (await world.run()).status is Status.SENT
    providers = [provider for provider, _ in tried(world)]
    assert providers == sorted(providers, key=["fcm", "apns", "email"].index)
    assert providers[-1] == "email"
    assert world.now - START_TIME >= timedelta(seconds=20)
    [(to, _)] = world.mail_client.sent
    assert to == ADA.email


async def test_an_unclear_provider_is_asked_until_patience_ends_and_nobody_else() -> None:
    world = FakeBackend(PHONE, IPHONE)
    world.clients[Provider.FCM].responses = [UNCLEAR] * 100
    await paid(world)
    assert (await world.run()).status is Status.FAILED
    assert {provider for provider, _ in tried(world)} == {"fcm"}
    assert world.clients[Provider.APNS].sent == world.mail_client.sent == []


async def test_a_provider_is_not_asked_again_before_it_says() -> None:
    world = FakeBackend(PHONE)
    world.clients[Provider.FCM].responses = [replace(BUSY, retry_after=9.0)]
    await paid(world)
    await world.run()
    first, second = (attempt.at for attempt in world.stored_notifications["e1"].attempts)
    assert second - first >= timedelta(seconds=9)


async def test_a_shut_gate_is_waited_for_without_an_attempt() -> None:
    world = FakeBackend(PHONE)
    world.only_breaker.open_for_s = 3
    await paid(world)
    assert await world.step() is True
    assert world.clients[Provider.FCM].sent == []
    world.only_breaker.open_for_s = 0
    assert (await world.run()).status is Status.SENT
    assert len(tried(world)) == 1


async def test_an_unregistered_device_is_forgotten_and_the_others_are_not() -> None:
    world = FakeBackend(PHONE, TABLET)
    world.clients[Provider.FCM].responses = [UNREGISTERED, ACCEPTED_RESPONSE]
    await paid(world)
    assert (await world.run()).status is Status.SENT
    assert world.user_devices == [TABLET]


async def test_what_one_device_has_shown_is_not_sent_there_again() -> None:
    world = FakeBackend(PHONE, TABLET)
    world.clients[Provider.FCM].responses = [ACCEPTED_RESPONSE, UNCLEAR]
    await paid(world)
    assert (await world.run()).status is Status.SENT
    assert [token for token, _ in world.clients[Provider.FCM].sent] == ["phone", "tablet", "tablet"]


@pytest.mark.parametrize(
    ("world", "status", "reason"),
    [
        (FakeBackend(PHONE, agent=None), Status.FAILED, "AGENT_UNKNOWN"),
        (FakeBackend(PHONE, agent=replace(AGENT, enabled=False)), Status.FAILED, "AGENT_DISABLED"),
        (FakeBackend(PHONE, agent=replace(AGENT, providers=(Provider.APNS,))), Status.FAILED, "NO_DEVICE"),
        (FakeBackend(agent=replace(AGENT, providers=(Provider.FCM, Provider.APNS))), Status.FAILED, "NO_DEVICE"),
        (FakeBackend(PHONE, user=None), Status.FAILED, "USER_UNKNOWN"),
        (FakeBackend(PHONE, user=User("ada", "", None, None, 9)), Status.FAILED, "USER_GONE"),
    ],
)
async def test_nobody_to_ask_is_an_outcome_too(world: FakeBackend, status: Status, reason: str) -> None:
    await paid(world)
    outcome = await world.run()
    assert (outcome.status, outcome.reason, outcome.attempts) == (status, reason, ())
    assert isinstance(world.published_events[0], NotificationFailed)


async def test_what_came_too_late_is_not_sent() -> None:
    world = FakeBackend(PHONE)
    world.clients[Provider.FCM].responses = [UNCLEAR]
    await paid(world)
    await world.step()
    world.now = START_TIME + timedelta(hours=2)
    outcome = await world.run()
    assert (outcome.status, outcome.reason) == (Status.EXPIRED, "EXPIRED")
    assert len(world.clients[Provider.FCM].sent) == 1


async def test_a_text_that_cannot_be_said_is_recorded() -> None:
    world = FakeBackend(PHONE)
    await enqueue.enqueue_notification(
        world.enqueuer, world.make_source_event(), None, "orders", "ada", None, {}, retry_unknown_user=False
    )
    assert (await world.run()).reason == "TEMPLATE_UNKNOWN"
    other = FakeBackend(PHONE)
    announcement = template_loader.load_request_templates()["announcement"]
    await enqueue.enqueue_notification(
        other.enqueuer,
        other.make_source_event(),
        announcement,
        "orders",
        "ada",
        None,
        {"title": "x"},
        retry_unknown_user=False,
    )
    assert (await other.run()).reason == "VALUE_MISSING"


async def test_a_user_not_heard_of_yet_is_waited_for() -> None:
    with pytest.raises(UnknownUserError):
        await paid(FakeBackend(user=None), patient=True)


async def test_people_are_left_alone_in_their_night_but_for_mails_of_the_account() -> None:
    quiet = replace(AGENT, quiet_hours=QuietHours("22:00", "07:00"))
    world = FakeBackend(PHONE, user=replace(ADA, time_zone="Asia/Tokyo"), agent=replace(quiet, ttl_s=86400))
    world.now = datetime(2026, 1, 1, 14, tzinfo=UTC)  # 23:00 there
    await paid(world)
    await enqueue.enqueue_mail(
        world.enqueuer,
        world.make_source_event("m1"),
        template_loader.load_mail_templates()["verification"],
        "ada",
        "a@b.c",
        None,
        {"code": "1"},
    )
    await world.step()
    assert [to for to, _ in world.mail_client.sent] == ["a@b.c"]
    assert (await world.run()).sent_at == datetime(2026, 1, 1, 22, tzinfo=UTC)


async def test_what_a_night_outlasts_expires() -> None:
    world = FakeBackend(PHONE, agent=replace(AGENT, quiet_hours=QuietHours("11:00", "23:00")))
    await paid(world)
    assert (await world.run()).status is Status.EXPIRED
    assert world.now == START_TIME + timedelta(hours=1)


async def test_an_outcome_is_not_lost_while_the_history_is_away_and_nothing_is_sent_twice() -> None:
    world = FakeBackend(PHONE)
    await paid(world)
    world.history_unavailable = True
    assert await world.step() is True
    assert world.published_events == []
    world.history_unavailable = False
    assert (await world.run()).status is Status.SENT
    assert len(world.clients[Provider.FCM].sent) == 1


async def test_who_is_deleted_is_told_nothing_more_but_that_it_is_so() -> None:
    world = FakeBackend(PHONE)
    await paid(world)
    await enqueue.enqueue_mail(
        world.enqueuer,
        world.make_source_event("m1"),
        template_loader.load_mail_templates()["account_deleted"],
        "ada",
        "a@b.c",
        "de",
        {},
    )
    await contacts.delete_contact(world, world, world, "ada", 9)
    await world.step()
    assert world.clients[Provider.FCM].sent == []
    assert [to for to, _ in world.mail_client.sent] == ["a@b.c"]


async def test_the_history_of_a_mail_holds_no_code() -> None:
    world = FakeBackend()
    await enqueue.enqueue_mail(
        world.enqueuer,
        world.make_source_event(),
        template_loader.load_mail_templates()["verification"],
        "ada",
        "a@b.c",
        None,
        {"code": "s3cret"},
    )
    outcome = await world.run()
    assert outcome.title == "Confirm your e-mail address"
    assert "s3cret" not in str(outcome)
    assert "s3cret" in str(world.mail_client.sent)


answers = st.sampled_from([ACCEPTED_RESPONSE, UNREGISTERED, replace(BUSY, retry_after=20.0), BUSY, UNCLEAR])


@given(fcm=st.lists(answers, max_size=12), apns=st.lists(answers, max_size=12), mail=st.lists(answers, max_size=12))
@settings(deadline=None)
def test_every_notification_ends_and_sent_is_only_said_after_a_yes(
    fcm: list[ProviderResponse], apns: list[ProviderResponse], mail: list[ProviderResponse]
) -> None:
    async def ends() -> None:
        world = FakeBackend(PHONE, TABLET, IPHONE)
        for provider, told in zip(Provider, (fcm, apns, mail), strict=True):
            world.clients[provider].responses = list(told)
        await paid(world)
        outcome = await world.run(RetryPolicy(fallback_after_s=30, max_rounds=6))
        accepted = [attempt.provider for attempt in outcome.attempts if attempt.outcome == "accepted"]
        assert (outcome.status is Status.SENT) == bool(accepted)
        assert len(set(accepted)) <= 1, "two providers showed it"

    asyncio.run(ends())


@pytest.mark.parametrize("event", template_loader.load_rules())
def test_every_text_can_be_filled_in(event: str) -> None:
    values = VALUES | {"reason": "R", "subject": "s", "detail": "d"}
    for text in template_loader.load_rules()[event].templates.values():
        assert "{" not in enqueue.render(text.title, values) + enqueue.render(text.body, values)


zones = st.sampled_from(
    ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", None, "No/Where"]
)
clocks = st.times().map(lambda time: time.strftime("%H:%M"))


@given(start=clocks, end=clocks, zone=zones, now=st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)))
def test_quiet_hours_end_within_a_day_and_always_later(start: str, end: str, zone: str | None, now: datetime) -> None:
    at = now.replace(tzinfo=UTC)
    until = find_quiet_hours_end(QuietHours(start, end), zone, at)
    if until is not None:
        assert at < until <= at + timedelta(hours=25)


@pytest.mark.parametrize(
    ("now", "zone", "until"),
    [
        ("2026-01-01T21:59Z", "UTC", None),
        ("2026-01-01T22:00Z", "UTC", "2026-01-02T07:00Z"),
        ("2026-01-02T06:59Z", "UTC", "2026-01-02T07:00Z"),
        ("2026-01-02T07:00Z", "UTC", None),
        ("2026-03-29T00:30Z", "Europe/Berlin", "2026-03-29T05:00Z"),
        ("2026-10-25T00:30Z", "Europe/Berlin", "2026-10-25T06:00Z"),
    ],
)
def test_quiet_hours_follow_the_users_clock(now: str, zone: str, until: str | None) -> None:
    expected = None if until is None else datetime.fromisoformat(until)
    assert find_quiet_hours_end(QuietHours("22:00", "07:00"), zone, datetime.fromisoformat(now)) == expected


def test_a_token_says_whose_it_is() -> None:
    assert detect_provider("ab" * 32) is Provider.APNS
    assert detect_provider("demo-customer") is Provider.FCM
    assert detect_provider("a:b" * 40) is Provider.FCM


def test_agents_are_named_by_their_version() -> None:
    assert Agent("a", "A", 1, (Provider.FCM,), 1, enabled=True, version=3).etag == '"3"'
