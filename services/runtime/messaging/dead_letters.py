"""Dead letters: messages whose attempts all failed. Operators list, replay or drop them.

A dead letter stays in its queue until the broker has confirmed its copy, so that a crash loses none. A dead letter that
is replayed twice has one effect, since consumers deduplicate events by id.
"""

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import pika
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import (
    AMQPConnectionError,
    AMQPError,
    AuthenticationError,
    ChannelClosedByBroker,
    NackError,
    ProbableAccessDeniedError,
    ProbableAuthenticationError,
    UnroutableError,
)
from pika.spec import Basic, BasicProperties

from generated import mesh
from generated.events import EVENTS
from services.runtime.config.urls import list_broker_urls
from services.runtime.messaging.channel import strip_broker_headers
from services.runtime.messaging.consumer import (
    ATTEMPT_HEADER,
    DEAD_AT_HEADER,
    DEAD_REASON_HEADER,
    UNAVAILABLE_ATTEMPTS_HEADER,
    parse_int_header,
)
from services.runtime.messaging.topology import QUEUES, get_dead_letter_queue, get_queue_exchange
from services.runtime.rpc.codec import DecodeError

REPLAYS_HEADER = "delivery-replays"
"""Header with the number of replays of a message by operators."""

REQUEUE_TIMEOUT_S = 5.0
REQUEUE_POLL_INTERVAL_S = 0.02

_RETRY_STATE_HEADERS = (ATTEMPT_HEADER, UNAVAILABLE_ATTEMPTS_HEADER, DEAD_REASON_HEADER, DEAD_AT_HEADER)

_EVENT_TYPES_BY_NAME = {event_type.type: event_type for event_type in EVENTS.values()}


class DeadLettersError(Exception):
    """The command failed; the message is shown to the operator."""


@dataclass(frozen=True)
class DeadLetter:
    """A message in `<queue>.dead`. `id` is the id of its event, or a hash of its payload if it has none."""

    queue: str
    id: str
    type: str
    subject: str
    reason: str
    attempts: int
    unavailable_attempts: int
    replays: int
    happened_at: str
    dead_at: str
    size: int
    headers: Mapping[str, Any] = field(repr=False, compare=False)
    payload: bytes = field(repr=False)

    def summarise(self) -> dict[str, Any]:
        """Return the fields that a list shows, as JSON values."""
        return {name: value for name, value in asdict(self).items() if name not in ("headers", "payload")}

    def decode_payload(self) -> Any:
        """Return the payload decoded by its event type as JSON values, or None if it cannot be decoded."""
        event_type = _EVENT_TYPES_BY_NAME.get(self.type)
        if event_type is None:
            return None
        try:
            return event_type.decode(self.payload).to_dict()
        except DecodeError:
            return None


class DeadLetters:
    """Dead letters of one broker. All methods raise DeadLettersError."""

    def __init__(self, channel: BlockingChannel) -> None:
        self._channel = channel

    def list_all(self, queue: str) -> list[DeadLetter]:
        """Return all dead letters of a queue, oldest first, without removing them."""
        with self._lock_messages(queue) as messages:
            return [dead_letter for dead_letter, _ in messages]

    def replay(self, queue: str, predicate: Callable[[DeadLetter], bool]) -> list[DeadLetter]:
        """Republish the selected dead letters to their queue with reset retry state, and return them.

        A dead letter is removed after the broker has confirmed its copy.
        """
        return self._resolve(queue, predicate, self._republish)

    def drop(self, queue: str, predicate: Callable[[DeadLetter], bool]) -> list[DeadLetter]:
        """Delete the selected dead letters, and return them."""
        return self._resolve(queue, predicate, lambda dead_letter, properties: None)

    def _resolve(
        self,
        queue: str,
        predicate: Callable[[DeadLetter], bool],
        resolve: Callable[[DeadLetter, BasicProperties], None],
    ) -> list[DeadLetter]:
        resolved = []
        with self._lock_messages(queue) as messages:
            for message in list(messages):
                dead_letter, (get_ok, properties) = message
                if predicate(dead_letter):
                    resolve(dead_letter, properties)
                    self._channel.basic_ack(get_ok.delivery_tag)
                    messages.remove(message)
                    resolved.append(dead_letter)
        return resolved

    def _republish(self, dead_letter: DeadLetter, properties: BasicProperties) -> None:
        headers = {
            name: value
            for name, value in strip_broker_headers(properties.headers).items()
            if name not in _RETRY_STATE_HEADERS
        }
        properties.headers = headers | {REPLAYS_HEADER: dead_letter.replays + 1}
        exchange = get_queue_exchange(dead_letter.queue)
        try:
            self._channel.basic_publish(exchange, dead_letter.queue, dead_letter.payload, properties, mandatory=True)
        except (UnroutableError, NackError) as error:
            raise DeadLettersError(
                f"{dead_letter.queue} does not accept {dead_letter.id}; it remains a dead letter"
            ) from error

    @contextmanager
    def _lock_messages(self, queue: str) -> Iterator[list[tuple[DeadLetter, tuple[Basic.GetOk, BasicProperties]]]]:
        """Fetch the dead letters, which hides them from other clients; those left in the list are requeued."""
        if queue not in QUEUES:
            raise DeadLettersError(f"unknown queue {queue}; the queues are {', '.join(QUEUES)}")
        try:
            messages = []
            for _ in range(self._count_messages(get_dead_letter_queue(queue))):
                get_ok, properties, body = self._channel.basic_get(get_dead_letter_queue(queue))
                if get_ok is None:
                    break
                messages.append((parse_dead_letter(queue, properties, body), (get_ok, properties)))
            yield messages
            self._channel.basic_recover(requeue=True)
            self._wait_for_requeue(get_dead_letter_queue(queue), len(messages))
        except ChannelClosedByBroker as error:
            raise DeadLettersError(f"channel closed by the broker: {error.reply_text}") from error
        except AMQPError as error:
            raise DeadLettersError(f"connection to the broker lost: {_format_error_text(error)}") from error

    def _wait_for_requeue(self, queue: str, count: int) -> None:
        """Wait until requeued messages can be fetched: a quorum queue requeues after its log is written."""
        deadline = time.monotonic() + REQUEUE_TIMEOUT_S
        while self._count_messages(queue) < count and time.monotonic() < deadline:
            self._channel.connection.sleep(REQUEUE_POLL_INTERVAL_S)

    def _count_messages(self, queue: str) -> int:
        return int(self._channel.queue_declare(queue, passive=True).method.message_count)


@contextmanager
def connect(url: str) -> Iterator[DeadLetters]:
    """Connect to the broker. Raises DeadLettersError; its message never contains the password."""
    endpoints = [pika.URLParameters(each) for each in list_broker_urls(url)]
    address = ", ".join(f"{parameters.host}:{parameters.port}" for parameters in endpoints)
    for parameters in endpoints:
        parameters.client_properties = {"connection_name": f"{mesh.NAME} dead-letters"}
        parameters.socket_timeout = parameters.stack_timeout = parameters.blocked_connection_timeout = 10
    try:
        connection = pika.BlockingConnection(endpoints)
    except (ProbableAuthenticationError, AuthenticationError) as error:
        raise DeadLettersError(f"authentication failed at the broker {address}: invalid user or password") from error
    except ProbableAccessDeniedError as error:
        raise DeadLettersError(
            f"access denied at the broker {address}: no permission for virtual host /{endpoints[0].virtual_host}"
        ) from error
    except (AMQPConnectionError, OSError) as error:
        raise DeadLettersError(f"broker unavailable at {address}") from error
    try:
        channel = connection.channel()
        channel.confirm_delivery()
        yield DeadLetters(channel)
    finally:
        if connection.is_open:
            connection.close()


def parse_dead_letter(queue: str, properties: BasicProperties, payload: bytes) -> DeadLetter:
    """Parse a message of a dead-letter queue; any header may be missing."""
    headers = dict(properties.headers or {})
    x_death: Mapping[str, Any] = next(iter(headers.get("x-death") or []), {})
    dead_at = x_death.get("time")
    return DeadLetter(
        queue=queue,
        id=str(headers.get("cloudEvents:id") or properties.message_id or _compute_fingerprint(payload)),
        type=str(headers.get("cloudEvents:type") or properties.type or ""),
        subject=str(headers.get("cloudEvents:subject", "")),
        reason=str(
            headers.get(DEAD_REASON_HEADER) or f"dead-lettered by the broker: {x_death.get('reason', 'unknown reason')}"
        ),
        attempts=parse_int_header(headers, ATTEMPT_HEADER, 1),
        unavailable_attempts=parse_int_header(headers, UNAVAILABLE_ATTEMPTS_HEADER, 0),
        replays=parse_int_header(headers, REPLAYS_HEADER, 0),
        happened_at=str(headers.get("cloudEvents:time", "")),
        dead_at=str(
            headers.get(DEAD_AT_HEADER)
            or (dead_at.replace(tzinfo=UTC).isoformat() if isinstance(dead_at, datetime) else "")
        ),
        size=len(payload),
        headers=headers,
        payload=payload,
    )


def _compute_fingerprint(payload: bytes) -> str:
    return f"sha256-{hashlib.sha256(payload).hexdigest()[:16]}"


def _format_error_text(error: AMQPError) -> str:
    return str(error) or type(error).__name__
