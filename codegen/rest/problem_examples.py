"""Reasons and examples of the error responses of each operation in the published OpenAPI document."""

import copy
import re
from collections.abc import Sequence
from typing import Any

from codegen.openapi.findings import HTTP_METHODS
from codegen.openapi.servers import get_base_path

REASONS_EXTENSION = "x-reasons"
"""Extension of an operation: in the contract, the reasons that it does not share; published, all of its reasons."""

OBSOLETE_STATUSES_EXTENSION = "x-obsolete-statuses"
"""Extension of an operation: statuses that it no longer returns, but whose removal would break released clients."""

OBSOLETE_DESCRIPTION = "Not returned. Earlier versions of the operation returned it."

SHARED_REASONS = {
    "400": "INVALID_REQUEST",
    "403": "FORBIDDEN",
    "408": "REQUEST_TIMEOUT",
    "412": "PRECONDITION_FAILED",
    "413": "PAYLOAD_TOO_LARGE",
    "415": "UNSUPPORTED_MEDIA_TYPE",
    "429": "TOO_MANY_REQUESTS",
    "503": "UPSTREAM_UNAVAILABLE",
    "504": "UPSTREAM_TIMEOUT",
}
"""Reason of every operation with a response of the status."""

TOKEN_REASONS = ("UNAUTHENTICATED", "TOKEN_REVOKED")
"""Reasons of status 401 of every operation that requires an access token."""

EXAMPLE_TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
EXAMPLE_MEMBERS, FORMATTED_MEMBERS = "example", "formatted_example"
"""Keys of a reason in the catalogue: additional members of its example, and their form in the detail."""

PATH_EXAMPLES_EXTENSION = "x-path-examples"
"""Extension of the document: values of path parameters in examples; 1 for others."""

_PROBLEM_MEDIA_TYPE = "application/problem+json"


def list_reasons(
    operation: dict[str, Any], catalogue: dict[str, Any], security: Sequence[dict[str, Any]] = ()
) -> dict[str, list[str]]:
    """Return the reasons of each error status of an operation; `security` is that of the document, the default.

    Raises ValueError for an error status without a reason, for a reason without a response of its status, and for an
    obsolete status without a response.
    """
    obsolete = operation.get(OBSOLETE_STATUSES_EXTENSION, [])
    if missing := [status for status in obsolete if status not in operation["responses"]]:
        raise ValueError(f"{operation.get('operationId')}: the obsolete status {missing[0]} has no response")
    statuses = [status for status in operation["responses"] if status.startswith(("4", "5")) and status not in obsolete]
    reasons: dict[str, list[str]] = {status: [] for status in statuses}
    requires_token = any("bearer" in alternative for alternative in operation.get("security", security))
    token_reasons = TOKEN_REASONS if requires_token and "401" in statuses else ()
    own_reasons = [*token_reasons, *operation.get(REASONS_EXTENSION, ())]
    for reason in own_reasons:
        if (status := str(catalogue[reason]["status"])) not in reasons:
            raise ValueError(f"{operation.get('operationId')}: {reason} has status {status}, which has no response")
        reasons[status].append(reason)
    for status in statuses:
        if status in SHARED_REASONS:
            reasons[status].append(SHARED_REASONS[status])
        if not reasons[status]:
            raise ValueError(f"{operation.get('operationId')}: status {status} has no reason in {REASONS_EXTENSION}")
    return reasons


def build_example(reason: str, document: dict[str, Any], path: str | None = None) -> dict[str, Any]:
    """Return a problem document of a reason, at a path of the contract."""
    entry = document["x-problems"][reason]
    members, formatted = entry.get(EXAMPLE_MEMBERS, {}), entry.get(FORMATTED_MEMBERS, {})
    instance = {} if path is None else {"instance": _fill_path(document, path)}
    return {
        "type": f"/problems/{reason}",
        "title": entry["title"],
        "status": entry["status"],
        "detail": entry.get("detail_with_values", entry["detail"])["en"].format_map(members | formatted),
        "reason": reason,
        **instance,
        "trace_id": EXAMPLE_TRACE_ID,
        **members,
    }


def _fill_path(document: dict[str, Any], path: str) -> str:
    values = document.get(PATH_EXAMPLES_EXTENSION, {})
    return get_base_path(document) + re.sub(r"\{([^}]+)\}", lambda match: values.get(match[1], "1"), path)


def add_problem_examples(document: dict[str, Any], published: dict[str, Any]) -> None:
    """Add the reasons to each operation of the published document, and examples to its error responses.

    A response with reasons of the operation no longer references the shared one, whose example has the shared reason.
    """
    catalogue = document["x-problems"]
    for path, item in document["paths"].items():
        for method in item.keys() & set(HTTP_METHODS):
            reasons = list_reasons(item[method], catalogue, document.get("security", ()))
            operation = published["paths"][path][method]
            operation[REASONS_EXTENSION] = [reason for names in reasons.values() for reason in names]
            for status in item[method].get(OBSOLETE_STATUSES_EXTENSION, ()):
                obsolete = _find_shared(published, operation["responses"][status]) or operation["responses"][status]
                operation["responses"][status] = copy.deepcopy(obsolete) | {"description": OBSOLETE_DESCRIPTION}
            for status, names in reasons.items():
                response = operation["responses"][status]
                shared = _find_shared(published, response)
                if names == [SHARED_REASONS.get(status)] and shared is not None:
                    _add_examples(shared, names, document)
                    continue
                if shared is not None:
                    response = copy.deepcopy(shared)
                    operation["responses"][status] = response
                _add_examples(response, names, document, path)


def _find_shared(published: dict[str, Any], response: dict[str, Any]) -> dict[str, Any] | None:
    """Return the shared response that a response references."""
    name = response.get("$ref", "").removeprefix("#/components/responses/")
    shared: dict[str, Any] | None = published["components"].get("responses", {}).get(name)
    return shared


def _add_examples(
    response: dict[str, Any], reasons: list[str], document: dict[str, Any], path: str | None = None
) -> None:
    media_type = response.get("content", {}).get(_PROBLEM_MEDIA_TYPE)
    if media_type is not None:
        media_type["examples"] = {
            reason: {"summary": document["x-problems"][reason]["title"], "value": build_example(reason, document, path)}
            for reason in reasons
        }
