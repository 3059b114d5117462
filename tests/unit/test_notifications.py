"""What an attempt means, in whose language, and that events may come in any order, repeated."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generated.proto.delivery.events.v1 import NotificationFailed, NotificationSent
from services.notifications import domain, texts, usecases
from services.notifications.domain import Agent, Attempt, Notification, Provider, Status, User, Verdict
from services.notifications.usecases import NotYet

AT = datetime(2026, 1, 1, tzinfo=UTC)
AGENT = Agent("orders", "Orders", 5, ["fcm"], 3600, True)
FACTS = {"partner_title": "Green Bowl"}


class Shelf:
    """Store and documents in one, by hand."""

    def __init__(self, *users: User, agent: Agent | None = AGENT) -> None:
        self.users = {user.user_id: user for user in users}
        self.only_agent = agent
        self.kept: dict[str, Notification] = {}
        self.told: dict[tuple[str, str], object] = {}

    async def put_user(self, user: User) -> None:
        known = self.users.get(user.user_id)
        if known is None or known.version < user.version:
            self.users[user.user_id] = user

    async def user(self, user_id: str) -> User | None:
        return self.users.get(user_id)

    async def agent(self, agent_id: str) -> Agent | None:
        return self.only_agent

    async def tell(self, queue: str, event_id: str, event: object) -> None:
        self.told.setdefault((queue, event_id), event)

    async def start(self, notification: Notification) -> Notification:
        return self.kept.setdefault(notification.id, notification)

    async def save(self, notification: Notification) -> None:
        self.kept[notification.id] = notification

    async def of_user(self, user_id: str, size: int, before: object) -> list[Notification]:
        return list(self.kept.values())


class Phone:
    """A provider that answers as it was told."""

    def __init__(self, *answers: tuple[Verdict, str]) -> None:
        self.answers = list(answers)
        self.shown: list[str] = []

    async def push(self, token: str, notification: Notification) -> tuple[Verdict, str]:
        self.shown.append(notification.id)
        return self.answers.pop(0) if self.answers else (Verdict.ACCEPTED, "accepted")


def ada(**changes: object) -> User:
    return User(
        **(
            {"user_id": "ada", "email": "a@b.c", "notif_token": "t", "locale": "de-AT", "time_zone": None, "version": 1}
            | changes
        )
    )


async def tell(shelf: Shelf, phone: Phone, event_id: str = "e1", at: datetime = AT, *, patient: bool = False) -> None:
    rule = texts.rules()["orders.paid"]
    await usecases.notify(
        shelf,
        shelf,
        {Provider.FCM: phone},
        lambda: at,
        "q",
        event_id,
        "orders.paid",
        rule,
        "ada",
        "o1",
        FACTS,
        patient=patient,
    )


def outcome(shelf: Shelf) -> Notification:
    return shelf.kept["e1"]


async def test_it_is_said_in_the_users_language_and_kept_as_sent() -> None:
    shelf, phone = Shelf(ada()), Phone()
    await tell(shelf, phone)
    assert outcome(shelf).status is Status.SENT
    assert "Green Bowl ist bezahlt" in outcome(shelf).body
    assert isinstance(shelf.told["q", "e1"], NotificationSent)


async def test_a_repeat_pushes_nothing_more() -> None:
    shelf, phone = Shelf(ada()), Phone()
    await tell(shelf, phone)
    await tell(shelf, phone)
    assert phone.shown == ["e1"]


async def test_a_definite_refusal_ends_it_and_an_unclear_answer_is_tried_again() -> None:
    shelf = Shelf(ada())
    with pytest.raises(NotYet):
        await tell(shelf, Phone((Verdict.UNCLEAR, "UNAVAILABLE")))
    assert outcome(shelf).status is Status.QUEUED
    await tell(shelf, Phone((Verdict.REFUSED, "UNREGISTERED")))
    assert outcome(shelf).status is Status.FAILED
    assert [attempt.outcome for attempt in outcome(shelf).attempts] == ["UNAVAILABLE", "UNREGISTERED"]
    assert isinstance(shelf.told["q", "e1"], NotificationFailed)


@pytest.mark.parametrize(
    ("shelf", "status"),
    [
        (Shelf(ada(notif_token=None)), Status.FAILED),
        (Shelf(ada(), agent=None), Status.FAILED),
        (Shelf(ada(), agent=Agent("orders", "Orders", 5, ["fcm"], 3600, False)), Status.FAILED),
        (Shelf(ada(), agent=Agent("orders", "Orders", 5, ["apns"], 3600, True)), Status.FAILED),
        (Shelf(), Status.FAILED),
    ],
)
async def test_nobody_to_ask_is_an_outcome_too(shelf: Shelf, status: Status) -> None:
    phone = Phone()
    await tell(shelf, phone)
    assert outcome(shelf).status is status
    assert phone.shown == []


async def test_what_came_too_late_is_not_pushed() -> None:
    shelf = Shelf(ada())
    with pytest.raises(NotYet):
        await tell(shelf, Phone((Verdict.UNCLEAR, "UNAVAILABLE")))
    phone = Phone()
    await tell(shelf, phone, at=AT + timedelta(hours=2))
    assert (outcome(shelf).status, phone.shown) == (Status.EXPIRED, [])


async def test_a_user_not_heard_of_yet_is_waited_for() -> None:
    with pytest.raises(NotYet):
        await tell(Shelf(), Phone(), patient=True)


@given(order=st.permutations([ada(version=v, notif_token=f"t{v}") for v in range(1, 5)] * 2))
def test_the_newest_profile_wins_whatever_the_order(order: list[User]) -> None:
    async def arrive() -> Shelf:
        shelf = Shelf()
        for user in order:
            await usecases.remember_user(shelf, user)
        return shelf

    assert asyncio.run(arrive()).users["ada"].notif_token == "t4"


@given(verdicts=st.lists(st.sampled_from(Verdict), min_size=1, max_size=6))
def test_sent_is_said_only_after_a_provider_accepted(verdicts: list[Verdict]) -> None:
    notification = Notification("n", "ada", "e", None, "orders", "t", "b", Status.QUEUED, (), AT)
    for index, verdict in enumerate(verdicts):
        attempt = Attempt(Provider.FCM, AT, verdict)
        notification = domain.after(notification, attempt, verdict, last=index == len(verdicts) - 1)
        if notification.status is not Status.QUEUED:
            break
    assert (notification.status is Status.SENT) == (notification.attempts[-1].outcome == Verdict.ACCEPTED)


@pytest.mark.parametrize("event", texts.rules())
def test_every_text_can_be_filled_in(event: str) -> None:
    for text in texts.rules()[event].texts.values():
        assert "{" not in text.title.format_map(FACTS) + text.body.format_map(FACTS)


async def test_values_are_escaped_in_html_only() -> None:
    class Post:
        async def send(self, mail: usecases.Mail) -> None:
            self.mail = mail

    post = Post()
    await usecases.send_mail(post, texts.mails()["verification"], "m", "a@b.c", None, {"code": "<b>&"})
    assert "<b>&" in post.mail.text
    assert "&lt;b&gt;&amp;" in post.mail.html
