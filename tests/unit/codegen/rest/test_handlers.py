import ast
import inspect
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codegen.contracts import ContractError, Contracts
from codegen.naming import render_docstring, to_package_name, to_snake_case
from codegen.rest import handlers, problems
from codegen.rest.operations import iter_operations
from generated.problems import PROBLEMS, Reason
from generated.rest.delivery import handlers as generated_handlers
from tests.unit.codegen.rest.handler_samples import (
    THING,
    cached_operation,
    generate_handlers,
    operation,
    repository_contracts,
    with_paths,
)


def methods() -> dict[str, ast.AsyncFunctionDef]:
    (handler,) = [node for node in generate_handlers(with_paths()).body if isinstance(node, ast.ClassDef)]
    assert handler.name == "ThingsHandler"
    assert ast.get_docstring(handler) == "All things."
    return {node.name: node for node in handler.body if isinstance(node, ast.AsyncFunctionDef)}


@pytest.mark.parametrize(
    ("name", "arguments", "result"),
    [
        ("get_thing", "self, *, thing_id: str, at: datetime, q: str | None=None, page_size: int=20", "Response[Thing]"),
        ("update_thing", "self, *, principal: Principal, thing_id: str, body: Thing", "Thing"),
        ("delete_thing", "self, *, principal: Principal, thing_id: str", "None"),
        ("get_picture", "self, *, thing_id: str", "Response[BinaryResponse]"),
        ("put_picture", "self, *, thing_id: str, body: Upload", "None"),
        ("callback", "self, *, webhook: SignedRequest", "None"),
    ],
)
def test_handler_signature_matches_contract(name: str, arguments: str, result: str) -> None:
    method = methods()[name]
    assert ast.unparse(method.args) == arguments
    assert method.returns is not None
    assert ast.unparse(method.returns) == result
    assert [ast.unparse(decorator) for decorator in method.decorator_list] == ["abstractmethod"]


def test_docstring_contains_summary_and_description() -> None:
    assert ast.get_docstring(methods()["get_thing"]) == "Read it: GET /things/{thing_id}.\n\nShown to everyone."
    assert ast.get_docstring(methods()["callback"]) == "callback: POST /callbacks."


def test_operation_table_contains_handler_status_and_media_type() -> None:
    text = str(handlers.generate(with_paths())["rest/delivery/handlers.py"])
    assert "'updateThing': Operation(ThingsHandler, 'update_thing', Thing, 200, 'application/json')," in text
    assert "'getPicture': Operation(ThingsHandler, 'get_picture', None, 200, 'image/*')," in text
    assert "'callback': Operation(ThingsHandler, 'callback', None, 202, '')," in text


def test_cached_operation_has_no_principal_and_names_event() -> None:
    source = with_paths(**{"/cached": {"get": cached_operation()}})
    text = str(handlers.generate(source)["rest/delivery/handlers.py"])
    assert "async def cachedThing" not in text
    assert "    async def cached_thing(self) -> Thing:\n" in text
    row = "'cachedThing': Operation(ThingsHandler, 'cached_thing', None, 200, 'application/json', "
    assert row + "cache_until_event=PARTNER_CATALOG_CHANGED)," in text
    assert "from generated.events import PARTNER_CATALOG_CHANGED\n" in text


def test_generation_is_deterministic() -> None:
    assert handlers.generate(with_paths()) == handlers.generate(with_paths())
    assert problems.generate(repository_contracts()) == problems.generate(repository_contracts())


def test_operation_roles_match_security_alternatives() -> None:
    by_id = {operation.id: operation for operation in iter_operations(with_paths(), "delivery")}
    assert (by_id["updateThing"].scheme, by_id["updateThing"].roles) == ("bearer", ("customer", "admin"))
    assert (by_id["deleteThing"].scheme, by_id["deleteThing"].roles) == ("bearer", ())
    assert (by_id["getThing"].scheme, by_id["getThing"].roles) == (None, ())


def form(
    properties: dict[str, Any] | None = None, encoding: dict[str, Any] | None = None, size: int | None = 9
) -> Contracts:
    """Return the document with a form."""
    schema = {"type": "object", "required": ["picture"], "properties": properties or {"picture": BINARY}}
    types = {"picture": {"contentType": "image/png"}} if encoding is None else encoding
    content = {"multipart/form-data": {"schema": schema, "encoding": types}}
    path = operation(requestBody={"content": content})
    return with_paths(**{"/other": path if size is None else {"get": path["get"] | {"x-max-bytes": size}}})


BINARY = {"type": "string", "format": "binary"}


def test_form_body_is_upload() -> None:
    assert "body: Upload" in ast.unparse(generate_handlers(form()))


@pytest.mark.parametrize(
    "options",
    [
        {"properties": {"picture": BINARY, "second": BINARY}},
        {"properties": {"picture": {"type": "string"}}},
        {"encoding": {}},
        {"encoding": {"other": {"contentType": "image/png"}}},
        {"size": None},
    ],
)
def test_form_without_single_typed_file_is_rejected(options: dict[str, Any]) -> None:
    with pytest.raises(ContractError, match="other"):
        generate_handlers(form(**options))


def test_other_fields_of_a_form_are_arguments() -> None:
    title, tags = {"type": "string"}, {"type": "array", "items": {"type": "integer"}}
    text = ast.unparse(generate_handlers(form(properties={"picture": BINARY, "title": title, "tags": tags})))
    assert "body: Upload, title: str | None=None, tags: list[int] | None=None" in text


def test_optional_file_of_a_form_may_be_none() -> None:
    source = form(properties={"picture": BINARY, "title": {"type": "string"}})
    content = source.openapi["delivery"]["paths"]["/other"]["get"]["requestBody"]["content"]
    content["multipart/form-data"]["schema"]["required"] = ["title"]
    assert "title: str, body: Upload | None)" in ast.unparse(generate_handlers(source))


def test_optional_token_is_an_optional_principal() -> None:
    text = ast.unparse(generate_handlers(with_paths(**{"/other": operation(security=[{}, {"bearer": []}])})))
    assert "principal: Principal | None)" in text


EVENTS = {"text/event-stream": {"schema": {"$ref": "#/components/schemas/Thing"}}}


def stream(*, with_204: bool = True, **response: Any) -> Contracts:
    """Return the document with a stream."""
    stream_response = {"description": "Changes.", "content": EVENTS} | response
    responses = {"200": stream_response} | ({"204": {"description": "Nothing will follow."}} if with_204 else {})
    parameter = {"name": "Last-Event-ID", "in": "header", "schema": {"type": "integer"}}
    return with_paths(**{"/watch": operation(responses=responses, parameters=[parameter])})


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#/components/schemas/Thing"},
        {"type": "array", "items": {"$ref": "#/components/schemas/Thing"}},
        {"properties": {"id": {}, "data": {"contentSchema": {"$ref": "#/components/schemas/Thing"}}}},
    ],
    ids=["data", "array of data", "event"],
)
def test_stream_result_is_iterator_of_events(schema: dict[str, Any]) -> None:
    (handler,) = [
        node
        for node in generate_handlers(stream(content={"text/event-stream": {"schema": schema}})).body
        if isinstance(node, ast.ClassDef)
    ]
    (method,) = [node for node in handler.body if isinstance(node, ast.FunctionDef)]
    assert method.name == "other"
    assert ast.unparse(method.args) == "self, *, last_event_id: int | None=None"
    assert method.returns is not None
    assert ast.unparse(method.returns) == "AsyncIterator[Event[Thing]]"


def test_stream_with_additional_headers_is_rejected() -> None:
    generate_handlers(stream(headers={"Cache-Control": {"schema": {"type": "string"}}}))
    with pytest.raises(ContractError, match="operation other: the stream has another status or headers"):
        generate_handlers(stream(headers={"ETag": {"schema": {"type": "string"}}}))


def test_stream_without_204_is_rejected() -> None:
    with pytest.raises(ContractError, match="operation other: the stream lacks the response 204"):
        generate_handlers(stream(with_204=False))


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (operation(requestBody={"content": {"application/json": THING, "text/plain": THING}}), "several media types"),
        (
            operation(requestBody={"content": {"application/json": {"schema": {"type": "object"}}}}),
            "move this schema to components",
        ),
        (
            operation(parameters=[{"name": "x", "in": "query", "schema": {"type": ["string", "null"]}}]),
            "move this schema",
        ),
    ],
)
def test_invalid_operation_is_rejected(path: dict[str, Any], message: str) -> None:
    with pytest.raises(ContractError, match=message):
        handlers.generate(with_paths(**{"/other": path}))


@pytest.mark.parametrize("name", generated_handlers.OPERATIONS)
def test_every_operation_has_abstract_method(name: str) -> None:
    row = generated_handlers.OPERATIONS[name]
    assert inspect.isabstract(row.handler)
    assert getattr(row.handler, row.method).__isabstractmethod__
    assert (row.body is not None) == ("body" in inspect.signature(getattr(row.handler, row.method)).parameters)


def test_table_contains_every_operation_of_contract() -> None:
    assert {each.id: each.status for each in iter_operations(repository_contracts(), "delivery")} == {
        name: row.status for name, row in generated_handlers.OPERATIONS.items()
    }


def test_problem_catalogue_matches_contract() -> None:
    catalogue = repository_contracts().openapi["delivery"]["x-problems"]
    assert list(catalogue) == list(Reason)
    for reason, entry in catalogue.items():
        problem = PROBLEMS[Reason(reason)]._asdict()
        assert problem == {name: entry.get(name, {}) for name in problem}


@pytest.mark.parametrize(
    ("name", "expected"),
    [("listCatalog", "list_catalog"), ("If-None-Match", "if_none_match"), ("page_size", "page_size"), ("q", "q")],
)
def test_snake_and_package_name(name: str, expected: str) -> None:
    assert to_snake_case(name) == expected
    assert to_package_name("payment-system") == "payment_system"


@given(st.text(st.sampled_from("ab\\'\n "), min_size=1), st.sampled_from([0, 4, 8]))
def test_docstring_is_valid_python(text: str, indent: int) -> None:
    source = render_docstring(f"{text}.", indent)
    assert source.startswith(" " * indent)
    assert isinstance(ast.literal_eval(source.strip()), str)


@given(st.text(st.sampled_from("ab\\'\" "), max_size=12), st.sampled_from([0, 4, 8]))
def test_docstring_with_quotes_evaluates_to_text(text: str, indent: int) -> None:
    source = render_docstring(f"Say {text}", indent)
    assert ast.literal_eval(source.strip()) == f"Say {text}".strip().replace('"""', "'''")


def test_tag_description_ending_with_quote_is_docstring() -> None:
    source = with_paths()
    source.openapi["delivery"]["tags"][0]["description"] = 'Called "things"'
    (handler,) = [node for node in generate_handlers(source).body if isinstance(node, ast.ClassDef)]
    assert ast.get_docstring(handler) == 'Called "things"'


def test_hyphenated_tag_becomes_pascal_case_class() -> None:
    source = with_paths(**{"/agents": operation(tags=["notification-agents"])})
    source.openapi["delivery"]["tags"].append({"name": "notification-agents", "description": "Notification agents."})
    names = {node.name for node in generate_handlers(source).body if isinstance(node, ast.ClassDef)}
    assert "NotificationAgentsHandler" in names


def test_parameter_default_is_rendered_as_its_type() -> None:
    schemas = [
        {"$ref": "#/components/schemas/Size"},
        {"type": "string", "format": "date", "default": "2024-02-29"},
        {"type": "string", "default": "x"},
        {"type": "boolean", "default": False},
    ]
    parameters = [{"name": f"p{n}", "in": "query", "schema": schema} for n, schema in enumerate(schemas)]
    source = with_paths(**{"/other": operation(parameters=parameters)})
    source.get_schemas("delivery")["Size"] = {"type": "string", "enum": ["small", "large"], "default": "small"}
    (handler,) = [node for node in generate_handlers(source).body if isinstance(node, ast.ClassDef)]
    (method,) = [node for node in handler.body if isinstance(node, ast.AsyncFunctionDef) and node.name == "other"]
    assert ast.unparse(method.args) == (
        "self, *, p0: Size=Size('small'), p1: date=date.fromisoformat('2024-02-29'), p2: str='x', p3: bool=False"
    )
