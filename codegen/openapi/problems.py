"""Rules of the error reasons of the served document, `x-problems`, and of its operations, `x-reasons`."""

import re
from collections.abc import Collection, Iterable, Iterator
from string import Formatter
from typing import Any

from codegen.openapi.findings import Findings, Pointer, find_node
from codegen.rest.problem_examples import (
    EXAMPLE_MEMBERS,
    FORMATTED_MEMBERS,
    OBSOLETE_STATUSES_EXTENSION,
    REASONS_EXTENSION,
    SHARED_REASONS,
    TOKEN_REASONS,
    list_reasons,
)

EXTENSION = "x-problems"
RUNTIME_REASONS = frozenset(
    {
        *SHARED_REASONS.values(),
        *TOKEN_REASONS,
        *("IDEMPOTENCY_KEY_BUSY", "IDEMPOTENCY_KEY_REUSED", "INTERNAL", "METHOD_NOT_ALLOWED", "NOT_FOUND"),
        *("REAUTHENTICATION_REQUIRED", "SIGNATURE_INVALID", "UPSTREAM_ERROR"),
    }
)
"""Reasons that `services/runtime` and the local replies of Envoy have."""

REASON_PATTERN = re.compile(r"[A-Z][A-Z0-9_]{0,62}")
STATUS_RANGE = range(400, 600)
GRPC_CODES = frozenset(
    {
        *("ABORTED", "ALREADY_EXISTS", "CANCELLED", "DATA_LOSS", "DEADLINE_EXCEEDED", "FAILED_PRECONDITION"),
        *("INTERNAL", "INVALID_ARGUMENT", "NOT_FOUND", "OUT_OF_RANGE", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED"),
        *("UNAUTHENTICATED", "UNAVAILABLE", "UNIMPLEMENTED", "UNKNOWN"),
    }
)
"""Status codes of errors of gRPC."""

TEXTS = ("detail", "detail_with_values")
VALUES = (EXAMPLE_MEMBERS, FORMATTED_MEMBERS)
ENTRY_TYPES: dict[str, type] = {"status": int, "grpc": str, "title": str, "description": str, "detail": dict}
REASON_PROPERTY: Pointer = ("components", "schemas", "Problem", "properties", "reason")


def check_problems(findings: Findings, operations: Iterable[tuple[dict[str, Any], Pointer]]) -> None:
    """Check the catalogue, and that each error response of an operation has a reason in it."""
    document = findings.file.document
    catalogue = document.get(EXTENSION)
    if not isinstance(catalogue, dict):
        findings.add((), f"the document has no object `{EXTENSION}`", "describe each reason of an error there")
        return
    if not isinstance(find_node(document, REASON_PROPERTY), dict):
        findings.add((), "the document has no schema Problem with the property reason", "add it (RFC 9457)")
    before = findings.count
    for reason in sorted(RUNTIME_REASONS):
        if reason not in catalogue:
            findings.add((EXTENSION,), f"the runtime uses the reason {reason}", "add it")
    for reason, entry in catalogue.items():
        for key, kind in ENTRY_TYPES.items():
            if not isinstance(entry, dict) or not isinstance(entry.get(key), kind):
                findings.add((EXTENSION, reason), f"the reason {reason} lacks `{key}`", "add it")
        for problem, remedy in _find_entry_problems(reason, entry) if findings.count == before else ():
            findings.add((EXTENSION, reason), problem, remedy)
    if findings.count == before:
        for operation, pointer in operations:
            _check_reasons(findings, operation, catalogue, pointer)


def _find_entry_problems(reason: str, entry: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if not REASON_PATTERN.fullmatch(reason):
        yield f"the reason {reason} is no constant", "use A-Z, 0-9 and `_`"
    if entry["status"] not in STATUS_RANGE:
        yield f"the status {entry['status']} of {reason} is no error", "write one from 400 to 599"
    if entry["grpc"] not in GRPC_CODES:
        yield f"{entry['grpc']} of {reason} is no status code of gRPC", f"use one of {', '.join(sorted(GRPC_CODES))}"
    if "en" not in entry["detail"]:
        yield f"the detail of {reason} has no text in English", "add `en`"
    if wrong := [key for key in (*TEXTS, *VALUES) if not isinstance(entry.get(key, {}), dict)]:
        yield f"`{wrong[0]}` of {reason} is no object", "write values by name"
        return
    values = {name for key in VALUES for name in entry.get(key, {})}
    for key in TEXTS:
        for language, text in entry.get(key, {}).items():
            if not isinstance(text, str) or (unknown := _find_unknown_placeholder(text, values)) is not None:
                problem = f"`{key}` of {reason} in {language} is no text, or has a placeholder without an example"
                yield problem, f"correct {unknown}, or add it to `example`" if isinstance(text, str) else "write a text"


def _find_unknown_placeholder(text: str, values: Collection[str]) -> str | None:
    """Return a placeholder without a value, or a malformed text; None for a text that can be formatted."""
    try:
        names = [name for _, name, _, _ in Formatter().parse(text) if name is not None]
    except ValueError:
        return text
    return next((f"{{{name}}}" for name in names if name not in values), None)


def _check_reasons(findings: Findings, operation: dict[str, Any], catalogue: dict[str, Any], pointer: Pointer) -> None:
    reasons, at = operation.get(REASONS_EXTENSION, []), (*pointer, REASONS_EXTENSION)
    if not isinstance(reasons, list):
        findings.add(at, f"`{REASONS_EXTENSION}` is no list", "list reasons")
    elif not isinstance(operation.get(OBSOLETE_STATUSES_EXTENSION, []), list):
        at = (*pointer, OBSOLETE_STATUSES_EXTENSION)
        findings.add(at, f"`{OBSOLETE_STATUSES_EXTENSION}` is no list", "list statuses such as '401'")
    elif not all(isinstance(reason, str) for reason in reasons):
        findings.add(at, f"`{REASONS_EXTENSION}` has a value that is no text", "list reasons")
    elif unknown := [reason for reason in reasons if reason not in catalogue]:
        findings.add(at, f"the reason {unknown[0]} is unknown", f"add it to `{EXTENSION}`")
    else:
        try:
            list_reasons(operation, catalogue, findings.file.document.get("security", ()))
        except ValueError as error:
            problem = str(error).partition(": ")[2]
            findings.add(at, problem, f"correct `{REASONS_EXTENSION}` or the responses")
