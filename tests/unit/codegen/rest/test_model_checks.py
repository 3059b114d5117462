"""Generated models of all kinds of schemas: they mean the same as the schema, or they are errors."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest

from codegen import tool_cache
from codegen.contracts import ContractError, Contracts
from codegen.openapi.names import get_class_name
from codegen.rest import models
from codegen.rest.model_checks import check_models
from tests.unit.codegen.openapi.sample_documents import find_errors, with_schemas
from tests.unit.codegen.sample_contracts import create_contracts

TEXT, WHOLE = {"type": "string"}, {"type": "integer"}
THING = {"$ref": "#/components/schemas/Thing"}
ODD_VALUES = ["None", "true", "1", "+", "mro", "name", "in-progress", "2nd", "a b", "", "A", "a", "self"]


def create_object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def create_used(**schemas: Any) -> Contracts:
    """Return contracts with an operation that uses all of the schemas."""
    document = with_schemas(**schemas)
    references = [{"$ref": f"#/components/schemas/{name}"} for name in schemas]
    content = {"application/json": {"schema": {"type": "array", "items": {"anyOf": references}}}}
    document["paths"]["/things"]["get"]["responses"]["200"]["content"] = content
    return create_contracts(openapi=document)


@pytest.fixture(autouse=True)
def _empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tool_cache, "CACHE_FOLDER", tmp_path)


def import_models(**schemas: Any) -> ModuleType:
    """Return the module with the models, which the reader accepts."""
    assert find_errors(with_schemas(**schemas)) == []
    module = ModuleType("imported_models")
    sys.modules[module.__name__] = module
    exec(models.generate_api(create_used(**schemas), "delivery"), module.__dict__)  # noqa: S102 (the source is generated)
    return module


@pytest.mark.parametrize(
    ("schema", "values"),
    [
        (
            create_object(**{"class": TEXT, "async": TEXT, "None": TEXT, "import": WHOLE}),
            [{"class": "a", "async": "b", "None": "d", "import": 1}],
        ),
        (
            create_object(
                field={"type": "array", "items": TEXT, "default": []}, **{"other-name": TEXT | {"default": "x"}}
            ),
            [{"field": ["a"], "other-name": "y"}],
        ),
        (
            create_object(**dict.fromkeys(("first-name", "first_name", "@type", "1st", "a.b", "größe"), TEXT)),
            [{"first-name": "a", "first_name": "b", "@type": "d", "1st": "e", "a.b": "f", "größe": "g"}],
        ),
        (
            create_object(
                str=TEXT, int=WHOLE, date={"type": "string", "format": "date"}, list={"type": "array", "items": TEXT}
            ),
            [{"str": "s", "int": 3, "date": "2020-01-01", "list": ["a"]}],
        ),
        (
            create_object(level={"type": ["string", "null"], "enum": ["low", None]}),
            [{"level": None}, {"level": "low"}, {}],
        ),
        (create_object(parent={"$ref": "#/components/schemas/Value"}), [{"parent": {"parent": {}}}]),
        (
            {"allOf": [THING, create_object(extra=WHOLE)], "unevaluatedProperties": False},
            [{"id": "a"}, {"id": "a", "extra": 1}],
        ),
        (create_object(counts={"type": "object", "additionalProperties": WHOLE}), [{"counts": {"a": 1}}]),
        (
            {"type": "object", "additionalProperties": {"type": "object", "additionalProperties": THING}},
            [{"a": {"b": {"id": "c"}}}],
        ),
        ({"type": "string", "enum": ODD_VALUES}, ODD_VALUES),
        ({"type": "integer", "enum": [1, 2, 3]}, [1, 3]),
        (create_object(any={}, empty={"type": "null"}, every=True), [{"any": {"a": [1]}, "empty": None, "every": "a"}]),
        (
            create_object(v={"type": ["number", "null"]}, w={"type": ["integer", "string"]}),
            [{"v": 2.5, "w": "x"}, {"w": 1}],
        ),
        (create_object(price={"type": "string", "format": "decimal"}), [{"price": "12.50"}]),
        (
            create_object(thing=create_object(n=WHOLE), level=TEXT | {"enum": ["low"]}),
            [{"thing": {"n": 1}, "level": "low"}],
        ),
        (create_object(thing={"anyOf": [THING, {"type": "null"}]}), [{"thing": None}, {"thing": {"id": "a"}}]),
        ({"type": "array", "items": {"$ref": "#/components/schemas/Value"}}, [[[], [[]]]]),
    ],
)
def test_model_reads_and_writes_values_of_its_schema(schema: Any, values: list[Any]) -> None:
    module = import_models(Value=schema)
    for value in values:
        decoded = msgspec.json.decode(msgspec.json.encode(value), type=module.Value)
        assert msgspec.to_builtins(decoded) == value


@pytest.mark.parametrize(
    "name", ["lower", "order-line", "Meta", "Struct", "Annotated", "Any", "Operation", "HTTPStatus"]
)
def test_model_has_the_class_of_the_schema(name: str) -> None:
    module = import_models(**{name: create_object(n=WHOLE | {"maximum": 5}) | {"title": "Some other name"}})
    assert msgspec.convert({"n": 5}, getattr(module, get_class_name(name))).n == 5


def test_variants_of_a_union_are_distinguished_by_their_tag() -> None:
    variants = {
        name: create_object(kind={"const": name.lower()}, n=WHOLE) | {"required": ["kind"]} for name in ("Dog", "Cat")
    }
    references = [{"$ref": f"#/components/schemas/{name}"} for name in variants]
    module = import_models(**variants, Pet={"oneOf": references})
    pet = msgspec.json.decode(b'{"kind": "dog", "n": 1}', type=module.Pet)
    assert type(pet) is module.Dog
    assert msgspec.to_builtins(pet) == {"kind": "dog", "n": 1}


def test_defaults_have_the_types_of_the_fields() -> None:
    level = TEXT | {"enum": ["low", "high"], "default": "low"}
    schema = create_object(
        level={"$ref": "#/components/schemas/Level"},
        inline=TEXT | {"enum": ["a", "b"], "default": "b"},
        price={"type": "string", "format": "decimal", "default": "1.50"},
        tags={"type": "array", "items": TEXT, "default": ["a"]},
        number=WHOLE | {"default": 3},
        flag={"type": "boolean", "default": False},
        column={"$ref": "#/components/schemas/Column"},
        text=TEXT | {"default": 'it\'s "q" \\ \n'},
    )
    module = import_models(Value=schema, Level=level, Column={"type": ["string", "null"], "default": "userid"})
    value = msgspec.json.decode(b"{}", type=module.Value)
    assert value.level is module.Level.low
    assert str(value.price) == "1.50"
    assert (value.inline.value, value.tags, value.number, value.flag) == ("b", ["a"], 3, False)
    assert (value.column, value.text) == ("userid", 'it\'s "q" \\ \n')


@pytest.mark.parametrize(
    ("schema", "error"),
    [
        ({"oneOf": [THING, {"$ref": "#/components/schemas/Role"}, TEXT]}, "schema Value: the model cannot be decoded"),
        ({"oneOf": [create_object(a=TEXT), create_object(b=TEXT)]}, "schema Value: the model cannot be decoded"),
        ({"oneOf": [TEXT, {"type": "array", "items": {"$ref": "#/components/schemas/Value"}}]}, "cannot be decoded"),
    ],
)
def test_model_that_cannot_be_decoded_is_an_error(schema: Any, error: str) -> None:
    role = {"type": "string", "enum": ["customer", "admin"]}
    with pytest.raises(ContractError, match=error) as caught:
        models.generate_api(create_used(Value=schema, Role=role), "delivery")
    assert str(caught.value).endswith("; simplify the schema, or split it into named ones")


STRUCT = "from msgspec import UNSET, Struct, UnsetType\n\n"


@pytest.mark.parametrize(
    ("schema", "text", "error"),
    [
        (
            {"enum": ["a", "b"]},
            "from enum import StrEnum\nclass Value(StrEnum):\n    a = 'a'\n",
            "the enum of Value has other",
        ),
        (create_object(a=TEXT), f"{STRUCT}class Value(Struct):\n    b: str = ''\n", "other properties (a, b)"),
        (
            create_object(a=TEXT),
            f"{STRUCT}class Value(Struct):\n    a: str\n",
            "a is required in only one of schema and model",
        ),
        (
            create_object(a=TEXT | {"default": "x"}),
            f"{STRUCT}class Value(Struct):\n    a: str | UnsetType = UNSET\n",
            "the default of a is UNSET in the model",
        ),
        (create_object(a=TEXT), f"{STRUCT}class Value1(Struct):\n    a: str\n", "the schema has no class Value"),
        (create_object(a=TEXT), "Value = dict[str, str]", "the model of the object has no fields"),
        (create_object(a=TEXT), "class Value(:", "the models cannot be imported: invalid syntax"),
    ],
)
def test_difference_of_model_and_schema_is_an_error(schema: Any, text: str, error: str) -> None:
    with pytest.raises(ContractError) as caught:
        check_models(create_used(Value=schema), "delivery", {"Value": schema}, text, set())
    assert error in str(caught.value)
