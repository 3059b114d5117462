"""Permissions of the broker's users on the real broker: each service does what the contract grants it, nothing else."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pika
import pytest
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import ChannelClosedByBroker

from deploy.local.mesh_config import SERVICES
from generated.events import AGENT_CHANGED, EVENTS, PARTNER_CATALOG_CHANGED
from services.runtime.messaging import topology
from services.runtime.messaging.connection import Broker
from services.runtime.messaging.events import EXCHANGE
from services.runtime.messaging.topology import QUEUES, RETRY_DELAYS_S, get_dead_letter_queue, get_owner
from tests.integration.fixtures.servers import Servers
from tests.wait import wait_until_async

SUBSCRIPTIONS = {"gateway": PARTNER_CATALOG_CHANGED, "notifications": AGENT_CHANGED}
ACCESS_DENIED = 403
"""AMQP reply code of an operation without permission."""

type Operation = Callable[[BlockingChannel], Any]


@contextmanager
def connect(url: str) -> Iterator[pika.BlockingConnection]:
    connection = pika.BlockingConnection(pika.URLParameters(url))
    try:
        yield connection
    finally:
        connection.close()


def list_own_queues(service: str) -> list[str]:
    return [queue for queue in QUEUES if get_owner(queue) == service]


def list_other_queues(service: str) -> list[str]:
    return [queue for queue in QUEUES if get_owner(queue) != service]


def list_denied_operations(service: str) -> Iterator[tuple[str, Operation]]:
    """Yield description and operation of what another service may do, or none."""
    for event in EVENTS.values():
        if event.producer != service:
            for exchange in (f"{service}.events", f"{event.producer}.events", EXCHANGE):
                yield f"publish {event.type} to {exchange}", publish(exchange, event.type)
    for queue in [*list_own_queues(service), *list_other_queues(service)]:
        yield f"publish to {queue} through the default exchange", publish("", queue)
    for queue in list_other_queues(service):
        owner = get_owner(queue)
        for exchange in (f"{owner}.queues", f"{service}.queues", f"{service}.retry.1s", f"{owner}.retry.1s"):
            yield f"publish to {queue} through {exchange}", publish(exchange, queue)
        yield f"get from {queue}", lambda channel, queue=queue: channel.basic_get(queue)
        yield f"consume {queue}", lambda channel, queue=queue: channel.basic_consume(queue, lambda *_: None)
        yield f"purge {queue}", lambda channel, queue=queue: channel.queue_purge(queue)
        yield f"delete {queue}", lambda channel, queue=queue: channel.queue_delete(queue)
        yield f"declare {queue}", lambda channel, queue=queue: channel.queue_declare(queue, durable=True)
        yield (
            f"unbind {queue}",
            lambda channel, queue=queue: channel.queue_unbind(queue, "orders.events", "orders.paid"),
        )
    for queue in list_own_queues(service):
        dead = get_dead_letter_queue(queue)
        yield f"get from {dead}", lambda channel, dead=dead: channel.basic_get(dead)
        for exchange in (EXCHANGE, *(f"{name}.events" for name in SERVICES)):
            yield f"bind {queue} to all of {exchange}", bind(queue, exchange)
    yield "declare a queue", lambda channel: channel.queue_declare(f"{service}.more", durable=True)
    yield "declare an exchange", lambda channel: channel.exchange_declare(f"{service}.more", "fanout")
    for exchange in (EXCHANGE, f"{service}.events", "amq.topic"):
        yield f"delete {exchange}", lambda channel, exchange=exchange: channel.exchange_delete(exchange)
    for exchange in ("", EXCHANGE):
        yield f"dead-letter to {exchange}", declare_dead_lettering_queue(exchange)
    yield "bind an exchange to all events", lambda channel: channel.exchange_bind(f"{service}.events", EXCHANGE, "#")


def publish(exchange: str, routing_key: str) -> Operation:
    def operation(channel: BlockingChannel) -> None:
        channel.confirm_delivery()
        channel.basic_publish(exchange, routing_key, b"forged", pika.BasicProperties(expiration="1"))

    return operation


def bind(queue: str, exchange: str) -> Operation:
    return lambda channel: channel.queue_bind(queue, exchange, "#")


def declare_dead_lettering_queue(exchange: str) -> Operation:
    """Return the declaration of a queue whose dead letters become events of another service."""
    arguments = {"x-dead-letter-exchange": exchange, "x-dead-letter-routing-key": "payments.recorded"}
    return lambda channel: channel.queue_declare("", exclusive=True, arguments=arguments)


@pytest.mark.parametrize("service", SERVICES)
def test_operation_that_the_contract_does_not_grant_is_denied(servers: Servers, service: str) -> None:
    allowed = []
    with connect(servers.settings(service)["BROKER_URL"]) as connection:
        for description, operation in list_denied_operations(service):
            try:
                operation(connection.channel())
            except ChannelClosedByBroker as error:
                assert error.reply_code == ACCESS_DENIED, f"{description}: {error}"  # noqa: PT017 (of many operations)
            else:
                allowed.append(description)
    assert allowed == []


@pytest.mark.parametrize("service", SERVICES)
async def test_service_declares_and_repairs_its_queues(servers: Servers, service: str) -> None:
    for queue in list_own_queues(service)[:1]:
        with connect(servers.settings(service)["BROKER_URL"]) as connection:
            for name in (queue, get_dead_letter_queue(queue), topology.get_retry_exchange(queue, RETRY_DELAYS_S[0])):
                connection.channel().queue_delete(name)
    broker = Broker(servers.settings(service)["BROKER_URL"], service)
    async with broker.open_channel() as channel:
        for queue in list_own_queues(service):
            assert await channel.count_messages(queue) >= 0
            assert await channel.count_messages(get_dead_letter_queue(queue)) >= 0


@pytest.mark.parametrize("service", SERVICES)
def test_service_publishes_its_events_to_the_queues_of_the_contract(servers: Servers, service: str) -> None:
    """The messages expire at once, so that no consumer of another test receives them."""
    with connect(servers.settings(service)["BROKER_URL"]) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        for event in EVENTS.values():
            if event.producer == service:
                properties = pika.BasicProperties(expiration="0")
                is_routed = bool(event.queues)
                channel.basic_publish(f"{service}.events", event.type, b"", properties, mandatory=is_routed)


@pytest.mark.parametrize("queue", QUEUES)
def test_retried_message_returns_to_its_queue_and_is_dead_lettered(servers: Servers, queue: str) -> None:
    service = get_owner(queue)
    with connect(servers.admin_broker_url) as connection:
        connection.channel().queue_purge(queue)
    with connect(servers.settings(service)["BROKER_URL"]) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        exchange = topology.get_retry_exchange(queue, RETRY_DELAYS_S[0])
        channel.basic_publish(exchange, queue, b"retried", pika.BasicProperties(expiration="1"), mandatory=True)
        for method, _, body in channel.consume(queue, inactivity_timeout=10):
            assert (body, method is not None) == (b"retried", True)
            channel.basic_ack(method.delivery_tag)
            break
        channel.cancel()
        channel.basic_publish(topology.get_queue_exchange(queue), get_dead_letter_queue(queue), b"dead", mandatory=True)
    with connect(servers.operator_broker_url) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        method, _, body = channel.basic_get(get_dead_letter_queue(queue), auto_ack=True)
        assert body is not None
        channel.basic_publish(topology.get_queue_exchange(queue), queue, b"", pika.BasicProperties(expiration="0"))


FORGED = pika.BasicProperties(headers={"CC": ["users.deleted"]}, expiration="1")
"""Properties with a second routing key, which is an event of another service."""


def count_events(servers: Servers, queue: str) -> int:
    """Return the number of messages that the queue and its dead-letter queue have received and not lost."""
    with connect(servers.admin_broker_url) as connection:
        names = (queue, get_dead_letter_queue(queue))
        return sum(connection.channel().queue_declare(name, passive=True).method.message_count for name in names)


def test_second_routing_key_forges_no_event_of_another_service(servers: Servers) -> None:
    count = count_events(servers, "notifications.users")
    with connect(servers.settings("orders")["BROKER_URL"]) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        try:
            channel.basic_publish("orders.events", "orders.created", b"forged", FORGED, mandatory=True)
        except ChannelClosedByBroker as error:  # RabbitMQ 4.0.3 and later
            assert error.reply_code == ACCESS_DENIED  # noqa: PT017 (depends on the version)
    assert count_events(servers, "notifications.users") == count


async def test_dead_lettering_forges_no_event_of_another_service(servers: Servers) -> None:
    """The service replaces a queue of its own by one that dead-letters to its exchange of events."""
    queue, url = "orders.users", servers.settings("orders")["BROKER_URL"]
    count, own_count = (count_events(servers, name) for name in ("notifications.users", "orders.history"))
    with connect(url) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        channel.queue_delete(queue)
        arguments = {"x-dead-letter-exchange": "orders.events", "x-message-ttl": 0}
        channel.queue_declare(queue, durable=True, arguments=arguments)
        channel.exchange_declare(queue, "fanout")
        channel.queue_bind(queue, queue)
        properties = pika.BasicProperties(headers={"CC": ["orders.created"]})
        channel.basic_publish(queue, "users.deleted", b"forged", properties, mandatory=True)
        await wait_until_async(lambda: count_events(servers, "orders.history") == own_count + 1)
        channel.exchange_delete(queue)
        channel.queue_delete(queue)
    async with Broker(url, "orders").open_channel():
        assert count_events(servers, "notifications.users") == count
    with connect(servers.admin_broker_url) as connection:
        connection.channel().queue_purge("orders.history")


@pytest.mark.parametrize("service", SUBSCRIPTIONS)
def test_subscriber_receives_its_event_only(servers: Servers, service: str) -> None:
    with connect(servers.settings(service)["BROKER_URL"]) as connection:
        channel = connection.channel()
        queue = channel.queue_declare("", exclusive=True).method.queue
        event_type = SUBSCRIPTIONS[service]
        channel.queue_bind(queue, event_type.exchange, event_type.type)
        with pytest.raises(ChannelClosedByBroker, match="ACCESS_REFUSED"):
            channel.queue_bind(queue, event_type.exchange, "partners.notified")


def test_operator_neither_publishes_events_nor_reads_queues(servers: Servers) -> None:
    with connect(servers.operator_broker_url) as connection:
        for operation in (
            publish("orders.events", "orders.paid"),
            publish("", "orders.history"),
            publish("orders.queues", "orders.history.dead"),
            lambda channel: channel.basic_get("orders.history"),
            lambda channel: channel.queue_delete("orders.history"),
            lambda channel: channel.queue_declare("operator.queue"),
        ):
            with pytest.raises(ChannelClosedByBroker, match="ACCESS_REFUSED"):
                operation(connection.channel())
