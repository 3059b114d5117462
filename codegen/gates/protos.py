"""What buf says of the protobuf files, and whether events are still what their consumers were promised."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from codegen import asyncapi, contracts
from codegen.gates import RELEASED, Finding, GateError
from codegen.protobuf import Event, ProtoContracts, read_protos

IMAGE = RELEASED / "protos.binpb"
ASYNCAPI = RELEASED / "asyncapi.yaml"
PROTOS = Path("api-specs/proto")
EVENTS = "api-specs/proto/delivery/events/v1/events.proto"


def buf(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs buf in `root`."""
    command = [str(Path(sys.executable).with_name("buf")), *arguments]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)


def lint(root: Path) -> list[Finding]:
    """`buf lint` by the rules of `buf.yaml`."""
    return _findings(buf(root, "lint", "--error-format=json"))


def form(root: Path) -> list[Finding]:
    """`buf format`."""
    done = buf(root, "format", "--diff", "--exit-code")
    if done.returncode not in (0, 100):
        raise GateError(f"buf format did not run:\n{done.stderr.strip()}")
    names = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("+++ ")]
    return [Finding(name, "The file is not formatted.", "format") for name in names]


def breaking(root: Path) -> list[Finding]:
    """What `buf breaking` finds against the released image."""
    if not (root / IMAGE).exists():
        return []
    return _findings(buf(root, "breaking", "--against", str(IMAGE), "--error-format=json"))


def events_breaking(root: Path) -> list[Finding]:
    """Whether what is published still reaches those who were promised it, in the form they were promised."""
    if not (root / IMAGE).exists():
        return []
    present = contracts.load(root)
    released = read_protos((root / IMAGE).read_bytes(), present.protos.pool)
    now = _yaml(str(asyncapi.generate(present)["asyncapi/delivery.yaml"]))
    then = _yaml((root / ASYNCAPI).read_text())
    return [*_events(released, present.protos), *_envelopes(then, now)]


def _yaml(text: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.load(text, Loader=yaml.CSafeLoader)
    return document


def _events(released: ProtoContracts, present: ProtoContracts) -> Iterator[Finding]:
    by_type = {event.type: event for event in present.events}
    for then in released.events:
        now = by_type.get(then.type)
        if now is None:
            yield Finding(EVENTS, f"The event {then.type} is no longer published.", "event-removed")
            continue
        yield from _policy(then, now)
        before = released.pool.FindMessageTypeByName(then.message)
        yield from _fields(then.type, before, present.pool.FindMessageTypeByName(now.message))


def _policy(then: Event, now: Event) -> Iterator[Finding]:
    if now.message != then.message:
        yield Finding(EVENTS, f"{then.type} bears {now.message}, not {then.message}.", "event-message-changed")
    if now.producer != then.producer:
        yield Finding(EVENTS, f"{then.type} comes from {now.producer}, not {then.producer}.", "event-producer-changed")
    if now.subject != then.subject:
        yield Finding(EVENTS, f"{then.type} is about {now.subject}, not {then.subject}.", "event-subject-changed")
    for queue in sorted(set(then.queues) - set(now.queues)):
        yield Finding(EVENTS, f"{then.type} no longer reaches the queue {queue}.", "event-queue-removed")


def _fields(path: str, then: Descriptor, now: Descriptor, seen: frozenset[str] = frozenset()) -> Iterator[Finding]:
    """By number, since that is what travels; by name, since that is what AsyncAPI shows."""
    if then.full_name in seen:
        return
    for field in then.fields:
        here = f"{path}: {field.name}"
        same = now.fields_by_number.get(field.number)
        if same is None:
            yield Finding(EVENTS, f"{here} is gone.", "event-field-removed")
        elif (same.name, _kind(same)) != (field.name, _kind(field)):
            yield Finding(EVENTS, f"{here} became {same.name}, {_kind(same)}.", "event-field-changed")
        elif field.message_type is not None and same.message_type is not None:
            yield from _fields(here, field.message_type, same.message_type, seen | {then.full_name})


def _kind(field: FieldDescriptor) -> str:
    kind = field.message_type or field.enum_type
    many = "repeated " if field.is_repeated else ""
    return many + (kind.full_name if kind is not None else f"type {field.type}")


def _envelopes(then: dict[str, Any], now: dict[str, Any]) -> Iterator[Finding]:
    """What AsyncAPI says around the payload: the exchange, the form of the body, and the headers."""
    where = "codegen/asyncapi.py"
    for name, channel in then["channels"].items():
        same = now["channels"].get(name)
        if same is not None and (same["address"], same["bindings"]) != (channel["address"], channel["bindings"]):
            yield Finding(where, f"{name} is published elsewhere.", "event-address-changed")
    for name, message in then["components"]["messages"].items():
        same = now["components"]["messages"].get(name)
        if same is not None and same["contentType"] != message["contentType"]:
            yield Finding(
                where, f"{name} is {same['contentType']}, not {message['contentType']}.", "event-form-changed"
            )
    headers = now["components"]["schemas"]["Headers"]
    for name in then["components"]["schemas"]["Headers"]["required"]:
        if name not in headers["required"]:
            yield Finding(where, f"The header {name} is no longer sent with each event.", "event-header-removed")


def _findings(done: subprocess.CompletedProcess[str]) -> list[Finding]:
    if done.returncode not in (0, 100):
        raise GateError(f"buf did not run:\n{done.stderr.strip()}")
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return [
        Finding(f"{each.get('path', PROTOS)}:{each.get('start_line', 1)}", each["message"], each["type"])
        for each in found
    ]
