"""Dead letters on a real broker: why messages die, and what operators do with them."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pika
import pytest

from generated.events import ORDER_READY_REPORTED, USER_DELETED
from generated.events.consumers import OrdersUsersConsumer
from generated.problems import Reason
from generated.proto.delivery.events.v1 import OrderReadyReported, UserDeleted
from services.orders.domain.orders import OrderStatus
from services.orders.entrypoints.consumers import ReadinessConsumer
from services.runtime.core.clock import now
from services.runtime.core.errors import ApiError
from services.runtime.core.ids import new_id
from services.runtime.messaging import dead_letters_cli
from services.runtime.messaging.connection import Broker
from services.runtime.messaging.consumer import consume
from services.runtime.messaging.dead_letters import DeadLetter, connect
from services.runtime.messaging.events import Envelope, MessageMetadata
from tests.integration.fixtures.orders import Orders
from tests.integration.fixtures.servers import Servers
from tests.integration.test_events import beside, until

QUEUE = "orders.users"


@pytest.fixture
async def url(servers: Servers, orders: Orders, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """The broker, its queues there and empty."""
    where = servers.settings("orders")["BROKER_URL"]
    monkeypatch.setenv("BROKER_URL", where)
    async with orders.broker.open_channel():
        await asyncio.to_thread(_empty, where)
    yield where
    await asyncio.to_thread(_empty, where)


def _empty(where: str) -> None:
    with pika.BlockingConnection(pika.URLParameters(where)) as connection:
        for queue in (QUEUE, "orders.readiness"):
            connection.channel().queue_purge(queue)
            connection.channel().queue_purge(f"{queue}.dead")


def gone(user_id: str) -> Envelope:
    payload = USER_DELETED.encode(UserDeleted(user_id=user_id))
    return Envelope(new_id(), "/test", USER_DELETED.type, user_id, now(), {}, payload)


class Users(OrdersUsersConsumer):
    """Does what it is told with each user who goes."""

    def __init__(self, work: Callable[[str], Awaitable[None]]) -> None:
        self.work = work
        self.done: list[str] = []

    async def user_deleted(self, event: UserDeleted, delivery: MessageMetadata) -> None:
        await self.work(event.user_id)
        self.done.append(event.user_id)


async def fail(user_id: str) -> None:
    raise ValueError(f"{user_id} does not go")


async def succeed(_user_id: str) -> None: ...


async def letters(where: str, queue: str = QUEUE) -> list[DeadLetter]:
    def look() -> list[DeadLetter]:
        with connect(where) as found:
            return found.list_all(queue)

    return await asyncio.to_thread(look)


async def bury(broker: Broker, where: str, *envelopes: Envelope) -> list[DeadLetter]:
    """Lets messages fail as often as they may."""
    async with broker.open_channel() as channel, beside(consume(broker, Users(fail))):
        await channel.publish(envelopes)

        async def buried() -> bool:
            return len(await letters(where)) == len(envelopes)

        await until(buried)
    return await letters(where)


async def command(*arguments: str) -> int:
    return await asyncio.to_thread(dead_letters_cli.main, ["dead-letters", *arguments])


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.runtime.messaging.consumer.RETRY_DELAYS_S", (1,))


async def test_what_fails_too_often_is_dead_with_its_reason_and_looking_at_it_changes_nothing(
    orders: Orders, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    envelope = gone("ada")
    (letter,) = await bury(orders.broker, url, envelope)
    assert (letter.id, letter.type, letter.subject) == (envelope.id, "users.deleted", "ada")
    assert (letter.reason, letter.attempts) == ("ValueError after 2 attempts: ada does not go", 2)
    for _ in range(25):  # more often than a quorum queue delivers by default
        assert await letters(url) == [letter]

    assert await command("list", QUEUE, "--json") == 0
    assert [each["id"] for each in json.loads(capsys.readouterr().out)] == [envelope.id]
    assert await command("list", f"{QUEUE}.dead") == 0
    shown = capsys.readouterr().out
    assert re.search(rf"{QUEUE} +{envelope.id} +users.deleted +ada .* ada does not go\n", shown)
    assert await command("show", QUEUE, envelope.id, "--payload", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["payload"] == {"userId": "ada"}
    assert told["headers"]["cloudEvents:source"] == "/test"
    assert await command("show", QUEUE, envelope.id) == 0
    shown = capsys.readouterr().out
    assert "cloudEvents:source" in shown
    assert "userId" not in shown
    assert await letters(url) == [letter]


async def test_a_dropped_letter_is_gone_and_the_others_stay_in_order(
    orders: Orders, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    envelopes = [gone(name) for name in ("ada", "bob", "cyd")]
    await bury(orders.broker, url, *envelopes)
    assert await command("drop", QUEUE, envelopes[1].id) == 0
    assert capsys.readouterr().out == f"1 dropped from {QUEUE}.dead\n"
    assert {letter.subject for letter in await letters(url)} == {"ada", "cyd"}
    assert await command("drop", QUEUE, envelopes[1].id) == 1
    assert f"{QUEUE}.dead holds no {envelopes[1].id}" in capsys.readouterr().err
    assert await command("drop", QUEUE, "--all") == 0
    assert await command("list", QUEUE) == 0
    assert capsys.readouterr().out.endswith("no dead letters\n")


async def test_a_letter_replayed_twice_has_one_effect(orders: Orders, url: str) -> None:
    order_id = await orders.place_order()
    await orders.pay(order_id)
    payload = ORDER_READY_REPORTED.encode(
        OrderReadyReported(order_id=order_id, partner_id=1, pickup_address="1 Market Square")
    )
    said = Envelope(new_id(), "/test", ORDER_READY_REPORTED.type, order_id, now(), {}, payload)

    class Failing(ReadinessConsumer):
        async def order_ready_reported(self, event: OrderReadyReported, delivery: MessageMetadata) -> None:
            await super().order_ready_reported(event, delivery)
            raise ValueError("done, but not known to be")

    async def buried() -> bool:
        return len(await letters(url, "orders.readiness")) == 1

    async def drained() -> bool:
        return await waiting(url, "orders.readiness") == 0

    async with orders.broker.open_channel() as channel:
        async with beside(consume(orders.broker, Failing(orders.repository, now))):
            await channel.publish([said])
            await until(buried)
        for _ in range(2):
            assert await command("replay", "orders.readiness", said.id) == 0
            await channel.publish([said])
            async with beside(consume(orders.broker, ReadinessConsumer(orders.repository, now))):
                await until(drained)
            async with beside(consume(orders.broker, Failing(orders.repository, now))):
                await channel.publish([said])
                await until(buried)
    order = await orders.get_order(order_id)
    assert (order.status, order.version) == (OrderStatus.READY, 3)


async def waiting(where: str, queue: str) -> int:
    def look() -> int:
        with pika.BlockingConnection(pika.URLParameters(where)) as connection:
            return int(connection.channel().queue_declare(queue, passive=True).method.message_count)

    return await asyncio.to_thread(look)


async def test_a_replayed_letter_starts_over(orders: Orders, url: str, capsys: pytest.CaptureFixture[str]) -> None:
    await bury(orders.broker, url, gone("ada"), gone("bob"))
    consumer = Users(succeed)
    async with beside(consume(orders.broker, consumer)):
        assert await command("replay", QUEUE, "--all") == 0
        assert capsys.readouterr().out == f"2 sent to {QUEUE} again\n"

        async def both() -> bool:
            return sorted(consumer.done) == ["ada", "bob"]

        await until(both)
    assert await letters(url) == []


def _give_back(where: str, times: int) -> None:
    with pika.BlockingConnection(pika.URLParameters(where)) as connection:
        channel = connection.channel()
        for _ in range(times):
            got = None
            while got is None:
                got, _, _ = channel.basic_get(QUEUE)
            channel.basic_nack(got.delivery_tag)


async def test_what_kills_every_consumer_is_dead_too_and_survives_being_replayed(orders: Orders, url: str) -> None:
    async with orders.broker.open_channel() as channel:
        await channel.publish([gone("ada")])
    await asyncio.to_thread(_give_back, url, 21)

    async def given_up() -> bool:
        return [letter.reason for letter in await letters(url)] == ["the broker gave it up: delivery_limit"]

    await until(given_up)
    assert await command("replay", QUEUE, "--all") == 0
    failures = [1]

    async def once(_user_id: str) -> None:
        if failures:
            raise ValueError(failures.pop())

    consumer = Users(once)
    async with beside(consume(orders.broker, consumer)):

        async def done() -> bool:
            return consumer.done == ["ada"]

        await until(done)


async def test_dead_letters_of_an_earlier_release_stay_where_they_are(orders: Orders, url: str) -> None:
    def made_before() -> None:
        with pika.BlockingConnection(pika.URLParameters(url)) as connection:
            channel = connection.channel()
            channel.queue_delete(f"{QUEUE}.dead")
            channel.queue_declare(f"{QUEUE}.dead", durable=True, arguments={"x-queue-type": "quorum"})

    await asyncio.to_thread(made_before)
    assert len(await bury(orders.broker, url, gone("ada"))) == 1


async def test_a_store_that_is_away_makes_no_dead_letters(orders: Orders, url: str) -> None:
    outages = [1, 2, 3]

    async def away(_user_id: str) -> None:
        if outages:
            outages.pop()
            raise ApiError(Reason.UPSTREAM_UNAVAILABLE)

    consumer = Users(away)
    async with orders.broker.open_channel() as channel, beside(consume(orders.broker, consumer)):
        await channel.publish([gone("ada")])

        async def done() -> bool:
            return consumer.done == ["ada"]

        await until(done)
    assert await letters(url) == []


async def test_many_poisoned_messages_delay_nobody(orders: Orders, url: str) -> None:
    async def picky(user_id: str) -> None:
        if user_id == "poison":
            raise ValueError("poison")
        if user_id == "hangs":
            await asyncio.Event().wait()

    consumer = Users(picky)
    bad = [gone("poison") for _ in range(4 * Users.PREFETCH)] + [gone("hangs") for _ in range(Users.PREFETCH - 1)]
    async with orders.broker.open_channel() as channel:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("services.runtime.messaging.consumer.HANDLER_TIMEOUT_S", 5)
            async with beside(consume(orders.broker, consumer)):
                await channel.publish([*bad, gone("ada")])

                async def done() -> bool:
                    return consumer.done == ["ada"]

                await until(done, 4)

                async def buried() -> bool:
                    return len(await letters(url)) == len(bad)

                await until(buried, 30)
    assert {letter.reason for letter in await letters(url)} >= {"TimeoutError after 2 attempts: "}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("list", "orders.histories"), "there is no queue orders.histories; the queues are "),
        (("show", QUEUE, "nothing"), f"{QUEUE}.dead holds no nothing"),
        (("replay", QUEUE, "nothing"), f"{QUEUE}.dead holds no nothing"),
    ],
)
async def test_what_is_not_there_is_said(
    url: str, arguments: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await command(*arguments) == 1
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda url: re.sub(r":\d+/", ":1/", url), "no broker answers at 127.0.0.1:1"),
        (lambda url: re.sub(r"//orders:[^@]+@", "//orders:hunter2@", url), "does not know this user and password"),
        (lambda url: re.sub(r"/delivery$", "/elsewhere", url), "does not let this user in at /elsewhere"),
    ],
)
async def test_a_broker_that_cannot_be_had_is_said_without_its_password(
    url: str,
    change: Callable[[str], str],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("BROKER_URL", change(url))
    assert await command("list") == 1
    said = capsys.readouterr().err
    assert words in said
    assert "hunter2" not in said


def test_all_or_one_but_not_both(capsys: pytest.CaptureFixture[str]) -> None:
    for wrong in (["replay", QUEUE], ["drop", QUEUE, "x", "--all"]):
        with pytest.raises(SystemExit) as ended:
            dead_letters_cli.main(["dead-letters", *wrong])
        assert ended.value.code == 2
    assert "name one dead letter, or say --all" in capsys.readouterr().err


def test_a_terminal_is_shown_nothing_that_moves_its_cursor() -> None:
    text: Any = dead_letters_cli.replace_control_characters("a\x1b[2Jb\nc")
    assert text == "a [2Jb c"
