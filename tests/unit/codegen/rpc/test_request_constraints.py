"""Constraints of RPC requests, derived from parameters, bodies and schemas of the REST API."""

from collections.abc import Mapping
from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool

from codegen.contracts import Contracts
from codegen.rpc.request_constraints import IMPLICIT_PRESENCE, ConstraintLookup, Schema, build_lookup
from tests import sample
from tests.unit.codegen.sample_contracts import create_contracts, create_method

NOTE_ID = {"type": "string", "minLength": 1, "maxLength": 40, "description": "Not a constraint."}
COLOUR = {"type": "string", "enum": ["red", "blue"]}
LABEL = {
    "type": "object",
    "x-message": "delivery.notes.v1.Label",
    "required": ["name"],
    "properties": {"name": {"type": "string", "maxLength": 9}, "weight": {"type": "integer", "minimum": 1}},
}


def field(
    name: str, number: int, kind: str = "STRING", *, type_name: str = "", repeated: bool = False, optional: bool = False
) -> FieldDescriptorProto:
    """Return a field; `optional` gives a scalar presence."""
    return FieldDescriptorProto(
        name=name,
        number=number,
        type=FieldDescriptorProto.Type.Value(f"TYPE_{kind}"),
        type_name=f".delivery.notes.v1.{type_name}" if type_name else None,
        label=FieldDescriptorProto.LABEL_REPEATED if repeated else FieldDescriptorProto.LABEL_OPTIONAL,
        proto3_optional=optional,
    )


def create_pool(**messages: list[FieldDescriptorProto]) -> DescriptorPool:
    """Return a pool with messages of the package `delivery.notes.v1`."""
    file = FileDescriptorProto(name="notes.proto", package="delivery.notes.v1", syntax="proto3")
    for name, fields in messages.items():
        message = file.message_type.add(name=name, field=fields)
        for each in message.field:
            if each.proto3_optional:  # the presence of a scalar is a oneof with one field
                each.oneof_index = len(message.oneof_decl)
                message.oneof_decl.add(name=f"_{each.name}")
    file.enum_type.add(name="Kind").value.add(name="KIND_UNSPECIFIED", number=0)
    pool = DescriptorPool()
    pool.Add(file)
    return pool


LABEL_FIELDS = [field("name", 1), field("weight", 2, "INT32", optional=True)]


def create_openapi(body: Schema, parameters: list[dict[str, Any]]) -> dict[str, Any]:
    raw = {
        "operationId": "addNote",
        "tags": ["notes"],
        "parameters": parameters,
        "responses": {"204": {"description": "Added."}},
    }
    if body:
        raw["requestBody"] = {"content": {"application/json": {"schema": body}}}
    schemas = {"NoteId": NOTE_ID, "Label": LABEL, "Colour": COLOUR}
    return {"paths": {"/notes": {"post": raw}}, "components": {"schemas": schemas}}


def constraints(
    fields: list[FieldDescriptorProto],
    *,
    properties: Mapping[str, Schema] | None = None,
    required: tuple[str, ...] = (),
    parameters: tuple[dict[str, Any], ...] = (),
) -> Schema:
    """Return the constraints of AddNoteRequest with these fields, for an operation with this body and parameters."""
    body = {"properties": dict(properties), "required": list(required)} if properties is not None else {}
    return lookup(create_openapi(body, list(parameters)), AddNoteRequest=fields)(create_method("AddNote"))


def lookup(openapi: dict[str, Any], **messages: list[FieldDescriptorProto]) -> ConstraintLookup:
    source: Contracts = create_contracts(openapi=openapi, pool=create_pool(Label=LABEL_FIELDS, **messages))
    return build_lookup(source)


def parameter(name: str, schema: Schema, *, required: bool = False) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": required, "schema": schema}


def test_body_property_constrains_the_field_of_its_name() -> None:
    found = constraints([field("text", 1)], properties={"text": {"type": "string", "maxLength": 5, "title": "Text"}})
    assert found == {
        "properties": {"text": {"type": "string", "maxLength": 5}},
        "required": [],
        IMPLICIT_PRESENCE: ["text"],
    }


def test_references_are_resolved_and_descriptions_removed() -> None:
    found = constraints([field("note_id", 1)], properties={"note_id": {"$ref": "#/components/schemas/NoteId"}})
    assert found["properties"]["note_id"] == {"type": "string", "minLength": 1, "maxLength": 40}


@pytest.mark.parametrize("name", ["page_size", "pageSize", "Page-Size"])
def test_parameter_constrains_the_field_of_its_snake_case_name(name: str) -> None:
    found = constraints(
        [field("page_size", 1, "INT32")], parameters=(parameter(name, {"type": "integer", "maximum": 9}),)
    )
    assert found["properties"] == {"page_size": {"type": "integer", "maximum": 9}}


def test_required_properties_and_parameters_are_required() -> None:
    found = constraints(
        [field("text", 1), field("title", 2), field("q", 3)],
        properties={"text": {"type": "string"}, "title": {"type": "string"}},
        required=("text",),
        parameters=(parameter("q", {"type": "string"}, required=True),),
    )
    assert (found["required"], found[IMPLICIT_PRESENCE]) == (["q", "text"], ["title"])


def test_required_property_without_field_is_ignored() -> None:
    properties: dict[str, Schema] = {"text": {"type": "string"}, "colour": {"type": "string"}}
    found = constraints([field("text", 1)], properties=properties, required=("text", "colour"))
    assert (found["properties"].keys(), found["required"]) == ({"text"}, ["text"])


def test_field_with_presence_has_no_implicit_presence() -> None:
    found = constraints([field("text", 1, optional=True)], properties={"text": {"type": "string", "minLength": 1}})
    assert (found["required"], found[IMPLICIT_PRESENCE]) == ([], [])


def test_list_has_constraints_of_array_and_items() -> None:
    schema = {"type": "array", "maxItems": 3, "uniqueItems": True, "items": {"$ref": "#/components/schemas/NoteId"}}
    found = constraints([field("ids", 1, repeated=True)], properties={"ids": schema})
    assert found["properties"]["ids"] == {
        "maxItems": 3,
        "uniqueItems": True,
        "items": {"type": "string", "minLength": 1, "maxLength": 40},
    }


def test_list_without_constraints_is_omitted() -> None:
    assert constraints([field("ids", 1, repeated=True)], properties={"ids": {"type": "array", "items": {}}}) == {}


@pytest.mark.parametrize(
    ("kind", "options", "schema"),
    [("STRING", {}, COLOUR), ("ENUM", {"type_name": "Kind"}, {"type": "string", "minLength": 1})],
    ids=["enum schema", "enum field"],
)
def test_enums_have_no_constraints(kind: str, options: dict[str, Any], schema: Schema) -> None:
    assert constraints([field("colour", 1, kind, **options)], properties={"colour": schema}) == {}


LABEL_CONSTRAINTS = {
    "properties": {"name": {"maxLength": 9, "type": "string"}, "weight": {"minimum": 1, "type": "integer"}},
    "required": ["name"],
    IMPLICIT_PRESENCE: [],
}


def test_message_is_constrained_by_its_property() -> None:
    found = constraints(
        [field("label", 1, "MESSAGE", type_name="Label")], properties={"label": {"$ref": "#/components/schemas/Label"}}
    )
    assert found["properties"]["label"] == LABEL_CONSTRAINTS


def test_message_without_property_is_constrained_by_its_schema() -> None:
    """The schema that names the message applies, even to methods without a REST operation."""
    find = lookup(create_openapi({}, []), StoreNoteRequest=[field("label", 1, "MESSAGE", type_name="Label")])
    found = find(create_method("StoreNote"))
    assert found["properties"]["label"] == LABEL_CONSTRAINTS


def test_list_of_messages_is_constrained() -> None:
    labels = field("labels", 1, "MESSAGE", type_name="Label", repeated=True)
    found = constraints(
        [labels], properties={"labels": {"minItems": 1, "items": {"$ref": "#/components/schemas/Label"}}}
    )
    assert found["properties"]["labels"] == {"minItems": 1, "items": LABEL_CONSTRAINTS}


def test_request_without_matching_names_has_no_constraints() -> None:
    assert constraints([field("other", 1)], properties={"text": {"type": "string"}}, required=("text",)) == {}
    assert constraints([], properties={}) == {}


def test_method_without_operation_has_no_constraints() -> None:
    find = lookup(create_openapi({"properties": {"text": {"type": "string"}}}, []), StoreNoteRequest=[field("text", 1)])
    assert find(create_method("StoreNote")) == {}


def test_contracts_without_public_api_have_no_constraints() -> None:
    assert build_lookup(create_contracts(openapi={}))(create_method("AddNote")) == {}


def test_unknown_request_message_raises_key_error() -> None:
    with pytest.raises(KeyError, match="MissingRequest"):
        lookup(create_openapi({}, []))(create_method("Missing"))


def test_message_that_contains_itself_has_no_constraints() -> None:
    pool = sample.load_contracts().protos.pool
    method = create_method("Get", request="sample.v1.AllFields.Inner")
    assert build_lookup(create_contracts(pool=pool))(method) == {}
