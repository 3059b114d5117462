"""JSON Schema validators and the parser of bodies: errors and their locations, masked values, formats, depth."""

import re
import time
from datetime import date
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.runtime.core.errors import ApiError, FieldError
from services.runtime.core.json_schema import (
    MAX_ERRORS,
    MAX_JSON_DEPTH,
    JsonParser,
    collect_field_errors,
    compile_schema,
    define_recursive_schemas,
    exceeds_max_depth,
    extract_error_pointer,
    to_json_pointer,
)
from services.runtime.core.localisation import find_translation

PASSWORD = "correct-horse"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.integers(0, 99), st.text()), max_size=4))
def test_json_pointer_round_trip(parts: list[int | str]) -> None:
    pointer = to_json_pointer(parts)
    decoded = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
    assert decoded == [str(part) for part in parts]


def test_error_has_pointer_to_its_location() -> None:
    validator = compile_schema({"properties": {"a/b": {"items": {"type": "integer"}}}})
    assert [error.field for error in collect_field_errors(validator, {"a/b": [1, "x", 2, None]})] == [
        "/a~1b/1",
        "/a~1b/3",
    ]


def test_valid_value_has_no_errors() -> None:
    assert collect_field_errors(compile_schema({"type": "integer"}), 1) == []


def test_number_of_errors_is_limited() -> None:
    validator = compile_schema({"items": {"type": "string"}})
    assert len(collect_field_errors(validator, [1] * MAX_ERRORS)) == MAX_ERRORS
    assert len(collect_field_errors(validator, [1] * 1000)) == MAX_ERRORS


@pytest.mark.parametrize(
    "schema",
    [
        {"maxLength": 3},
        {"pattern": "^[0-9]+$"},
        {"enum": ["a", "b"]},
        {"type": "integer"},
        {"format": "email"},
    ],
)
def test_message_does_not_contain_the_value(schema: dict[str, object]) -> None:
    ((field, message),) = [
        (each.field, each.message) for each in collect_field_errors(compile_schema(schema), PASSWORD)
    ]
    assert field == ""
    assert re.match("must|has|is", message)
    assert PASSWORD not in message
    assert not set(message) & set("^$\\")
    assert find_translation(message, "de") not in (None, message)


def test_message_length_is_limited() -> None:
    validator = compile_schema({"enum": [f"option-{number}" for number in range(100)]})
    (error,) = collect_field_errors(validator, 1)
    assert error == FieldError("", error.message[:300])


@pytest.mark.parametrize(
    ("schema", "valid", "invalid"),
    [
        ({"format": "date"}, "2026-02-28", "2026-02-30"),
        ({"format": "date-time"}, "2026-01-01T00:00:00Z", "2026-01-01"),
        ({"format": "email"}, "ada@delivery.test", "ada"),
        ({"format": "uuid"}, "0198e9c5-0000-7000-8000-000000000001", "1"),
    ],
)
def test_format_is_validated(schema: dict[str, object], valid: str, invalid: str) -> None:
    validator = compile_schema(schema)
    assert validator.is_valid(valid)
    assert not validator.is_valid(invalid)


def test_unknown_format_is_ignored() -> None:
    assert compile_schema({"format": "int64"}).is_valid("not a number")


def test_pattern_is_matched_in_linear_time() -> None:
    validator = compile_schema({"pattern": "^(a+)+$"})
    started_at = time.monotonic()
    assert not validator.is_valid("a" * 5000 + "!")
    assert time.monotonic() - started_at < 1, "a backtracking engine would take longer than the age of the universe"


def test_pattern_with_backreference_is_rejected() -> None:
    with pytest.raises(ValueError, match="regex"):
        compile_schema({"pattern": r"(a)\1"})


class Payment(msgspec.Struct):
    payment_id: str
    amount: int
    day: date | None = None


PARSER = JsonParser(
    {
        "type": "object",
        "required": ["payment_id", "amount"],
        "properties": {
            "payment_id": {"type": "string", "minLength": 1},
            "amount": {"type": "integer"},
            "day": {"type": "string", "format": "date"},
        },
    },
    Payment,
)


@pytest.mark.parametrize("amount", ["405", "405.0"])
def test_body_is_parsed_and_unknown_fields_ignored(amount: str) -> None:
    body = f'{{"payment_id": "p1", "amount": {amount}, "new_field": []}}'.encode()
    assert PARSER.parse(body) == Payment("p1", 405)


def build_nested(depth: int) -> Any:
    value: Any = []
    for _ in range(depth - 1):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        (b"", "", "is missing"),
        (b"{", "", "is not JSON"),
        (b'"\xff"', "", "is not JSON"),
        (b"[" * 60_000, "", "is not JSON"),
        (msgspec.json.encode(build_nested(MAX_JSON_DEPTH + 1)), "", "is nested deeper than 64 levels"),
        (b"[]", "", "must be an object"),
        (b"null", "", "must be an object"),
        (b'{"amount": 1}', "", '"payment_id" is missing'),
        (b'{"payment_id": "p1", "amount": "1"}', "/amount", "must be a whole number"),
        (b'{"payment_id": "", "amount": 1}', "/payment_id", "must have 1 or more characters"),
        (b'{"payment_id": "p1", "amount": 1, "day": "0000-01-01"}', "/day", "is not a supported date or time"),
    ],
)
def test_invalid_body_is_reported_by_json_pointer(body: bytes, field: str, message: str) -> None:
    with pytest.raises(ApiError, match="INVALID_REQUEST") as raised:
        PARSER.parse(body)
    assert [(error.field, error.message) for error in raised.value.errors] == [(field, message)]


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 3 * MAX_JSON_DEPTH))
def test_exceeds_max_depth_counts_levels(depth: int) -> None:
    assert exceeds_max_depth(build_nested(depth)) == (depth > MAX_JSON_DEPTH)


@pytest.mark.parametrize(
    ("message", "pointer"),
    [
        ("Invalid RFC3339 encoded date - at `$.born`", "/born"),
        ("Expected `int`, got `str` - at `$.items[0].rooms[12]`", "/items/0/rooms/12"),
        ("Expected `object`, got `int`", ""),
        ("Invalid date - at `$[3]`", "/3"),
        ("Invalid date - at `$.days[...].at`", "/days/at"),
    ],
)
def test_error_pointer_converts_msgspec_path(message: str, pointer: str) -> None:
    assert extract_error_pointer(message) == pointer


def create_tree() -> dict[str, Any]:
    """Return a schema that contains itself, as Connexion resolves references."""
    tree: dict[str, Any] = {"type": "object", "additionalProperties": False, "properties": {}}
    tree["properties"] |= {"children": {"type": "array", "items": tree}, "default": {"default": {"default": 1}}}
    return tree


@pytest.mark.parametrize(
    ("value", "expected"),
    [({}, True), ({"children": [{"children": [{}]}]}, True), ({"children": [{"children": [{"other": 1}]}]}, False)],
)
def test_schema_that_contains_itself_is_compiled(value: Any, *, expected: bool) -> None:
    validator = compile_schema({"type": "object", "properties": {"tree": create_tree()}})
    assert validator.is_valid({"tree": value}) == expected


def test_schema_that_does_not_contain_itself_stays() -> None:
    shared = {"type": "string"}
    schema = {"type": "object", "properties": {"a": shared, "b": shared}}
    assert define_recursive_schemas(schema) is schema
