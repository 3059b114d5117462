"""What an answer means for what comes next, in whose language, and that every notification ends."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generated.proto.delivery.events.v1 import NotificationFailed, NotificationSent
from services.notifications import texts
from services.notifications.domain.agents import Agent, QuietHours, quiet_until
from services.notifications.domain.notifications import (
    ACCEPTED,
    Answer,
    Device,
    Provider,
    Status,
    User,
    Verdict,
    provider_of,
)
from services.notifications.domain.progress import Patience
from services.notifications.usecases import intake, users
from services.notifications.usecases.ports import NotYet
from tests.unit.notifications_fakes import ADA, AGENT, AT, World

PHONE = Device(Provider.FCM, "phone")
TABLET = Device(Provider.FCM, "tablet")
IPHONE = Device(Provider.APNS, "ab" * 32)
UNREGISTERED = Answer(Verdict.REFUSED, "UNREGISTERED", gone=True)
BUSY = Answer(Verdict.BUSY, "UNAVAILABLE")
UNCLEAR = Answer(Verdict.UNCLEAR, "TIMEOUT")
VALUES = {"partner_title": "Green Bowl"}


async def paid(world: World, *, patient: bool = False, event_id: str = "e1") -> None:
    rule = texts.rules()["orders.paid"]
    happened = world.happened(event_id)
    await intake.tell(world.intake, happened, rule.texts, "orders", "ada", "o1", VALUES, patient=patient)


def tried(world: World) -> list[tuple[str, str]]:
    return [(attempt.provider, attempt.outcome) for attempt in world.kept["e1"].attempts]


async def test_it_is_said_in_the_users_language_and_kept_as_sent() -> None:
    world = World(PHONE)
    await paid(world)
    outcome = await world.run()
    assert outcome.status is Status.SENT
    assert "Green Bowl ist bezahlt" in outcome.body
    assert isinstance(world.told[0], NotificationSent)


async def test_a_repeated_event_is_one_notification() -> None:
    world = World(PHONE)
    await paid(world)
    await world.run()
    await paid(world)
    assert await world.step() is False
    assert len(world.carriers[Provider.FCM].sent) == 1
    assert world.kept["e1"].status is Status.SENT


async def test_every_device_of_the_first_provider_shows_it_and_no_other_provider_is_asked() -> None:
    world = World(PHONE, IPHONE, TABLET)
    await paid(world)
    await world.run()
    assert [token for token, _ in world.carriers[Provider.FCM].sent] == ["phone", "tablet"]
    assert world.carriers[Provider.APNS].sent == world.mailer.sent == []


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
    answers: list[Answer], expected: list[tuple[str, str]]
) -> None:
    world = World(PHONE, IPHONE)
    world.carriers[Provider.FCM].answers = list(answers)
    await paid(world)
    assert (await world.run()).status is Status.SENT
    assert tried(world) == expected


async def test_a_provider_that_stays_busy_is_passed_over_after_a_while_and_mail_comes_last() -> None:
    world = World(PHONE, IPHONE)
    for provider in (Provider.FCM, Provider.APNS):
        world.carriers[provider].answers = [BUSY] * 100
    await paid(world)
    assert (await world.run()).status is Status.SENT
    providers = [provider for provider, _ in tried(world)]
    assert providers == sorted(providers, key=["fcm", "apns", "email"].index)
    assert providers[-1] == "email"
    assert world.now - AT >= timedelta(seconds=20)
    [(to, _)] = world.mailer.sent
    assert to == ADA.email


async def test_an_unclear_provider_is_asked_until_patience_ends_and_nobody_else() -> None:
    world = World(PHONE, IPHONE)
    world.carriers[Provider.FCM].answers = [UNCLEAR] * 100
    await paid(world)
    assert (await world.run()).status is Status.FAILED
    assert {provider for provider, _ in tried(world)} == {"fcm"}
    assert world.carriers[Provider.APNS].sent == world.mailer.sent == []


async def test_a_provider_is_not_asked_again_before_it_says() -> None:
    world = World(PHONE)
    world.carriers[Provider.FCM].answers = [replace(BUSY, retry_after=9.0)]
    await paid(world)
    await world.run()
    first, second = (attempt.at for attempt in world.kept["e1"].attempts)
    assert second - first >= timedelta(seconds=9)


async def test_a_shut_gate_is_waited_for_without_an_attempt() -> None:
    world = World(PHONE)
    world.only_gate.shut = 3
    await paid(world)
    assert await world.step() is True
    assert world.carriers[Provider.FCM].sent == []
    world.only_gate.shut = 0
    assert (await world.run()).status is Status.SENT
    assert len(tried(world)) == 1


async def test_an_unregistered_device_is_forgotten_and_the_others_are_not() -> None:
    world = World(PHONE, TABLET)
    world.carriers[Provider.FCM].answers = [UNREGISTERED, ACCEPTED]
    await paid(world)
    assert (await world.run()).status is Status.SENT
    assert world.of_ada == [TABLET]


async def test_what_one_device_has_shown_is_not_sent_there_again() -> None:
    world = World(PHONE, TABLET)
    world.carriers[Provider.FCM].answers = [ACCEPTED, UNCLEAR]
    await paid(world)
    assert (await world.run()).status is Status.SENT
    assert [token for token, _ in world.carriers[Provider.FCM].sent] == ["phone", "tablet", "tablet"]


@pytest.mark.parametrize(
    ("world", "status", "reason"),
    [
        (World(PHONE, agent=None), Status.FAILED, "AGENT_UNKNOWN"),
        (World(PHONE, agent=replace(AGENT, enabled=False)), Status.FAILED, "AGENT_DISABLED"),
        (World(PHONE, agent=replace(AGENT, providers=(Provider.APNS,))), Status.FAILED, "NO_DEVICE"),
        (World(agent=replace(AGENT, providers=(Provider.FCM, Provider.APNS))), Status.FAILED, "NO_DEVICE"),
        (World(PHONE, user=None), Status.FAILED, "USER_UNKNOWN"),
        (World(PHONE, user=User("ada", "", None, None, 9)), Status.FAILED, "USER_GONE"),
    ],
)
async def test_nobody_to_ask_is_an_outcome_too(world: World, status: Status, reason: str) -> None:
    await paid(world)
    outcome = await world.run()
    assert (outcome.status, outcome.reason, outcome.attempts) == (status, reason, ())
    assert isinstance(world.told[0], NotificationFailed)


async def test_what_came_too_late_is_not_sent() -> None:
    world = World(PHONE)
    world.carriers[Provider.FCM].answers = [UNCLEAR]
    await paid(world)
    await world.step()
    world.now = AT + timedelta(hours=2)
    outcome = await world.run()
    assert (outcome.status, outcome.reason) == (Status.EXPIRED, "EXPIRED")
    assert len(world.carriers[Provider.FCM].sent) == 1


async def test_a_text_that_cannot_be_said_is_recorded() -> None:
    world = World(PHONE)
    await intake.tell(world.intake, world.happened(), None, "orders", "ada", None, {}, patient=False)
    assert (await world.run()).reason == "TEMPLATE_UNKNOWN"
    other = World(PHONE)
    announcement = texts.templates()["announcement"]
    await intake.tell(
        other.intake, other.happened(), announcement, "orders", "ada", None, {"title": "x"}, patient=False
    )
    assert (await other.run()).reason == "VALUE_MISSING"


async def test_a_user_not_heard_of_yet_is_waited_for() -> None:
    with pytest.raises(NotYet):
        await paid(World(user=None), patient=True)


async def test_people_are_left_alone_in_their_night_but_for_mails_of_the_account() -> None:
    quiet = replace(AGENT, quiet_hours=QuietHours("22:00", "07:00"))
    world = World(PHONE, user=replace(ADA, time_zone="Asia/Tokyo"), agent=replace(quiet, ttl_s=86400))
    world.now = datetime(2026, 1, 1, 14, tzinfo=UTC)  # 23:00 there
    await paid(world)
    await intake.mail(
        world.intake, world.happened("m1"), texts.mails()["verification"], "ada", "a@b.c", None, {"code": "1"}
    )
    await world.step()
    assert [to for to, _ in world.mailer.sent] == ["a@b.c"]
    assert (await world.run()).sent_at == datetime(2026, 1, 1, 22, tzinfo=UTC)


async def test_what_a_night_outlasts_expires() -> None:
    world = World(PHONE, agent=replace(AGENT, quiet_hours=QuietHours("11:00", "23:00")))
    await paid(world)
    assert (await world.run()).status is Status.EXPIRED
    assert world.now == AT + timedelta(hours=1)


async def test_an_outcome_is_not_lost_while_the_history_is_away_and_nothing_is_sent_twice() -> None:
    world = World(PHONE)
    await paid(world)
    world.history_away = True
    assert await world.step() is True
    assert world.told == []
    world.history_away = False
    assert (await world.run()).status is Status.SENT
    assert len(world.carriers[Provider.FCM].sent) == 1


async def test_who_is_deleted_is_told_nothing_more_but_that_it_is_so() -> None:
    world = World(PHONE)
    await paid(world)
    await intake.mail(world.intake, world.happened("m1"), texts.mails()["account_deleted"], "ada", "a@b.c", "de", {})
    await users.forget(world, world, world, "ada", 9)
    await world.step()
    assert world.carriers[Provider.FCM].sent == []
    assert [to for to, _ in world.mailer.sent] == ["a@b.c"]


async def test_the_history_of_a_mail_holds_no_code() -> None:
    world = World()
    await intake.mail(
        world.intake, world.happened(), texts.mails()["verification"], "ada", "a@b.c", None, {"code": "s3cret"}
    )
    outcome = await world.run()
    assert outcome.title == "Confirm your e-mail address"
    assert "s3cret" not in str(outcome)
    assert "s3cret" in str(world.mailer.sent)


answers = st.sampled_from([ACCEPTED, UNREGISTERED, replace(BUSY, retry_after=20.0), BUSY, UNCLEAR])


@given(fcm=st.lists(answers, max_size=12), apns=st.lists(answers, max_size=12), mail=st.lists(answers, max_size=12))
@settings(deadline=None)
def test_every_notification_ends_and_sent_is_only_said_after_a_yes(
    fcm: list[Answer], apns: list[Answer], mail: list[Answer]
) -> None:
    async def ends() -> None:
        world = World(PHONE, TABLET, IPHONE)
        for provider, told in zip(Provider, (fcm, apns, mail), strict=True):
            world.carriers[provider].answers = list(told)
        await paid(world)
        outcome = await world.run(Patience(fallback_s=30, rounds=6))
        accepted = [attempt.provider for attempt in outcome.attempts if attempt.outcome == "accepted"]
        assert (outcome.status is Status.SENT) == bool(accepted)
        assert len(set(accepted)) <= 1, "two providers showed it"

    asyncio.run(ends())


@pytest.mark.parametrize("event", texts.rules())
def test_every_text_can_be_filled_in(event: str) -> None:
    values = VALUES | {"reason": "R", "subject": "s", "detail": "d"}
    for text in texts.rules()[event].texts.values():
        assert "{" not in intake.filled(text.title, values) + intake.filled(text.body, values)


zones = st.sampled_from(
    ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", None, "No/Where"]
)
clocks = st.times().map(lambda time: time.strftime("%H:%M"))


@given(start=clocks, end=clocks, zone=zones, now=st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)))
def test_quiet_hours_end_within_a_day_and_always_later(start: str, end: str, zone: str | None, now: datetime) -> None:
    at = now.replace(tzinfo=UTC)
    until = quiet_until(QuietHours(start, end), zone, at)
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
    assert quiet_until(QuietHours("22:00", "07:00"), zone, datetime.fromisoformat(now)) == expected


def test_a_token_says_whose_it_is() -> None:
    assert provider_of("ab" * 32) is Provider.APNS
    assert provider_of("demo-customer") is Provider.FCM
    assert provider_of("a:b" * 40) is Provider.FCM


def test_agents_are_named_by_their_version() -> None:
    assert Agent("a", "A", 1, (Provider.FCM,), 1, enabled=True, version=3).etag == '"3"'
