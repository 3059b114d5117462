"""Rules of the parameters of served operations."""

import pytest

from codegen.openapi.parameters import list_template_names, merge_parameters
from tests.unit.codegen.openapi.sample_documents import (
    Json,
    change_document,
    find_errors,
    with_operation,
    with_parameter,
)

TEXT = {"type": "string"}
TEXTS = {"type": "array", "items": TEXT}


@pytest.mark.parametrize(
    ("path", "names"), [("/things", []), ("/a/{x}/b/{item-id}", ["x", "item-id"]), ("/{a}-{b}", ["a", "b"])]
)
def test_names_in_a_path_template(path: str, names: list[str]) -> None:
    assert list_template_names(path) == names


def test_parameters_of_operation_replace_those_of_path() -> None:
    inherited, own = [{"name": "a", "n": 1}, {"name": "b", "n": 1}], [{"name": "a", "n": 2}]
    merged = merge_parameters(inherited, own, key=lambda each: each["name"])
    assert merged == [{"name": "b", "n": 1}, {"name": "a", "n": 2}]


@pytest.mark.parametrize(
    "parameter",
    [
        {"schema": TEXTS},
        {"schema": TEXTS, "explode": False, "style": "form"},
        {"in": "cookie"},
        {"in": "header", "schema": TEXTS, "style": "simple"},
        {"name": "$filter"},
        {"name": "from", "schema": {"type": "string", "format": "date"}},
        {"schema": {"type": "integer", "enum": [1, 2], "default": 1}},
        {"schema": {"$ref": "#/components/schemas/Role"}},
    ],
)
def test_supported_parameter_has_no_error(parameter: Json) -> None:
    assert find_errors(with_parameter(parameter)) == []


def test_dashed_path_parameter_has_no_error() -> None:
    parameter = {"name": "item-id", "in": "path", "required": True}
    assert find_errors(with_parameter(parameter, "/things/{item-id}")) == []


@pytest.mark.parametrize(
    ("parameter", "error"),
    [
        ({"in": "body"}, "see the OpenAPI specification 3.1"),
        ({"style": "deepObject"}, "the style deepObject of the query parameter q is not supported; use the style form"),
        (
            {"name": "Authorization", "in": "header"},
            "OpenAPI ignores the header parameter Authorization; write a requirement under `security`",
        ),
        ({"name": "a b", "in": "header"}, "the header parameter a b has no valid name; use a-z, A-Z, 0-9 and `-`"),
        ({"in": "cookie", "schema": TEXTS}, "the cookie parameter q is an array; use a query parameter"),
        ({"schema": TEXTS | {"default": []}}, "the query parameter q is an array, whose default is not supported"),
        (
            {"schema": {"type": "array", "items": TEXTS}},
            "the items of the query parameter q are no texts, numbers or booleans; use others",
        ),
        (
            {"schema": {"$ref": "#/components/schemas/Thing"}},
            "the query parameter q is no text, number, boolean or array of those; "
            "write one of these types, or use a request body",
        ),
        (
            {"schema": {"type": ["string", "null"]}},
            "the query parameter q is no text, number, boolean or array of those",
        ),
        (
            {"required": True, "schema": TEXT | {"default": "a"}},
            "the query parameter q is required, so its default has no effect; remove one of both",
        ),
        ({"name": "x", "in": "path", "required": True}, "the path parameter x is not in /things"),
    ],
)
def test_unsupported_parameter_is_an_error(parameter: Json, error: str) -> None:
    (message,) = find_errors(with_parameter(parameter))
    assert error in message


@pytest.mark.parametrize(
    ("parameter", "error"),
    [
        ({"schema": TEXTS}, "the path parameter x may be empty, which no path matches; write `minItems: 1`"),
        ({"name": "y"}, "the path parameter x is not described; add it to `parameters` with `in: path`"),
    ],
)
def test_unsupported_path_parameter_is_an_error(parameter: Json, error: str) -> None:
    document = with_parameter({"name": "x", "in": "path", "required": True} | parameter, "/things/{x}")
    assert f"operation listThings: {error}" in find_errors(document)


def test_parameter_of_the_operation_replaces_the_one_of_the_path() -> None:
    parameter = {"name": "x", "in": "path", "required": True, "schema": TEXT}
    document = with_operation("/things/{x}", parameters=[parameter | {"schema": {"type": "integer"}}])
    document["paths"]["/things/{x}"]["parameters"] = [parameter]
    assert find_errors(document) == []


def test_repeated_parameter_is_an_error() -> None:
    parameter = {"name": "q", "in": "query", "schema": TEXT}
    errors = find_errors(with_operation(parameters=[parameter, parameter]))
    assert any("the query parameter q occurs twice; remove one of them" in error for error in errors)


def test_error_of_a_shared_parameter_is_reported_once_at_the_component() -> None:
    document = with_operation(parameters=[{"$ref": "#/components/parameters/Q"}])
    item = document["paths"]["/things"]
    item["delete"] = item["get"] | {"operationId": "deleteThings"}
    document = change_document(paths=document["paths"], components=document["components"])
    document["components"]["parameters"] = {
        "Q": {"name": "q", "in": "query", "schema": TEXTS, "style": "pipeDelimited"}
    }
    (error,) = find_errors(document)
    assert error.startswith("parameter Q: the style pipeDelimited of the query parameter q is not supported")


@pytest.mark.parametrize("name", ["Host", "X-Forwarded-For", "x-jwt-payload", "x-envoy-attempt-count", "traceparent"])
def test_header_that_the_edge_sets_is_an_error(name: str) -> None:
    (error,) = find_errors(with_parameter({"name": name, "in": "header"}))
    assert error == f"operation listThings: the edge sets or removes the header parameter {name}; rename it"
