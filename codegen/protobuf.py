"""Compiled protobuf packages with the policies of their methods and events."""

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
"""Package of the custom options, which only the generators read."""


@dataclass(frozen=True)
class Method:
    """One RPC. Message names are fully qualified: "delivery.orders.v1.GetOrderRequest"."""

    service: str
    name: str
    comment: str
    request: str
    response: str
    server_streaming: bool
    idempotency: str
    """Protobuf's idempotency level: NO_SIDE_EFFECTS, IDEMPOTENT or IDEMPOTENCY_UNKNOWN."""
    callers: tuple[str, ...]
    """Service names: "gateway"."""
    actor_required: bool
    """True if the callee's sidecar validates a user's token."""
    timeout_s: float | None
    """Timeout of the whole call, including retries; None for an unbounded stream."""
    attempts: int

    @property
    def path(self) -> str:
        """Return the :path of the HTTP/2 request."""
        return f"/{self.service}/{self.name}"

    @property
    def is_idempotent(self) -> bool:
        """Return whether the method may be retried."""
        return self.idempotency != "IDEMPOTENCY_UNKNOWN"


@dataclass(frozen=True)
class Service:
    """One service, with its methods in file order."""

    full_name: str
    package: str
    name: str
    comment: str
    methods: tuple[Method, ...]


@dataclass(frozen=True)
class Event:
    """One message that is published to the broker."""

    message: str
    """Fully qualified name: "delivery.events.v1.OrderPaid"."""
    type: str
    """CloudEvents type and routing key: "orders.paid"."""
    producer: str
    """The service that publishes it from its outbox."""
    queues: tuple[str, ...]
    priority_queue: str
    """Queue for copies of events with an urgent subject; empty for none."""
    subscribers: tuple[str, ...]
    """Services whose processes receive the event through exclusive queues."""
    subject: str
    """Dotted path of the field with the CloudEvents subject: "order.order_id"."""
    comment: str

    @property
    def all_queues(self) -> tuple[str, ...]:
        """Return the queues with a consumer, including the priority queue."""
        return (*self.queues, self.priority_queue) if self.priority_queue else self.queues


@dataclass(frozen=True)
class ProtoContracts:
    """Result of `buf build` on `api-specs/proto`."""

    descriptors: FileDescriptorSet
    """All files, imports first, with comments."""
    pool: DescriptorPool
    services: tuple[Service, ...]
    events: tuple[Event, ...]
    callers: tuple[str, ...]
    """Names of all possible callers: "gateway"."""


def load_protos(root: Path) -> ProtoContracts:
    """Compile the protobuf module of `root`.

    Raises ContractError with the output of buf when it does not compile.
    """
    return parse_image(_build(root))


def parse_image(image: bytes, options_pool: DescriptorPool | None = None) -> ProtoContracts:
    """Parse a compiled image.

    `options_pool` provides the current definition of the options to read an older image; by default the image's own.
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
        callers=options.list_caller_names(),
    )


def _build(root: Path) -> bytes:
    buf = Path(sys.executable).with_name("buf")
    result = subprocess.run(
        [buf, "build", root, "--as-file-descriptor-set", "-o", "-#format=binpb"],
        capture_output=True,
        check=False,
    )
    if result.returncode:
        raise ContractError(result.stderr.decode().strip())
    return result.stdout


class _OptionReader:
    """Reader of the custom options, which descriptors carry as extensions defined in `pool`."""

    def __init__(self, pool: DescriptorPool) -> None:
        self._pool = pool
        self._callers = pool.FindEnumTypeByName(f"{OPTIONS_PACKAGE}.Caller").values_by_number

    def read(self, options: Message, extension_name: str) -> Any:
        """Return the message of the option, or None if the option is absent."""
        extension: Any = self._pool.FindExtensionByName(f"{OPTIONS_PACKAGE}.{extension_name}")
        message_factory.GetMessageClass(extension.message_type)
        own = message_factory.GetMessageClass(extension.containing_type).FromString(options.SerializeToString())
        return own.Extensions[extension] if own.HasExtension(extension) else None

    def list_caller_names(self) -> tuple[str, ...]:
        """Return all callers except CALLER_UNSPECIFIED."""
        return tuple(self.format_caller_name(number) for number in sorted(self._callers) if number)

    def format_caller_name(self, number: int) -> str:
        """Convert CALLER_GATEWAY to "gateway"."""
        name: str = self._callers[number].name
        return name.removeprefix("CALLER_").lower()


def _parse_services(file: FileDescriptorProto, options: _OptionReader) -> Iterator[Service]:
    comments = _get_comments_by_path(file)
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
        raise ContractError(
            f"{service}.{method.name} has no option (delivery.options.v1.method); add it with the callers"
        )
    if method.client_streaming:
        raise ContractError(f"{service}.{method.name} streams requests, which servicers and stubs do not support")
    parsed = Method(
        service=service,
        name=method.name,
        comment=comment,
        request=method.input_type.removeprefix("."),
        response=method.output_type.removeprefix("."),
        server_streaming=method.server_streaming,
        idempotency=MethodOptions.IdempotencyLevel.Name(method.options.idempotency_level),
        callers=tuple(options.format_caller_name(number) for number in policy.callers),
        actor_required=bool(policy.actor),
        timeout_s=policy.timeout.ToTimedelta().total_seconds() if policy.HasField("timeout") else None,
        attempts=max(1, policy.attempts),
    )
    if parsed.attempts > 1 and not parsed.is_idempotent:
        raise ContractError(f"{parsed.path} has {parsed.attempts} attempts, but its idempotency_level forbids retries")
    if parsed.timeout_s is None and not parsed.server_streaming:
        raise ContractError(f"{parsed.path} has no timeout; only a stream may omit it")
    return parsed


def _parse_events(file: FileDescriptorProto, options: _OptionReader) -> Iterator[Event]:
    comments = _get_comments_by_path(file)
    for i, message in enumerate(file.message_type):
        policy = options.read(message.options, "event")
        if policy is not None:
            yield _parse_event(file.package, message, policy, comments.get((4, i), ""), options)


def _parse_event(package: str, message: DescriptorProto, policy: Any, comment: str, options: _OptionReader) -> Event:
    return Event(
        message=f"{package}.{message.name}",
        type=policy.type,
        producer=options.format_caller_name(policy.producer),
        queues=tuple(policy.queues),
        priority_queue=policy.priority_queue,
        subscribers=tuple(options.format_caller_name(number) for number in policy.subscribers),
        subject=policy.subject,
        comment=comment,
    )


def _get_comments_by_path(file: FileDescriptorProto) -> dict[tuple[int, ...], str]:
    """Return the leading comment of each element, by its path in FileDescriptorProto."""
    return {
        tuple(location.path): "\n".join(line.strip() for line in location.leading_comments.strip().splitlines())
        for location in file.source_code_info.location
        if location.leading_comments
    }
