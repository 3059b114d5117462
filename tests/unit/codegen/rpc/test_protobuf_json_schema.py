"""JSON Schema of every kind of protobuf field."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from google.protobuf import json_format, message_factory
from hypothesis import given, settings
from hypothesis import strategies as st

from codegen.rpc.protobuf_json_schema import build_field_schema, build_message_schema, build_referenced_schemas
from services.runtime.core.json_schema import compile_schema
from tests import sample

POOL = sample.load_contracts().protos.pool
ALL_FIELDS = POOL.FindMessageTypeByName("sample.v1.AllFields")
MOOD = {"type": "string", "enum": ["MOOD_UNSPECIFIED", "MOOD_GOOD", "MOOD_BAD"]}
TIMESTAMP = {"type": "string", "format": "date-time"}


@pytest.mark.parametrize(
    ("field", "schema"),
    [
        ("i32", {"type": "integer", "format": "int32"}),
        ("s32", {"type": "integer", "format": "int32"}),
        ("sf32", {"type": "integer", "format": "int32"}),
        ("f32", {"type": "integer", "format": "int64", "minimum": 0}),
        ("s64", {"type": "string", "format": "int64"}),
        ("sf64", {"type": "string", "format": "int64"}),
        ("f64", {"type": "string", "format": "uint64"}),
        ("u32", {"type": "integer", "format": "int64", "minimum": 0}),
        ("i64", {"type": "string", "format": "int64"}),
        ("u64", {"type": "string", "format": "uint64"}),
        ("single", {"type": "number"}),
        ("double_value", {"type": "number"}),
        ("flag", {"type": "boolean"}),
        ("text", {"type": "string"}),
        ("data", {"type": "string", "contentEncoding": "base64"}),
        ("mood", MOOD),
        ("at", TIMESTAMP),
        ("duration", {"type": "string", "pattern": "^-?[0-9.]+s$"}),
        ("maybe_i32", {"type": "integer", "format": "int32"}),
        ("as_text", {"type": "string"}),
        ("numbers", {"type": "array", "items": {"type": "string", "format": "int64"}}),
        ("moods", {"type": "array", "items": MOOD}),
        ("times", {"type": "array", "items": TIMESTAMP}),
        ("counts", {"type": "object", "additionalProperties": {"type": "integer", "format": "int32"}}),
        ("mood_by_id", {"type": "object", "additionalProperties": MOOD}),
        ("time_by_name", {"type": "object", "additionalProperties": TIMESTAMP}),
    ],
)
def test_schema_of_a_field(field: str, schema: dict[str, Any]) -> None:
    assert build_field_schema(ALL_FIELDS.fields_by_name[field]) == schema


def test_sub_messages_are_inlined_with_names_of_the_proto_file() -> None:
    inner = {"added": {"type": "integer", "format": "int64", "minimum": 0}, "from": {"type": "string"}}
    newer = POOL.FindMessageTypeByName("sample.v1.NewerAllFields")
    properties = build_message_schema(newer)["properties"]
    assert list(properties) == ["text", "inner", "added"]
    assert properties["inner"] == {"type": "object", "properties": inner}


def test_empty_message_is_an_object_without_properties() -> None:
    message = POOL.FindMessageTypeByName("sample.v1.WhoAmIRequest")
    assert build_message_schema(message) == {"type": "object", "properties": {}}


@pytest.mark.parametrize(
    ("field", "schema"),
    [
        ("inner", {"$ref": "#/components/schemas/sample.v1.AllFields.Inner"}),
        ("inners", {"type": "array", "items": {"$ref": "#/components/schemas/sample.v1.AllFields.Inner"}}),
        (
            "inner_by_flag",
            {"type": "object", "additionalProperties": {"$ref": "#/components/schemas/sample.v1.AllFields.Inner"}},
        ),
    ],
)
def test_message_that_contains_itself_is_a_reference(field: str, schema: dict[str, Any]) -> None:
    assert build_field_schema(ALL_FIELDS.fields_by_name[field]) == schema


def test_referenced_schemas_are_complete() -> None:
    schemas = build_referenced_schemas(ALL_FIELDS)
    assert list(schemas) == ["sample.v1.AllFields", "sample.v1.AllFields.Inner"]
    assert schemas["sample.v1.AllFields.Inner"]["properties"]["parent"] == {
        "$ref": "#/components/schemas/sample.v1.AllFields"
    }
    assert build_referenced_schemas(POOL.FindMessageTypeByName("sample.v1.NewerAllFields")) == {}


SCALARS = ("i32", "i64", "u32", "u64", "single", "double_value", "flag", "text", "data", "mood", "at", "numbers")
SCHEMA = compile_schema(
    {"type": "object", "properties": {name: build_field_schema(ALL_FIELDS.fields_by_name[name]) for name in SCALARS}}
)


@given(
    st.fixed_dictionaries(
        {
            "i32": st.integers(-(2**31), 2**31 - 1),
            "i64": st.integers(-(2**63), 2**63 - 1),
            "u32": st.integers(0, 2**32 - 1),
            "u64": st.integers(0, 2**64 - 1),
            "single": st.floats(width=32, allow_nan=False, allow_infinity=False),
            "double_value": st.floats(allow_nan=False, allow_infinity=False),
            "flag": st.booleans(),
            "text": st.text(),
            "data": st.binary(),
            "mood": st.sampled_from([0, 1, -1]),
            "at": st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)),
            "numbers": st.lists(st.integers(-(2**63), 2**63 - 1), max_size=3),
        }
    )
)
@settings(max_examples=30)
def test_json_mapping_of_protobuf_matches_the_schema(values: dict[str, Any]) -> None:
    message = message_factory.GetMessageClass(ALL_FIELDS)(**values)
    document = json.loads(json_format.MessageToJson(message, preserving_proto_field_name=True))
    assert list(SCHEMA.iter_errors(document)) == []
