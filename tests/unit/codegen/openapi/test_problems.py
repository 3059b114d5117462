"""Rules of the error reasons."""

import copy
import re
from typing import Any

import pytest

from codegen.envoy.local_replies import REASON_BY_STATUS
from codegen.openapi.problems import GRPC_CODES, RUNTIME_REASONS
from codegen.rest.problem_examples import SHARED_REASONS, TOKEN_REASONS
from tests.conftest import ROOT
from tests.unit.codegen.openapi.sample_documents import (
    OPERATION,
    PROBLEMS,
    change_document,
    find_errors,
    with_operation,
)

RESPONSES = OPERATION["responses"]
ERROR = {"description": "An error."}


def with_reason(**changes: Any) -> dict[str, Any]:
    """Return the document with another entry of a reason."""
    entry = {"status": 404, "grpc": "NOT_FOUND", "title": "T", "description": "D", "detail": {"en": "D"}} | changes
    return change_document(**{"x-problems": PROBLEMS | {"NOT_HERE": entry}})


def test_error_with_reason_has_no_error() -> None:
    document = with_operation(responses=RESPONSES | {"404": ERROR}, extensions={"x-reasons": ["NOT_HERE"]})
    assert find_errors(document | {"x-problems": with_reason()["x-problems"]}) == []


@pytest.mark.parametrize(
    ("document", "error"),
    [
        (
            change_document(**{"x-problems": None}),
            "document: the document has no object `x-problems`; describe each reason of an error there",
        ),
        (with_reason(status="404"), "x-problems: the reason NOT_HERE lacks `status`; add it"),
        (with_reason(detail=3), "x-problems: the reason NOT_HERE lacks `detail`; add it"),
        (
            change_document(**{"x-problems": PROBLEMS | {"not-here": PROBLEMS["NOT_FOUND"]}}),
            "x-problems: the reason not-here is no constant; use A-Z, 0-9 and `_`",
        ),
        (with_reason(status=200), "x-problems: the status 200 of NOT_HERE is no error; write one from 400 to 599"),
        (
            with_reason(grpc="GONE"),
            f"x-problems: GONE of NOT_HERE is no status code of gRPC; use one of {', '.join(sorted(GRPC_CODES))}",
        ),
        (
            with_reason(detail={"en": "At {x}."}),
            "x-problems: `detail` of NOT_HERE in en is no text, or has a placeholder without an example; "
            "correct {x}, or add it to `example`",
        ),
        (
            with_reason(detail_with_values={"en": "A {"}),
            "x-problems: `detail_with_values` of NOT_HERE in en is no text, or has a placeholder without an example; "
            "correct A {, or add it to `example`",
        ),
        (
            with_reason(detail={"en": "A", "de": 5}),
            "x-problems: `detail` of NOT_HERE in de is no text, or has a placeholder without an example; write a text",
        ),
        (
            with_reason(example=[1]),
            "x-problems: `example` of NOT_HERE is no object; write values by name",
        ),
        (
            with_operation(extensions={"x-reasons": [["NOT_FOUND"]]}),
            "operation listThings: `x-reasons` has a value that is no text; list reasons",
        ),
        (with_reason(detail={"de": "D"}), "x-problems: the detail of NOT_HERE has no text in English; add `en`"),
        (
            change_document(**{"x-problems": {name: entry for name, entry in PROBLEMS.items() if name != "FORBIDDEN"}}),
            "x-problems: the runtime uses the reason FORBIDDEN; add it",
        ),
        (
            with_operation(extensions={"x-reasons": ["TYPO"]}),
            "operation listThings: the reason TYPO is unknown; add it to `x-problems`",
        ),
        (with_operation(extensions={"x-reasons": "A"}), "operation listThings: `x-reasons` is no list; list reasons"),
        (
            with_operation(extensions={"x-obsolete-statuses": 401}),
            "operation listThings: `x-obsolete-statuses` is no list; list statuses such as '401'",
        ),
        (
            with_operation(extensions={"x-obsolete-statuses": ["401"]}),
            "operation listThings: the obsolete status 401 has no response; correct `x-reasons` or the responses",
        ),
        (
            with_operation(responses=RESPONSES | {"404": ERROR}),
            "operation listThings: status 404 has no reason in x-reasons; correct `x-reasons` or the responses",
        ),
    ],
)
def test_incomplete_reasons_are_errors(document: Any, error: str) -> None:
    assert find_errors(document) == [error]


def test_document_without_problem_schema_is_an_error() -> None:
    document = copy.deepcopy(change_document())
    del document["components"]["schemas"]["Problem"]
    error = "document: the document has no schema Problem with the property reason; add it (RFC 9457)"
    assert find_errors(document) == [error]


def test_reasons_of_the_runtime_are_those_of_its_modules() -> None:
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "services/runtime").rglob("*.py")]
    used = {reason for text in texts for reason in re.findall(r"\bReason\.([A-Z_]+)", text)}
    assert used | {*REASON_BY_STATUS.values()} | {*SHARED_REASONS.values()} | {*TOKEN_REASONS} == RUNTIME_REASONS
