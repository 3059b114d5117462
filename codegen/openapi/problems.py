"""Rules of the error reasons of the served document, `x-problems`, and of its operations, `x-reasons`."""

from collections.abc import Iterable
from typing import Any

from codegen.openapi.findings import Findings, Pointer, find_node
from codegen.rest.problem_examples import (
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

ENTRY_TYPES: dict[str, type] = {"status": int, "grpc": str, "title": str, "description": str, "detail": dict}
REASON_PROPERTY: Pointer = ("components", "schemas", "Problem", "properties", "reason")


def check_problems(findings: Findings, operations: Iterable[tuple[dict[str, Any], Pointer]]) -> None:
    """Check the catalogue, and that each error response of an operation has a reason in it."""
    document = findings.file.document
    catalogue = document.get(EXTENSION)
    if not isinstance(catalogue, dict):
        findings.add((), f"the document has no object `{EXTENSION}`", "describe each reason of an error there")
        return
    if find_node(document, REASON_PROPERTY) is None:
        findings.add((), "the document has no schema Problem with the property reason", "add it (RFC 9457)")
    before = findings.count
    for reason in sorted(RUNTIME_REASONS):
        if reason not in catalogue:
            findings.add((EXTENSION,), f"the runtime uses the reason {reason}", "add it")
    for reason, entry in catalogue.items():
        for key, kind in ENTRY_TYPES.items():
            if not isinstance(entry, dict) or not isinstance(entry.get(key), kind):
                findings.add((EXTENSION, reason), f"the reason {reason} lacks `{key}`", "add it")
        if isinstance(entry, dict) and isinstance(entry.get("detail"), dict) and "en" not in entry["detail"]:
            findings.add((EXTENSION, reason), f"the detail of {reason} has no text in English", "add `en`")
    if findings.count == before:
        for operation, pointer in operations:
            _check_reasons(findings, operation, catalogue, pointer)


def _check_reasons(findings: Findings, operation: dict[str, Any], catalogue: dict[str, Any], pointer: Pointer) -> None:
    reasons, at = operation.get(REASONS_EXTENSION, []), (*pointer, REASONS_EXTENSION)
    if not isinstance(reasons, list):
        findings.add(at, f"`{REASONS_EXTENSION}` is no list", "list reasons")
    elif not isinstance(operation.get(OBSOLETE_STATUSES_EXTENSION, []), list):
        at = (*pointer, OBSOLETE_STATUSES_EXTENSION)
        findings.add(at, f"`{OBSOLETE_STATUSES_EXTENSION}` is no list", "list statuses such as '401'")
    elif unknown := [reason for reason in reasons if reason not in catalogue]:
        findings.add(at, f"the reason {unknown[0]} is unknown", f"add it to `{EXTENSION}`")
    else:
        try:
            list_reasons(operation, catalogue)
        except ValueError as error:
            problem = str(error).partition(": ")[2]
            findings.add(at, problem, f"correct `{REASONS_EXTENSION}` or the responses")
