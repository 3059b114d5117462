"""Compiled protobuf packages with the policies of their methods and events."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FileDescriptorSet,
    MethodDescriptorProto,
    MethodOptions,
)
from google.protobuf.descriptor_pool import DescriptorPool

from codegen.errors import ContractError, ContractErrors
from codegen.proto_rules.locations import (
    METHODS,
    PROTO_FOLDER,
    SERVICES,
    Element,
    SourceFile,
    find_options_package,
    iter_messages,
)
from codegen.proto_rules.options import OptionReader
from codegen.proto_rules.subjects import check_subjects

MIN_TIMEOUT_S, MAX_TIMEOUT_S = 0.001, 31_536_000


@dataclass(frozen=True)
class Method:
    """One RPC. Message names are fully qualified: "library.loans.v1.GetLoanRequest"."""

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
    client_streaming: bool = False
    location: str = field(default="", compare=False)
    """File and line, for errors."""

    @property
    def is_streaming(self) -> bool:
        """Return whether a side sends a stream."""
        return self.client_streaming or self.server_streaming

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
    location: str = field(default="", compare=False)
    """File and line, for errors."""


@dataclass(frozen=True)
class Event:
    """One message that is published to the broker."""

    message: str
    """Fully qualified name: "library.events.v1.LoanStarted"."""
    type: str
    """CloudEvents type and routing key: "loans.started"."""
    producer: str
    """The service that publishes it from its outbox."""
    queues: tuple[str, ...]
    priority_queue: str
    """Queue for copies of events with an urgent subject; empty for none."""
    subscribers: tuple[str, ...]
    """Services whose processes receive the event through exclusive queues."""
    subject: str
    """Dotted path of the field with the CloudEvents subject: "loan.loan_id"."""
    comment: str
    location: str = field(default="", compare=False)
    """File and line, for errors."""

    @property
    def name(self) -> str:
        """Return the name of the message without its package: "LoanStarted"."""
        return self.message.rpartition(".")[2]

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

    Raises ContractError with all errors, or with the output of buf when it does not compile.
    """
    from codegen.proto_rules.rules import check_files  # noqa: PLC0415 (images lack its dependency, the compiler)

    errors = ContractErrors()
    image = _build(root)
    descriptors, pool = _load_descriptors(image)
    with errors.collect():
        check_files(descriptors, pool)
    with errors.collect():
        contracts = parse_image(image)
        check_subjects(contracts.events, pool)
    errors.raise_if_any()
    return contracts


def parse_image(image: bytes, options_pool: DescriptorPool | None = None) -> ProtoContracts:
    """Parse a compiled image.

    `options_pool` provides the current definition of the options to read an older image; by default the image's own.
    Raises ContractError with all errors of the options.
    """
    descriptors, pool = _load_descriptors(image)
    options, errors = OptionReader(options_pool or pool, find_options_package(descriptors)), ContractErrors()
    files = [SourceFile(file) for file in descriptors.file]
    services = [service for file in files for service in _parse_services(file, options, errors)]
    events = [event for file in files for event in _parse_events(file, options, errors)]
    errors.raise_if_any()
    return ProtoContracts(descriptors, pool, tuple(services), tuple(events), options.list_caller_names())


def _load_descriptors(image: bytes) -> tuple[FileDescriptorSet, DescriptorPool]:
    descriptors, pool = FileDescriptorSet.FromString(image), DescriptorPool()
    for file in descriptors.file:
        try:
            pool.Add(file)
        except TypeError as error:
            raise ContractError(f"{PROTO_FOLDER}/{file.name}: {error}; rename what is duplicate") from error
    return descriptors, pool


def _build(root: Path) -> bytes:
    buf = Path(sys.executable).with_name("buf")
    result = subprocess.run(
        [buf, "build", "--as-file-descriptor-set", "-o", "-#format=binpb"],
        cwd=root,
        capture_output=True,
        check=False,
    )
    if result.returncode:
        raise ContractError(*result.stderr.decode().strip().splitlines())
    return result.stdout


def _parse_services(file: SourceFile, options: OptionReader, errors: ContractErrors) -> Iterator[Service]:
    package = file.descriptor.package
    for i, service in enumerate(file.descriptor.service):
        full_name = f"{package}.{service.name}"
        methods = []
        for j, method in enumerate(service.method):
            with errors.collect():
                methods.append(_parse_method(file, (SERVICES, i, METHODS, j), method, full_name, options))
        path = (SERVICES, i)
        yield Service(
            full_name, package, service.name, file.get_comment(path), tuple(methods), file.format_location(path)
        )


def _parse_method(
    file: SourceFile, path: tuple[int, ...], method: MethodDescriptorProto, service: str, options: OptionReader
) -> Method:
    location = file.format_location(path)
    policy = options.read(method.options, "method")
    if policy is None:
        raise ContractError(
            f"{location}: {service}.{method.name} has no option ({options.package}.method); add it with the callers"
        )
    parsed = Method(
        service=service,
        name=method.name,
        comment=file.get_comment(path),
        request=method.input_type.removeprefix("."),
        response=method.output_type.removeprefix("."),
        server_streaming=method.server_streaming,
        idempotency=MethodOptions.IdempotencyLevel.Name(method.options.idempotency_level),
        callers=tuple(options.format_caller_name(number) for number in policy.callers),
        actor_required=bool(policy.actor),
        timeout_s=policy.timeout.seconds + policy.timeout.nanos / 1e9 if policy.HasField("timeout") else None,
        attempts=max(1, policy.attempts),
        client_streaming=method.client_streaming,
        location=location,
    )
    _check_method(parsed)
    return parsed


def _check_method(method: Method) -> None:
    """Raise ContractError for a policy that contradicts the kind of the method or itself."""
    problems = []
    if method.attempts > 1 and method.client_streaming:
        problems.append(f"has {method.attempts} attempts, but a stream of requests cannot be repeated; delete attempts")
    elif method.attempts > 1 and not method.is_idempotent:
        problems.append(f"has {method.attempts} attempts, but its idempotency_level forbids retries")
    if method.timeout_s is None and not method.is_streaming:
        problems.append("has no timeout; only a stream may omit it")
    if method.timeout_s is not None and not MIN_TIMEOUT_S <= method.timeout_s <= MAX_TIMEOUT_S:
        problems.append(
            "has a timeout that is not between one millisecond and one year; correct it, or delete it from a stream"
        )
    if "unspecified" in method.callers:
        problems.append("has CALLER_UNSPECIFIED among its callers; delete it")
    if len(set(method.callers)) < len(method.callers):
        problems.append("has a caller twice; delete one")
    if problems:
        raise ContractError(*(f"{method.location}: {method.path} {problem}".removeprefix(": ") for problem in problems))


def _parse_events(file: SourceFile, options: OptionReader, errors: ContractErrors) -> Iterator[Event]:
    for message in iter_messages(file):
        policy = options.read(message.descriptor.options, "event")
        if policy is not None:
            event = None
            with errors.collect():
                event = _parse_event(message, policy, options)
            if event is not None:
                yield event


def _parse_event(message: Element[DescriptorProto], policy: Any, options: OptionReader) -> Event:
    if len(message.path) > 2:
        raise ContractError(f"{message.location}: {message.full_name} is nested, so it is no event; move it out")
    if not policy.producer:
        raise ContractError(f"{message.location}: {message.full_name} has no producer; add it to the option")
    return Event(
        message=message.full_name,
        type=policy.type,
        producer=options.format_caller_name(policy.producer),
        queues=tuple(policy.queues),
        priority_queue=policy.priority_queue,
        subscribers=tuple(options.format_caller_name(number) for number in policy.subscribers),
        subject=policy.subject,
        comment=message.file.get_comment(message.path),
        location=message.location,
    )
