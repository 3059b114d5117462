"""Checks of the protobuf files with buf, and of the compatibility of events."""

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


def run_buf(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run buf in `root`."""
    command = [str(Path(sys.executable).with_name("buf")), *arguments]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False, encoding="utf-8")


def lint(root: Path) -> list[Finding]:
    """Run `buf lint` with the rules of `buf.yaml`."""
    return _parse_findings(run_buf(root, "lint", "--error-format=json"))


def check_format(root: Path) -> list[Finding]:
    """Return the files that `buf format` would change."""
    result = run_buf(root, "format", "--diff", "--exit-code")
    if result.returncode not in (0, 100):
        raise ContractCheckError(f"buf format failed:\n{result.stderr.strip()}")
    names = [line.split()[1] for line in result.stdout.splitlines() if line.startswith("+++ ")]
    return [Finding(name, "The file is not formatted.", "format") for name in names]


def find_breaking_changes(root: Path) -> list[Finding]:
    """Run `buf breaking` against the released image."""
    if not (root / RELEASED_IMAGE).exists():
        return []
    return _parse_findings(run_buf(root, "breaking", "--against", str(RELEASED_IMAGE), "--error-format=json"))


def find_breaking_event_changes(root: Path) -> list[Finding]:
    """Return the changes of events, their queues and their envelope that break consumers of the last release."""
    if not (root / RELEASED_IMAGE).exists():
        return []
    present = contracts.load(root)
    released = parse_image((root / RELEASED_IMAGE).read_bytes(), present.protos.pool)
    current_document = _parse_yaml(asyncapi.render_document(present))
    released_document = _parse_yaml((root / RELEASED_ASYNCAPI).read_text(encoding="utf-8"))
    return [
        *_iter_event_changes(released, present.protos),
        *_iter_envelope_changes(released_document, current_document),
    ]


def _parse_yaml(text: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.load(text, Loader=yaml.CSafeLoader)
    return document


def _iter_event_changes(released: ProtoContracts, current: ProtoContracts) -> Iterator[Finding]:
    by_type = {event.type: event for event in current.events}
    for released_event in released.events:
        current_event = by_type.get(released_event.type)
        if current_event is None:
            yield Finding(
                released_event.location, f"The event {released_event.type} is no longer published.", "event-removed"
            )
            continue
        yield from _iter_policy_changes(released_event, current_event)
        yield from _iter_field_changes(
            released_event.type,
            released.pool.FindMessageTypeByName(released_event.message),
            current.pool.FindMessageTypeByName(current_event.message),
        )


def _iter_policy_changes(released: Event, current: Event) -> Iterator[Finding]:
    if current.message != released.message:
        yield Finding(
            released.location,
            f"{released.type} has the message {current.message}, not {released.message}.",
            "event-message-changed",
        )
    if current.producer != released.producer:
        yield Finding(
            released.location,
            f"{released.type} is produced by {current.producer}, not {released.producer}.",
            "event-producer-changed",
        )
    if current.subject != released.subject:
        yield Finding(
            released.location,
            f"{released.type} has the subject {current.subject}, not {released.subject}.",
            "event-subject-changed",
        )
    for queue in sorted(set(released.queues) - set(current.queues)):
        yield Finding(released.location, f"{released.type} no longer reaches the queue {queue}.", "event-queue-removed")


def _iter_field_changes(
    path: str, released: Descriptor, current: Descriptor, seen: frozenset[str] = frozenset()
) -> Iterator[Finding]:
    """Compare fields by number, as on the wire, and by name, as in AsyncAPI."""
    if released.full_name in seen:
        return
    location = f"{PROTO_FOLDER}/{released.file.name}"
    for field in released.fields:
        field_path = f"{path}: {field.name}"
        same = current.fields_by_number.get(field.number)
        if same is None:
            yield Finding(location, f"{field_path} was removed.", "event-field-removed")
        elif (same.name, _format_field_type(same)) != (field.name, _format_field_type(field)):
            yield Finding(
                location,
                f"{field_path} was changed to {same.name}, {_format_field_type(same)}.",
                "event-field-changed",
            )
        elif field.message_type is not None and same.message_type is not None:
            yield from _iter_field_changes(
                field_path, field.message_type, same.message_type, seen | {released.full_name}
            )


def _format_field_type(field: FieldDescriptor) -> str:
    kind = field.message_type or field.enum_type
    label = "repeated " if field.is_repeated else ""
    return label + (kind.full_name if kind is not None else f"type {field.type}")


def _iter_envelope_changes(released: dict[str, Any], current: dict[str, Any]) -> Iterator[Finding]:
    """Compare the envelope in AsyncAPI: exchange, content type and headers."""
    location = "codegen/events/asyncapi.py"
    for name, channel in released["channels"].items():
        same = current["channels"].get(name)
        if same is not None and (same["address"], same["bindings"]) != (channel["address"], channel["bindings"]):
            yield Finding(location, f"The address of {name} has changed.", "event-address-changed")
    for name, message in released["components"]["messages"].items():
        same = current["components"]["messages"].get(name)
        if same is not None and same["contentType"] != message["contentType"]:
            yield Finding(
                location,
                f"{name} has the content type {same['contentType']}, not {message['contentType']}.",
                "event-form-changed",
            )
    headers = current["components"]["schemas"]["Headers"]
    for name in released["components"]["schemas"]["Headers"]["required"]:
        if name not in headers["required"]:
            yield Finding(location, f"The header {name} is no longer required.", "event-header-removed")


def _parse_findings(result: subprocess.CompletedProcess[str]) -> list[Finding]:
    if result.returncode not in (0, 100):
        raise ContractCheckError(f"buf failed:\n{result.stderr.strip()}")
    reports = [json.loads(line) for line in result.stdout.splitlines()]
    return [
        Finding(f"{each.get('path', PROTO_FOLDER)}:{each.get('start_line', 1)}", each["message"], each["type"])
        for each in reports
    ]
