"""Random documents generate and are imported, or each error is one sentence with its place and remedy."""

import ast
import copy
import re
import sys
from functools import reduce
from operator import getitem
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codegen import tool_cache, typescript
from codegen.contracts import ContractError
from codegen.envoy import edge
from codegen.rest import callbacks, handlers, models, test_scaffolding
from codegen.rest.published_openapi import publish_document
from tests.unit.codegen.openapi.sample_documents import DOCUMENT, Json, change_document, find_errors
from tests.unit.codegen.openapi.served_document import DOCUMENT as SERVED_DOCUMENT
from tests.unit.codegen.sample_contracts import create_contracts

NAMES = ("Event", "Level", "Meta", "order-line", "thing_2")
PROPERTIES = ("id", "class", "self", "date", "str", "first-name", "first_name", "level", "thing", "field", "a b", "@x")
PARAMETERS = ("q", "from", "X-Tags", "$filter", "item-id", "Idempotency-Key", "If-None-Match", "date")
PATHS = ("/a", "/a/{x}", "/b/{item-id}", "/{x}-{date}", "/a:batch", "/c/{x}.json")
OPERATION_IDS = ("getA", "import", "list", "things.get", "date", "get-b")
RESPONSE_MEDIA_TYPES = ("application/json", "application/vnd.a+json", "image/png", "text/event-stream")
REQUEST_MEDIA_TYPES = (
    "application/json",
    "application/json",
    "application/a+json",
    "application/x-www-form-urlencoded",
)
ERROR = re.compile(r"[^\n]+: [^\n]+; [^\n]+")

references = st.sampled_from(NAMES).map(lambda name: {"$ref": f"#/components/schemas/{name}"})
texts = st.sampled_from(("a", "b'\"", "*/ `${x}`", '"""', "\\N{BULLET}", "größe 🍕", "", "end \\", 'end "', "a\nb"))
scalars = st.sampled_from(
    [
        {"type": "string"},
        {"type": "string", "maxLength": 3, "default": "a"},
        {"type": "string", "pattern": '^a"\\d$'},
        {"type": "string", "default": 'it\'s "q" \\'},
        {"type": "integer", "minimum": 1, "default": 2},
        {"type": "number", "exclusiveMaximum": 5},
        {"type": ["integer", "null"]},
        {"type": "boolean", "default": False},
        {"const": "a"},
        *({"type": "string", "format": name} for name in ("date", "date-time", "uuid", "decimal", "byte", "duration")),
    ]
)
enums = st.sampled_from(
    [
        {"type": "string", "enum": ["a", "A", "mro", "", "1", "in-progress", "None"]},
        {"type": ["string", "null"], "enum": ["low", None]},
        {"type": "string", "enum": ["low", "high"], "default": "high"},
        {"type": "integer", "enum": [1, -2, 3], "default": 3},
    ]
)


def extend(schemas: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return schemas that contain the given ones."""
    objects = st.dictionaries(st.sampled_from(PROPERTIES), schemas, min_size=1, max_size=4).flatmap(
        lambda properties: st.fixed_dictionaries(
            {"type": st.just("object"), "properties": st.just(properties)},
            optional={
                "additionalProperties": st.booleans(),
                "required": st.lists(st.sampled_from(sorted(properties)), unique=True),
                "description": texts,
                "title": st.sampled_from(NAMES),
            },
        )
    )
    return st.one_of(
        objects,
        objects,
        st.fixed_dictionaries({"type": st.just("array"), "items": schemas}),
        st.fixed_dictionaries({"type": st.just("object"), "additionalProperties": schemas}),
        st.lists(references, min_size=1, max_size=2, unique_by=str).map(lambda parts: {"allOf": parts}),
        st.tuples(references, schemas).map(lambda parts: {"anyOf": [*parts]}),
        references.map(lambda schema: {"oneOf": [schema, {"type": "null"}]}),
        st.builds(
            lambda parts, name: {"oneOf": parts, "discriminator": {"propertyName": name}},
            st.lists(references, min_size=1, max_size=2, unique_by=str),
            st.sampled_from(PROPERTIES),
        ),
    )


schemas = st.recursive(st.one_of(scalars, enums, references), extend, max_leaves=6)
parameters = st.builds(
    lambda name, location, schema: {"name": name, "in": location, "schema": schema},
    st.sampled_from(PARAMETERS),
    st.sampled_from(("query", "query", "header", "cookie")),
    st.one_of(scalars, scalars, enums, enums, references, enums.map(lambda schema: {"type": "array", "items": schema})),
)
FILE = {"type": "string", "format": "binary"}
forms = st.builds(
    lambda fields: {
        "multipart/form-data": {
            "schema": {"type": "object", "required": ["file"], "properties": fields | {"file": FILE}},
            "encoding": {"file": {"contentType": "image/png"}},
        }
    },
    st.dictionaries(st.sampled_from(PROPERTIES), st.one_of(scalars, enums, references), max_size=2),
)
contents, bodies = (
    st.builds(lambda media_type, schema: {media_type: {"schema": schema}}, st.sampled_from(media_types), references)
    for media_types in (RESPONSE_MEDIA_TYPES, REQUEST_MEDIA_TYPES)
)


def create_operation(path: str, described: Json, listed: list[Json], content: Json, body: Json | None) -> Json:
    """Return an operation at a path, with its parameters."""
    in_path = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"\{([^}]+)\}", path)
    ]
    responses: Json = {"200": {"description": "Fine.", "content": content}, "204": {"description": "End."}}
    if "text/event-stream" not in content:
        del responses["204"]
    return (
        described
        | {"parameters": [*in_path, *listed], "tags": ["things"], "responses": responses}
        | ({} if body is None else {"requestBody": {"required": True, "content": body}})
    )


@st.composite
def documents(draw: st.DrawFn) -> Json:
    """Draw a document whose references and operations are correct; its names and schemas may be unsupported."""
    document = change_document()
    document["components"]["schemas"] |= {name: draw(schemas) for name in NAMES}
    for path, operation_id in zip(PATHS, OPERATION_IDS, strict=True):
        if draw(st.booleans()):
            described = {"operationId": operation_id, "summary": draw(texts), "description": draw(texts)} | {
                "security": draw(
                    st.sampled_from(([], [{"bearer": ["admin"]}], [{"webhook": []}], [{}, {"bearer": []}]))
                ),
                "x-final-event": {"id": ["a"]},
                "x-max-bytes": 1000,
            }
            method = draw(st.sampled_from(("get", "post", "delete", "put")))
            body = None if method == "get" else draw(st.one_of(bodies, forms))
            listed = draw(st.lists(parameters, max_size=2, unique_by=lambda each: each["name"]))
            document["paths"][path] = {method: create_operation(path, described, listed, draw(contents), body)}
    return document


@pytest.fixture(autouse=True)
def _empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tool_cache, "CACHE_FOLDER", tmp_path)


def run_generators(document: Json) -> None:
    """Run the generators in this process, and import the models and handlers."""
    contracts = create_contracts(openapi=document)
    generated = {
        "random_models": models.generate_api(contracts, "delivery"),
        "random_handlers": handlers.generate(contracts)[contracts.get_rest_path(handlers.MODULE)],
    }
    for name, text in generated.items():
        sys.modules[name] = module = ModuleType(name)
        source = str(text).replace("generated.rest.delivery.models", "random_models")
        exec(source, module.__dict__)  # noqa: S102 (the source is generated)
    scaffolded = test_scaffolding.render_new_tests(contracts, set())
    for text in (*callbacks.generate(contracts).values(), *scaffolded.values()):
        ast.parse(text)
    typescript.generate_streams(contracts)
    edge.build_edge_routes(contracts)
    publish_document(document)


def list_errors(document: Json) -> list[str]:
    """Return the errors of the reader and the generators."""
    if errors := find_errors(document):
        return errors
    try:
        run_generators(document)
    except ContractError as error:
        return [*error.messages]
    return []


@given(documents())
@settings(max_examples=30, derandomize=True, deadline=None, suppress_health_check=[*HealthCheck])
def test_random_document_generates_or_is_an_error(document: Json) -> None:
    for message in list_errors(document):
        assert ERROR.fullmatch(message), message


junk = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-1, 3), st.sampled_from(("", "object", "#/components", "5"))),
    lambda values: st.one_of(
        st.lists(values, max_size=2),
        st.dictionaries(st.sampled_from(("type", "$ref", "enum", "items", "schema", "x")), values, max_size=2),
    ),
    max_leaves=4,
)


def list_places(node: Any) -> list[tuple[Any, Any]]:
    """Return all containers with their keys."""
    keys = list(node) if isinstance(node, dict) else list(range(len(node))) if isinstance(node, list) else []
    return [(node, key) for key in keys] + [place for key in keys for place in list_places(node[key])]


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        (("paths", "/uploads", "post", "x-max-bytes"), {"schema": None}),
        (("paths", "/uploads", "post", "x-max-bytes"), {"schema": "object"}),
        (("components", "schemas", "Counts"), True),
        (("components", "schemas", "Problem", "properties", "reason"), True),
    ],
)
def test_unusual_value_is_an_error(pointer: tuple[str, ...], value: Any) -> None:
    changed = copy.deepcopy(SERVED_DOCUMENT)
    *parents, key = pointer
    reduce(getitem, parents, changed)[key] = value
    messages = list_errors(changed)
    assert messages
    assert all(ERROR.fullmatch(message) for message in messages)


@given(st.data(), junk)
@settings(max_examples=100, derandomize=True, deadline=None, suppress_health_check=[*HealthCheck])
def test_document_with_a_random_value_is_read_or_an_error(data: st.DataObject, value: Any) -> None:
    changed = copy.deepcopy(SERVED_DOCUMENT)
    container, key = data.draw(st.sampled_from(list_places(changed)))
    container[key] = value
    for message in list_errors(changed):
        assert ERROR.fullmatch(message), message


def test_document_of_the_tests_generates() -> None:
    assert list_errors(DOCUMENT) == []
