"""What buf says of the protobuf files, and whether events are still what their consumers were promised."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from codegen import contracts
from codegen.checks import RELEASED_FOLDER, ContractCheckError, Finding
from codegen.events import asyncapi
from codegen.protobuf import Event, ProtoContracts, parse_image

RELEASED_IMAGE = RELEASED_FOLDER / "protos.binpb"
RELEASED_ASYNCAPI = RELEASED_FOLDER / "asyncapi.yaml"
PROTO_FOLDER = Path("api-specs/proto")
EVENTS_PROTO = "api-specs/proto/delivery/events/v1/events.proto"


def run_buf(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs buf in `root`."""
    command = [str(Path(sys.executable).with_name("buf")), *arguments]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)


def lint(root: Path) -> list[Finding]:
    """`buf lint` by the rules of `buf.yaml`."""
    return _parse_findings(run_buf(root, "lint", "--error-format=json"))


def check_format(root: Path) -> list[Finding]:
    """`buf format`."""
    done = run_buf(root, "format", "--diff", "--exit-code")
    if done.returncode not in (0, 100):
        raise ContractCheckError(f"buf format did not run:\n{done.stderr.strip()}")
    names = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("+++ ")]
    return [Finding(name, "The file is not formatted.", "format") for name in names]


def find_breaking_changes(root: Path) -> list[Finding]:
    """What `buf breaking` finds against the released image."""
    if not (root / RELEASED_IMAGE).exists():
        return []
    return _parse_findings(run_buf(root, "breaking", "--against", str(RELEASED_IMAGE), "--error-format=json"))


def find_breaking_event_changes(root: Path) -> list[Finding]:
    """Whether what is published still reaches those who were promised it, in the form they were promised."""
    if not (root / RELEASED_IMAGE).exists():
        return []
    present = contracts.load(root)
    released = parse_image((root / RELEASED_IMAGE).read_bytes(), present.protos.pool)
    now = _parse_yaml(str(asyncapi.generate(present)["asyncapi/delivery.yaml"]))
    then = _parse_yaml((root / RELEASED_ASYNCAPI).read_text())
    return [*_event_changes(released, present.protos), *_envelope_changes(then, now)]


def _parse_yaml(text: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.load(text, Loader=yaml.CSafeLoader)
    return document


def _event_changes(released: ProtoContracts, current: ProtoContracts) -> Iterator[Finding]:
    by_type = {event.type: event for event in current.events}
    for then in released.events:
        now = by_type.get(then.type)
        if now is None:
            yield Finding(EVENTS_PROTO, f"The event {then.type} is no longer published.", "event-removed")
            continue
        yield from _policy_changes(then, now)
        before = released.pool.FindMessageTypeByName(then.message)
        yield from _field_changes(then.type, before, current.pool.FindMessageTypeByName(now.message))


def _policy_changes(released: Event, current: Event) -> Iterator[Finding]:
    if current.message != released.message:
        yield Finding(
            EVENTS_PROTO, f"{released.type} bears {current.message}, not {released.message}.", "event-message-changed"
        )
    if current.producer != released.producer:
        yield Finding(
            EVENTS_PROTO,
            f"{released.type} comes from {current.producer}, not {released.producer}.",
            "event-producer-changed",
        )
    if current.subject != released.subject:
        yield Finding(
            EVENTS_PROTO,
            f"{released.type} is about {current.subject}, not {released.subject}.",
            "event-subject-changed",
        )
    for queue in sorted(set(released.queues) - set(current.queues)):
        yield Finding(EVENTS_PROTO, f"{released.type} no longer reaches the queue {queue}.", "event-queue-removed")


def _field_changes(
    path: str, released: Descriptor, current: Descriptor, seen: frozenset[str] = frozenset()
) -> Iterator[Finding]:
    """By number, since that is what travels; by name, since that is what AsyncAPI shows."""
    if released.full_name in seen:
        return
    for field in released.fields:
        here = f"{path}: {field.name}"
        same = current.fields_by_number.get(field.number)
        if same is None:
            yield Finding(EVENTS_PROTO, f"{here} is gone.", "event-field-removed")
        elif (same.name, _field_type(same)) != (field.name, _field_type(field)):
            yield Finding(EVENTS_PROTO, f"{here} became {same.name}, {_field_type(same)}.", "event-field-changed")
        elif field.message_type is not None and same.message_type is not None:
            yield from _field_changes(here, field.message_type, same.message_type, seen | {released.full_name})


def _field_type(field: FieldDescriptor) -> str:
    kind = field.message_type or field.enum_type
    many = "repeated " if field.is_repeated else ""
    return many + (kind.full_name if kind is not None else f"type {field.type}")


def _envelope_changes(released: dict[str, Any], current: dict[str, Any]) -> Iterator[Finding]:
    """What AsyncAPI says around the payload: the exchange, the form of the body, and the headers."""
    where = "codegen/events/asyncapi.py"
    for name, channel in released["channels"].items():
        same = current["channels"].get(name)
        if same is not None and (same["address"], same["bindings"]) != (channel["address"], channel["bindings"]):
            yield Finding(where, f"{name} is published elsewhere.", "event-address-changed")
    for name, message in released["components"]["messages"].items():
        same = current["components"]["messages"].get(name)
        if same is not None and same["contentType"] != message["contentType"]:
            yield Finding(
                where, f"{name} is {same['contentType']}, not {message['contentType']}.", "event-form-changed"
            )
    headers = current["components"]["schemas"]["Headers"]
    for name in released["components"]["schemas"]["Headers"]["required"]:
        if name not in headers["required"]:
            yield Finding(where, f"The header {name} is no longer sent with each event.", "event-header-removed")


def _parse_findings(done: subprocess.CompletedProcess[str]) -> list[Finding]:
    if done.returncode not in (0, 100):
        raise ContractCheckError(f"buf did not run:\n{done.stderr.strip()}")
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return [
        Finding(f"{each.get('path', PROTO_FOLDER)}:{each.get('start_line', 1)}", each["message"], each["type"])
        for each in found
    ]
