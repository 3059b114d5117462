"""Dead letters: messages that no attempt could settle, as operators look at them, send them again, or give them up.

A dead letter stays where it is until the broker has confirmed what becomes of it, so that a crash loses none;
one that is replayed twice has one effect, since consumers know its id.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

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

from generated.events import EVENTS
from services.runtime.messaging.channel import strip_broker_headers
from services.runtime.messaging.consumer import (
    ATTEMPT_HEADER,
    DEAD_AT_HEADER,
    DEAD_REASON_HEADER,
    UNAVAILABLE_ATTEMPTS_HEADER,
    parse_int_header,
)
from services.runtime.messaging.topology import QUEUES, dead_letter_queue
from services.runtime.rpc.codec import DecodeError

REPLAYS_HEADER = "delivery-replays"
"""The header that counts how often a message was sent again by an operator."""

_RETRY_STATE_HEADERS = (ATTEMPT_HEADER, UNAVAILABLE_ATTEMPTS_HEADER, DEAD_REASON_HEADER, DEAD_AT_HEADER)

_EVENT_TYPES_BY_NAME = {kind.type: kind for kind in EVENTS.values()}


class DeadLettersError(Exception):
    """Why it cannot be done, in words for an operator."""


@dataclass(frozen=True)
class DeadLetter:
    """A message that lies in `<queue>.dead`. `id` is its event's, or made from its bytes where it has none."""

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
        """What a list shows; JSON can say it all."""
        return {name: value for name, value in asdict(self).items() if name not in ("headers", "payload")}

    def decode_payload(self) -> Any:
        """The payload as JSON can say it, by its type in the contract; None for what cannot be read."""
        kind = _EVENT_TYPES_BY_NAME.get(self.type)
        if kind is None:
            return None
        try:
            return kind.decode(self.payload).to_dict()
        except DecodeError:
            return None


class DeadLetters:
    """The dead letters of one broker. Everything raises DeadLettersError."""

    def __init__(self, channel: BlockingChannel) -> None:
        self._channel = channel

    def list_all(self, queue: str) -> list[DeadLetter]:
        """Every dead letter of a queue, the longest dead first; all of them stay."""
        with self._lock_messages(queue) as held:
            return [letter for letter, _ in held]

    def replay(self, queue: str, predicate: Callable[[DeadLetter], bool]) -> list[DeadLetter]:
        """Sends letters to their queue again, as new, and returns them; each leaves once its copy is confirmed."""
        return self._resolve(queue, predicate, self._republish)

    def drop(self, queue: str, predicate: Callable[[DeadLetter], bool]) -> list[DeadLetter]:
        """Gives letters up for good, and returns them."""
        return self._resolve(queue, predicate, lambda letter, properties: None)

    def _resolve(
        self,
        queue: str,
        predicate: Callable[[DeadLetter], bool],
        resolve: Callable[[DeadLetter, BasicProperties], None],
    ) -> list[DeadLetter]:
        done = []
        with self._lock_messages(queue) as held:
            for letter, (got, properties) in held:
                if predicate(letter):
                    resolve(letter, properties)
                    self._channel.basic_ack(got.delivery_tag)
                    done.append(letter)
        return done

    def _republish(self, dead_letter: DeadLetter, properties: BasicProperties) -> None:
        headers = {
            name: value
            for name, value in strip_broker_headers(properties.headers).items()
            if name not in _RETRY_STATE_HEADERS
        }
        properties.headers = headers | {REPLAYS_HEADER: dead_letter.replays + 1}
        try:
            self._channel.basic_publish("", dead_letter.queue, dead_letter.payload, properties, mandatory=True)
        except (UnroutableError, NackError) as error:
            raise DeadLettersError(
                f"{dead_letter.queue} does not take {dead_letter.id}; it stays a dead letter"
            ) from error

    @contextmanager
    def _lock_messages(self, queue: str) -> Iterator[list[tuple[DeadLetter, tuple[Basic.GetOk, BasicProperties]]]]:
        """Takes every letter of a queue out of others' sight; what was not acknowledged goes back where it was."""
        if queue not in QUEUES:
            raise DeadLettersError(f"there is no queue {queue}; the queues are {', '.join(QUEUES)}")
        try:
            there = self._channel.queue_declare(dead_letter_queue(queue), passive=True).method.message_count
            held = []
            for _ in range(there):
                got, properties, body = self._channel.basic_get(dead_letter_queue(queue))
                if got is None:
                    break
                held.append((parse_dead_letter(queue, properties, body), (got, properties)))
            yield held
            self._channel.basic_recover(requeue=True)
        except ChannelClosedByBroker as error:
            raise DeadLettersError(f"the broker refused: {error.reply_text}") from error
        except AMQPError as error:
            raise DeadLettersError(f"the broker went away: {_error_text(error)}") from error


@contextmanager
def connect(url: str) -> Iterator[DeadLetters]:
    """A connection to the broker. Raises DeadLettersError; its words hold no password."""
    where = urlsplit(url)
    address = f"{where.hostname}:{where.port or 5672}"
    parameters = pika.URLParameters(url)
    parameters.client_properties = {"connection_name": "delivery dead-letters"}
    parameters.socket_timeout = parameters.stack_timeout = parameters.blocked_connection_timeout = 10
    try:
        connection = pika.BlockingConnection(parameters)
    except (ProbableAuthenticationError, AuthenticationError) as error:
        raise DeadLettersError(f"the broker at {address} does not know this user and password") from error
    except ProbableAccessDeniedError as error:
        raise DeadLettersError(f"the broker at {address} does not let this user in at {where.path}") from error
    except (AMQPConnectionError, OSError) as error:
        raise DeadLettersError(f"no broker answers at {address}") from error
    try:
        channel = connection.channel()
        channel.confirm_delivery()
        yield DeadLetters(channel)
    finally:
        if connection.is_open:
            connection.close()


def parse_dead_letter(queue: str, properties: BasicProperties, payload: bytes) -> DeadLetter:
    """A message as it lies there, whatever is missing of it."""
    headers = dict(properties.headers or {})
    broker: Mapping[str, Any] = next(iter(headers.get("x-death") or []), {})
    died = broker.get("time")
    return DeadLetter(
        queue=queue,
        id=str(headers.get("cloudEvents:id") or properties.message_id or _fingerprint(payload)),
        type=str(headers.get("cloudEvents:type") or properties.type or ""),
        subject=str(headers.get("cloudEvents:subject", "")),
        reason=str(
            headers.get(DEAD_REASON_HEADER) or f"the broker gave it up: {broker.get('reason', 'it does not say why')}"
        ),
        attempts=parse_int_header(headers, ATTEMPT_HEADER, 1),
        unavailable_attempts=parse_int_header(headers, UNAVAILABLE_ATTEMPTS_HEADER, 0),
        replays=parse_int_header(headers, REPLAYS_HEADER, 0),
        happened_at=str(headers.get("cloudEvents:time", "")),
        dead_at=str(
            headers.get(DEAD_AT_HEADER) or (died.replace(tzinfo=UTC).isoformat() if isinstance(died, datetime) else "")
        ),
        size=len(payload),
        headers=headers,
        payload=payload,
    )


def _fingerprint(payload: bytes) -> str:
    return f"sha256-{hashlib.sha256(payload).hexdigest()[:16]}"


def _error_text(error: AMQPError) -> str:
    return str(error) or type(error).__name__
