"""Dead letters on a real broker: their causes, and the command line for operators."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable

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
from services.runtime.core.ids import generate_id
from services.runtime.messaging import dead_letters_cli
from services.runtime.messaging.consumer import consume
from services.runtime.messaging.dead_letters import DeadLetter, connect
from services.runtime.messaging.events import Envelope, MessageMetadata
from tests.integration.fixtures.background_tasks import run_in_background
from tests.integration.fixtures.orders import Orders
from tests.integration.fixtures.servers import Servers
from tests.wait import wait_until_async

QUEUE = "orders.users"


@pytest.fixture
async def url(servers: Servers, orders: Orders, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """Operator's URL of the broker, with its queues declared and empty."""
    url = servers.operator_broker_url
    monkeypatch.setenv("BROKER_URL", url)
    async with orders.broker.open_channel():
        await asyncio.to_thread(_purge_queues, servers.admin_broker_url)
    yield url
    await asyncio.to_thread(_purge_queues, servers.admin_broker_url)


def _purge_queues(url: str) -> None:
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        for queue in (QUEUE, "orders.readiness"):
            connection.channel().queue_purge(queue)
            connection.channel().queue_purge(f"{queue}.dead")


def build_user_deleted(user_id: str) -> Envelope:
    payload = USER_DELETED.encode(UserDeleted(user_id=user_id))
    return Envelope(generate_id(), "/gateway", USER_DELETED.type, user_id, now(), {}, payload)


class FakeUsersConsumer(OrdersUsersConsumer):
    """Calls a function for each deleted user, and records those without an error."""

    def __init__(self, handler: Callable[[str], Awaitable[None]]) -> None:
        self.handler = handler
        self.handled: list[str] = []

    async def on_user_deleted(self, event: UserDeleted, delivery: MessageMetadata) -> None:
        await self.handler(event.user_id)
        self.handled.append(event.user_id)


async def fail(user_id: str) -> None:
    raise ValueError(f"{user_id} cannot be deleted")


async def succeed(_user_id: str) -> None: ...


async def list_dead_letters(url: str, queue: str = QUEUE) -> list[DeadLetter]:
    def list_all() -> list[DeadLetter]:
        with connect(url) as dead_letters:
            return dead_letters.list_all(queue)

    return await asyncio.to_thread(list_all)


async def publish_until_dead_lettered(orders: Orders, url: str, *envelopes: Envelope) -> list[DeadLetter]:
    """Publish messages with a failing consumer until all of them are dead-lettered."""
    async with (
        orders.admin_broker.open_channel() as channel,
        run_in_background(consume(orders.broker, FakeUsersConsumer(fail))),
    ):
        await channel.publish(envelopes)

        async def are_dead_lettered() -> bool:
            return len(await list_dead_letters(url)) == len(envelopes)

        await wait_until_async(are_dead_lettered)
    return await list_dead_letters(url)


async def run_command(*arguments: str) -> int:
    return await asyncio.to_thread(dead_letters_cli.main, ["dead-letters", *arguments])


@pytest.fixture(autouse=True)
def _short_retry_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.runtime.messaging.consumer.RETRY_DELAYS_S", (1,))


async def test_exhausted_message_is_dead_lettered_and_listing_is_read_only(
    orders: Orders, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    envelope = build_user_deleted("ada")
    (dead_letter,) = await publish_until_dead_lettered(orders, url, envelope)
    assert (dead_letter.id, dead_letter.type, dead_letter.subject) == (envelope.id, "users.deleted", "ada")
    assert dead_letter.reason == "ValueError after 2 attempts: ada cannot be deleted"
    assert dead_letter.attempts == 2
    for _ in range(25):  # more than the default delivery limit of a quorum queue
        assert await list_dead_letters(url) == [dead_letter]

    assert await run_command("list", QUEUE, "--json") == 0
    assert [each["id"] for each in json.loads(capsys.readouterr().out)] == [envelope.id]
    assert await run_command("list", f"{QUEUE}.dead") == 0
    output = capsys.readouterr().out
    assert re.search(rf"{QUEUE} +{envelope.id} +users.deleted +ada .* ada cannot be deleted\n", output)
    assert await run_command("show", QUEUE, envelope.id, "--payload", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert result["payload"] == {"userId": "ada"}
    assert result["headers"]["cloudEvents:source"] == "/gateway"
    assert await run_command("show", QUEUE, envelope.id) == 0
    output = capsys.readouterr().out
    assert "cloudEvents:source" in output
    assert "userId" not in output
    assert await list_dead_letters(url) == [dead_letter]


async def test_drop_removes_only_given_dead_letter(
    orders: Orders, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    envelopes = [build_user_deleted(name) for name in ("ada", "bob", "cyd")]
    await publish_until_dead_lettered(orders, url, *envelopes)
    assert await run_command("drop", QUEUE, envelopes[1].id) == 0
    assert capsys.readouterr().out == f"1 dropped from {QUEUE}.dead\n"
    assert {dead_letter.subject for dead_letter in await list_dead_letters(url)} == {"ada", "cyd"}
    assert await run_command("drop", QUEUE, envelopes[1].id) == 1
    assert f"{QUEUE}.dead does not contain {envelopes[1].id}" in capsys.readouterr().err
    assert await run_command("drop", QUEUE, "--all") == 0
    assert await run_command("list", QUEUE) == 0
    assert capsys.readouterr().out.endswith("no dead letters\n")


async def test_dead_letter_replayed_twice_has_one_effect(orders: Orders, url: str) -> None:
    order_id = await orders.place_order()
    await orders.pay(order_id)
    payload = ORDER_READY_REPORTED.encode(
        OrderReadyReported(order_id=order_id, partner_id=1, pickup_address="1 Market Square")
    )
    envelope = Envelope(generate_id(), "/partners", ORDER_READY_REPORTED.type, order_id, now(), {}, payload)

    class FailingReadinessConsumer(ReadinessConsumer):
        async def on_order_ready_reported(self, event: OrderReadyReported, delivery: MessageMetadata) -> None:
            await super().on_order_ready_reported(event, delivery)
            raise ValueError("failed after the commit")

    async def is_dead_lettered() -> bool:
        # A consumer that ends before it acknowledges a message leaves it to the next one.
        return len(await list_dead_letters(url, "orders.readiness")) >= 1

    async def is_queue_empty() -> bool:
        return await count_messages(url, "orders.readiness") == 0

    async with orders.admin_broker.open_channel() as channel:
        async with run_in_background(consume(orders.broker, FailingReadinessConsumer(orders.repository, now))):
            await channel.publish([envelope])
            await wait_until_async(is_dead_lettered)
        for _ in range(2):
            assert await run_command("replay", "orders.readiness", envelope.id) == 0
            await channel.publish([envelope])
            async with run_in_background(consume(orders.broker, ReadinessConsumer(orders.repository, now))):
                await wait_until_async(is_queue_empty)
            async with run_in_background(consume(orders.broker, FailingReadinessConsumer(orders.repository, now))):
                await channel.publish([envelope])
                await wait_until_async(is_dead_lettered)
    order = await orders.get_order(order_id)
    assert (order.status, order.version) == (OrderStatus.READY, 3)


async def count_messages(url: str, queue: str) -> int:
    def count() -> int:
        with pika.BlockingConnection(pika.URLParameters(url)) as connection:
            return int(connection.channel().queue_declare(queue, passive=True).method.message_count)

    return await asyncio.to_thread(count)


async def test_replay_resets_attempts(orders: Orders, url: str, capsys: pytest.CaptureFixture[str]) -> None:
    await publish_until_dead_lettered(orders, url, build_user_deleted("ada"), build_user_deleted("bob"))
    consumer = FakeUsersConsumer(succeed)
    async with run_in_background(consume(orders.broker, consumer)):
        assert await run_command("replay", QUEUE, "--all") == 0
        assert capsys.readouterr().out == f"2 replayed to {QUEUE}\n"

        async def are_both_handled() -> bool:
            return sorted(consumer.handled) == ["ada", "bob"]

        await wait_until_async(are_both_handled)
    assert await list_dead_letters(url) == []


def _requeue_message(url: str, count: int) -> None:
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        channel = connection.channel()
        for _ in range(count):
            get_ok = None
            while get_ok is None:
                get_ok, _, _ = channel.basic_get(QUEUE)
            channel.basic_nack(get_ok.delivery_tag)


async def test_message_over_delivery_limit_is_dead_lettered_and_replayable(
    orders: Orders, servers: Servers, url: str
) -> None:
    async with orders.admin_broker.open_channel() as channel:
        await channel.publish([build_user_deleted("ada")])
    await asyncio.to_thread(_requeue_message, servers.admin_broker_url, 21)

    async def is_dead_lettered_by_broker() -> bool:
        reasons = [dead_letter.reason for dead_letter in await list_dead_letters(url)]
        return reasons == ["dead-lettered by the broker: delivery_limit"]

    await wait_until_async(is_dead_lettered_by_broker)
    assert await run_command("replay", QUEUE, "--all") == 0
    failures = [1]

    async def fail_once(_user_id: str) -> None:
        if failures:
            raise ValueError(failures.pop())

    consumer = FakeUsersConsumer(fail_once)
    async with run_in_background(consume(orders.broker, consumer)):

        async def is_handled() -> bool:
            return consumer.handled == ["ada"]

        await wait_until_async(is_handled)


async def test_dead_letter_queue_of_earlier_release_is_left_unchanged(
    orders: Orders, servers: Servers, url: str
) -> None:
    def declare_as_earlier_release() -> None:
        with pika.BlockingConnection(pika.URLParameters(servers.admin_broker_url)) as connection:
            channel = connection.channel()
            channel.queue_delete(f"{QUEUE}.dead")
            channel.queue_declare(f"{QUEUE}.dead", durable=True, arguments={"x-queue-type": "quorum"})

    await asyncio.to_thread(declare_as_earlier_release)
    assert len(await publish_until_dead_lettered(orders, url, build_user_deleted("ada"))) == 1


async def test_unavailable_dependency_does_not_dead_letter_message(orders: Orders, url: str) -> None:
    failures = [1, 2, 3]

    async def fail_as_unavailable(_user_id: str) -> None:
        if failures:
            failures.pop()
            raise ApiError(Reason.UPSTREAM_UNAVAILABLE)

    consumer = FakeUsersConsumer(fail_as_unavailable)
    async with orders.admin_broker.open_channel() as channel, run_in_background(consume(orders.broker, consumer)):
        await channel.publish([build_user_deleted("ada")])

        async def is_handled() -> bool:
            return consumer.handled == ["ada"]

        await wait_until_async(is_handled)
    assert await list_dead_letters(url) == []


async def test_many_poison_messages_do_not_block_queue(orders: Orders, url: str) -> None:
    async def fail_selectively(user_id: str) -> None:
        if user_id == "poison":
            raise ValueError("poison")
        if user_id == "hanging":
            await asyncio.Event().wait()

    consumer = FakeUsersConsumer(fail_selectively)
    prefetch = FakeUsersConsumer.PREFETCH
    failing = [build_user_deleted("poison") for _ in range(4 * prefetch)] + [
        build_user_deleted("hanging") for _ in range(prefetch - 1)
    ]
    async with orders.admin_broker.open_channel() as channel:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("services.runtime.messaging.consumer.HANDLER_TIMEOUT_S", 5)
            async with run_in_background(consume(orders.broker, consumer)):
                await channel.publish([*failing, build_user_deleted("ada")])

                async def is_handled() -> bool:
                    return consumer.handled == ["ada"]

                await wait_until_async(is_handled, 4)

                async def are_dead_lettered() -> bool:
                    return len(await list_dead_letters(url)) == len(failing)

                await wait_until_async(are_dead_lettered, 30)
    assert {dead_letter.reason for dead_letter in await list_dead_letters(url)} >= {"TimeoutError after 2 attempts: "}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("list", "orders.histories"), "unknown queue orders.histories; the queues are "),
        (("show", QUEUE, "missing-id"), f"{QUEUE}.dead does not contain missing-id"),
        (("replay", QUEUE, "missing-id"), f"{QUEUE}.dead does not contain missing-id"),
    ],
)
async def test_unknown_queue_or_dead_letter_is_reported(
    url: str, arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await run_command(*arguments) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda url: re.sub(r":\d+/", ":1/", url), "broker unavailable at 127.0.0.1:1"),
        (lambda url: re.sub(r"//operator:[^@]+@", "//operator:hunter2@", url), "invalid user or password"),
        (lambda url: re.sub(r"/delivery$", "/elsewhere", url), "no permission for virtual host /elsewhere"),
    ],
)
async def test_broker_connection_error_hides_password(
    url: str,
    change: Callable[[str], str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("BROKER_URL", change(url))
    assert await run_command("list") == 1
    output = capsys.readouterr().err
    assert message in output
    assert "hunter2" not in output
