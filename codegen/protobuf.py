"""The compiled protobuf packages, and what their options say about methods and events."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf import message_factory
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    MethodDescriptorProto,
    MethodOptions,
)
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message

from codegen.errors import ContractError

OPTIONS_PACKAGE = "delivery.options.v1"
"""The package of our own options. Code reads them here; no message of it ever travels."""


@dataclass(frozen=True)
class Method:
    """One rpc. Names of messages are full: "delivery.orders.v1.GetOrderRequest"."""

    service: str
    name: str
    comment: str
    request: str
    response: str
    server_streaming: bool
    idempotency: str
    """NO_SIDE_EFFECTS, IDEMPOTENT or IDEMPOTENCY_UNKNOWN, as protobuf calls them."""
    callers: tuple[str, ...]
    """Service names: "gateway"."""
    actor_required: bool
    """Whether the callee's sidecar validates a user's token."""
    timeout_s: float | None
    """How long the whole call may take, retries included; None for a stream without an end."""
    attempts: int

    @property
    def path(self) -> str:
        """The :path of the HTTP/2 request."""
        return f"/{self.service}/{self.name}"

    @property
    def is_idempotent(self) -> bool:
        """Whether the method may be tried again."""
        return self.idempotency != "IDEMPOTENCY_UNKNOWN"


@dataclass(frozen=True)
class Service:
    """One service; its methods in the order of the file."""

    full_name: str
    package: str
    name: str
    comment: str
    methods: tuple[Method, ...]


@dataclass(frozen=True)
class Event:
    """One message that travels over the broker."""

    message: str
    """Its full name: "delivery.events.v1.OrderPaid"."""
    type: str
    """The CloudEvents type and routing key: "orders.paid"."""
    producer: str
    """The service whose outbox it leaves from."""
    queues: tuple[str, ...]
    priority_queue: str
    """The queue for copies of those whose subject is singled out; empty for none."""
    subject: str
    """The dotted path of the field that is the CloudEvents subject: "order.order_id"."""
    comment: str

    @property
    def all_queues(self) -> tuple[str, ...]:
        """Every queue that somebody takes it from."""
        return (*self.queues, self.priority_queue) if self.priority_queue else self.queues


@dataclass(frozen=True)
class ProtoContracts:
    """What `buf build` made of `api-specs/proto`."""

    descriptors: FileDescriptorSet
    """Every file with its imports before it, comments included."""
    pool: DescriptorPool
    services: tuple[Service, ...]
    events: tuple[Event, ...]
    callers: tuple[str, ...]
    """Everybody who may be granted a method, as policies name them: "gateway"."""


def load_protos(root: Path) -> ProtoContracts:
    """Compiles the protobuf module of `root`. Raises ContractError with buf's words when it does not compile."""
    return parse_image(_build(root))


def parse_image(image: bytes, options_pool: DescriptorPool | None = None) -> ProtoContracts:
    """What a compiled image says, comments included where it has them.

    `newer` has the options of today, by which an image of yesterday is read; without it, the image's own.
    """
    descriptors = FileDescriptorSet.FromString(image)
    pool = DescriptorPool()
    for file in descriptors.file:
        pool.Add(file)
    options = _OptionReader(options_pool or pool)
    return ProtoContracts(
        descriptors=descriptors,
        pool=pool,
        services=tuple(service for file in descriptors.file for service in _parse_services(file, options)),
        events=tuple(event for file in descriptors.file for event in _parse_events(file, options)),
        callers=options.caller_names(),
    )


def _build(root: Path) -> bytes:
    buf = Path(sys.executable).with_name("buf")
    done = subprocess.run([buf, "build", root, "--as-file-descriptor-set", "-o", "-#format=binpb"], capture_output=True)
    if done.returncode:
        raise ContractError(done.stderr.decode().strip())
    return done.stdout


class _OptionReader:
    """Reads our options, which the descriptors carry as extensions that only `pool` knows."""

    def __init__(self, pool: DescriptorPool) -> None:
        self._pool = pool
        self._callers = pool.FindEnumTypeByName(f"{OPTIONS_PACKAGE}.Caller").values_by_number

    def read(self, options: Message, extension_name: str) -> Any:
        """The option's message, or None where it is not stated."""
        extension: Any = self._pool.FindExtensionByName(f"{OPTIONS_PACKAGE}.{extension_name}")
        message_factory.GetMessageClass(extension.message_type)
        own = message_factory.GetMessageClass(extension.containing_type).FromString(options.SerializeToString())
        return own.Extensions[extension] if own.HasExtension(extension) else None

    def caller_names(self) -> tuple[str, ...]:
        """Every caller, but for the one that is none."""
        return tuple(self.caller_name(number) for number in sorted(self._callers) if number)

    def caller_name(self, number: int) -> str:
        """CALLER_GATEWAY → "gateway"."""
        name: str = self._callers[number].name
        return name.removeprefix("CALLER_").lower()


def _parse_services(file: FileDescriptorProto, options: _OptionReader) -> Iterator[Service]:
    comments = _comments_by_path(file)
    for i, service in enumerate(file.service):
        full_name = f"{file.package}.{service.name}"
        yield Service(
            full_name=full_name,
            package=file.package,
            name=service.name,
            comment=comments.get((6, i), ""),
            methods=tuple(
                _parse_method(method, full_name, comments.get((6, i, 2, j), ""), options)
                for j, method in enumerate(service.method)
            ),
        )


def _parse_method(method: MethodDescriptorProto, service: str, comment: str, options: _OptionReader) -> Method:
    policy = options.read(method.options, "method")
    if policy is None:
        raise ContractError(f"{service}.{method.name} has no option (delivery.options.v1.method): say who may call it")
    if method.client_streaming:
        raise ContractError(f"{service}.{method.name} streams requests, which neither our servicers nor our stubs do")
    made = Method(
        service=service,
        name=method.name,
        comment=comment,
        request=method.input_type.removeprefix("."),
        response=method.output_type.removeprefix("."),
        server_streaming=method.server_streaming,
        idempotency=MethodOptions.IdempotencyLevel.Name(method.options.idempotency_level),
        callers=tuple(options.caller_name(number) for number in policy.callers),
        actor_required=bool(policy.actor),
        timeout_s=policy.timeout.ToTimedelta().total_seconds() if policy.HasField("timeout") else None,
        attempts=max(1, policy.attempts),
    )
    if made.attempts > 1 and not made.is_idempotent:
        raise ContractError(f"{made.path} is tried {made.attempts} times, but its idempotency_level does not allow it")
    if made.timeout_s is None and not made.server_streaming:
        raise ContractError(f"{made.path} has no timeout; only a stream may live without one")
    return made


def _parse_events(file: FileDescriptorProto, options: _OptionReader) -> Iterator[Event]:
    comments = _comments_by_path(file)
    for i, message in enumerate(file.message_type):
        policy = options.read(message.options, "event")
        if policy is not None:
            yield _parse_event(file.package, message, policy, comments.get((4, i), ""), options)


def _parse_event(package: str, message: DescriptorProto, policy: Any, comment: str, options: _OptionReader) -> Event:
    return Event(
        message=f"{package}.{message.name}",
        type=policy.type,
        producer=options.caller_name(policy.producer),
        queues=tuple(policy.queues),
        priority_queue=policy.priority_queue,
        subject=policy.subject,
        comment=comment,
    )


def _comments_by_path(file: FileDescriptorProto) -> dict[tuple[int, ...], str]:
    """The comment above each element, by its path of field numbers and indexes in FileDescriptorProto."""
    return {
        tuple(location.path): "\n".join(line.strip() for line in location.leading_comments.strip().splitlines())
        for location in file.source_code_info.location
        if location.leading_comments
    }
