"""Catalogue of error reasons as generated Python code."""

from typing import Any

import pytest

from codegen.rest import problems
from tests.unit.codegen.sample_contracts import create_contracts, create_openapi


def generate(catalogue: dict[str, Any]) -> dict[str, Any]:
    """Return the names that the generated module defines."""
    openapi = create_openapi() | {"x-problems": catalogue}
    text = problems.generate(create_contracts(openapi=openapi))["problems.py"]
    names: dict[str, Any] = {"__name__": "problems"}
    exec(compile(text, "problems.py", "exec"), names)  # noqa: S102 (generated from the sample above)
    return names


VALUES = {"en": "None of {count}."}


def entry(**changes: Any) -> dict[str, Any]:
    return {
        "status": 404,
        "grpc": "NOT_FOUND",
        "title": "Not found",
        "description": "There is none.",
        "detail": {"en": "None."},
    } | changes


def test_reasons_are_strings_in_the_order_of_the_contract() -> None:
    names = generate({"NOT_FOUND": entry(), "ABORTED": entry()})
    assert [str(reason) for reason in names["Reason"]] == ["NOT_FOUND", "ABORTED"]


def test_every_reason_has_a_problem() -> None:
    names = generate({"NOT_FOUND": entry(), "CONFLICT": entry(status=409, grpc="ABORTED", detail_with_values=VALUES)})
    assert names["PROBLEMS"] == {
        names["Reason"].NOT_FOUND: (404, "NOT_FOUND", "Not found", "There is none.", {"en": "None."}, {}),
        names["Reason"].CONFLICT: (409, "ABORTED", "Not found", "There is none.", {"en": "None."}, VALUES),
    }


@pytest.mark.parametrize("text", ['It\'s "quoted"', "back\\slash", "two\nlines", "{braces}", "Größe – 100 %"])
def test_texts_are_preserved(text: str) -> None:
    (problem,) = generate({"NOT_FOUND": entry(title=text, description=text)})["PROBLEMS"].values()
    assert (problem.title, problem.description) == (text, text)


@pytest.mark.parametrize("field", ["status", "grpc", "title", "description", "detail"])
def test_incomplete_entry_raises_key_error(field: str) -> None:
    incomplete = {name: value for name, value in entry().items() if name != field}
    with pytest.raises(KeyError, match=field):
        generate({"NOT_FOUND": incomplete})
