"""Operations and messages whose names equal those of generated code, or have another form in Python."""

import ast
import copy
from pathlib import Path
from typing import Any

import pytest

from codegen.contracts import ContractError, Contracts
from codegen.protobuf import parse_image
from codegen.rest import converters, forwarding_handlers, request_converters
from codegen.rest.message_fields import get_message_class_name, list_enum_members
from tests.unit.codegen.proto_rules.proto_files import METHOD_OPTION, compile_files, render_file
from tests.unit.codegen.sample_contracts import create_contracts, create_openapi

FIELDS = """
  string list = 1; repeated string dump = 2; string shortName = 3; HTTPState state = 4; Inner inner = 5;
  sint32 small = 6; fixed64 large = 7; money price = 8; Kind kind = 9;
"""
PROTO = f"""
enum HTTPState {{ HTTP_STATE_UNSPECIFIED = 0; HTTP_STATE_IN_USE = 1; HTTP_STATE_1ST = 2; HTTP_STATE_NONE = 3; }}
enum Alias {{ option allow_alias = true; ALIAS_UNSPECIFIED = 0; ALIAS_A = 1; ALIAS_B = 1; }}
message money {{ string text = 1; }}
message GetThingRequest {{ string requests = 1; repeated string list = 2; HTTPState response = 3; string pages = 4; }}
message Thing {{
  enum Kind {{ KIND_UNSPECIFIED = 0; KIND_ONE = 1; }}
  message Inner {{ string id = 1; }}
  {FIELDS}
}}
service NotesService {{ rpc GetThing(GetThingRequest) returns (Thing) {METHOD_OPTION} }}
"""
OBJECTS = {"Inner": ("Thing.Inner", "id"), "Money": ("money", "text")}
PROPERTIES: dict[str, Any] = {
    "list": {"type": "string"},
    "dump": {"type": "array", "items": {"type": "string"}},
    "shortName": {"type": "string"},
    "state": {"$ref": "#/components/schemas/State"},
    "inner": {"$ref": "#/components/schemas/Inner"},
    "small": {"type": "integer"},
    "large": {"type": "integer"},
    "price": {"$ref": "#/components/schemas/Money"},
    "kind": {"$ref": "#/components/schemas/Kind"},
}
PARAMETERS: list[dict[str, Any]] = [
    {"name": "requests", "in": "query", "required": True, "schema": {"type": "string"}},
    {"name": "list", "in": "query", "required": True, "schema": {"type": "array", "items": {"type": "string"}}},
    {"name": "response", "in": "query", "required": True, "schema": {"$ref": "#/components/schemas/State"}},
    {"name": "pages", "in": "query", "required": True, "schema": {"type": "string"}},
]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Contracts:
    folder: Path = tmp_path_factory.mktemp("proto")
    protos = parse_image(compile_files(folder, {"a.proto": render_file("delivery.notes.v1", PROTO)}))
    openapi = create_openapi()
    openapi["paths"] = {
        "/things": {
            "get": {
                "operationId": "getThing",
                "tags": ["notes"],
                "security": [],
                "parameters": PARAMETERS,
                "responses": {
                    "200": {"description": "It.", "content": {"application/json": {"schema": PROPERTIES["thing"]}}}
                },
            }
        }
    }
    openapi["components"]["schemas"] |= {
        "State": {"type": "string", "enum": ["in_use", "1st", "none"]},
        "Kind": {"type": "string", "enum": ["one"]},
        "Thing": {
            "x-message": "delivery.notes.v1.Thing",
            "type": "object",
            "required": sorted(PROPERTIES.keys() - {"thing"}),
            "properties": {name: each for name, each in PROPERTIES.items() if name != "thing"},
        },
        **{
            name: {
                "x-message": f"delivery.notes.v1.{message}",
                "type": "object",
                "required": [member],
                "properties": {member: {"type": "string"}},
            }
            for name, (message, member) in OBJECTS.items()
        },
    }
    return create_contracts(*protos.services, openapi=openapi, pool=protos.pool)


PROPERTIES["thing"] = {"$ref": "#/components/schemas/Thing"}


def test_attributes_of_messages_are_those_of_python(source: Contracts) -> None:
    text = str(converters.generate(source)["rest/delivery/convert.py"])
    ast.parse(text)
    for expression in ("list=message.list_", "dump=[*message.dump_]", "shortName=message.short_name"):
        assert expression in text
    assert "def money(message: notes_v1.Money)" in text
    assert "def inner(message: notes_v1.ThingInner)" in text


def test_members_of_enums_are_those_of_python(source: Contracts) -> None:
    text = str(converters.generate(source)["rest/delivery/convert.py"])
    assert "notes_v1.HttpState._1ST: models.State('1st')" in text
    assert "notes_v1.ThingKind.ONE: models.Kind('one')" in text
    requests = str(request_converters.generate(source)["rest/delivery/requests.py"])
    table = "{'in_use': notes_v1.HttpState.IN_USE, '1st': notes_v1.HttpState._1ST, 'none': notes_v1.HttpState.NONE}"
    assert f"response={table}[response.value]" in requests


def test_arguments_do_not_hide_names_of_the_module(source: Contracts) -> None:
    requests = str(request_converters.generate(source)["rest/delivery/requests.py"])
    assert "list_=[*list]" in requests
    text = str(forwarding_handlers.generate(source)["rest/delivery/forwarding_handlers.py"])
    call = "_requests.get_thing(requests=requests, list=list, response=response, pages=pages)"
    assert f"_response = await self._notes.get_thing({call})" in text
    assert "return _convert.thing(_response)" in text


@pytest.mark.parametrize("name", ["notes_v1", "unset_to_none"])
def test_argument_that_hides_a_name_is_an_error(source: Contracts, tmp_path: Path, name: str) -> None:
    proto = PROTO.replace("string pages = 4", f"string {name} = 4")
    protos = parse_image(compile_files(tmp_path, {"a.proto": render_file("delivery.notes.v1", proto)}))
    openapi = copy.deepcopy(source.openapi["delivery"])
    openapi["paths"]["/things"]["get"]["parameters"][-1]["name"] = name
    changed = create_contracts(*protos.services, openapi=openapi, pool=protos.pool)
    with pytest.raises(ContractError, match=f"the parameter {name} has the name {name} of the generated module"):
        request_converters.generate(changed)


def test_names_of_nested_and_aliased_types(source: Contracts) -> None:
    pool = source.protos.pool
    assert get_message_class_name(pool.FindMessageTypeByName("delivery.notes.v1.Thing.Inner")) == "ThingInner"
    state = pool.FindEnumTypeByName("delivery.notes.v1.HTTPState")
    assert list_enum_members(state) == {"in_use": "IN_USE", "1st": "_1ST", "none": "NONE"}


def test_enum_with_several_names_of_a_value_is_an_error(source: Contracts, tmp_path: Path) -> None:
    proto = PROTO.replace("HTTPState state = 4", "Alias state = 4")
    protos = parse_image(compile_files(tmp_path, {"a.proto": render_file("delivery.notes.v1", proto)}))
    changed = create_contracts(*protos.services, openapi=source.openapi["delivery"], pool=protos.pool)
    with pytest.raises(ContractError, match=r"Thing\.state is an enum field with several names of one value"):
        converters.generate(changed)
