import ast
import copy
import inspect
from functools import cache
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from codegen import contracts
from codegen.contracts import ContractError, Contracts
from codegen.naming import docstring, package_name, snake
from codegen.rest import handlers, problems
from codegen.rest.operations import operations
from deploy.local.mesh_config import ROOT
from generated.problems import PROBLEMS, Reason
from generated.rest.delivery import handlers as written

DOCUMENT = yaml.safe_load("""
openapi: 3.1.0
tags: [{name: things, description: What there is.}]
paths:
  /things/{thing_id}:
    parameters: [{$ref: '#/components/parameters/ThingId'}]
    get:
      operationId: getThing
      tags: [things]
      summary: Read it
      description: Shown to everyone.
      parameters:
        - {name: If-None-Match, in: header, schema: {type: string}}
        - {name: q, in: query, schema: {type: string}}
        - {name: page_size, in: query, schema: {type: integer, default: 20}}
        - {name: at, in: query, required: true, schema: {type: string, format: date-time}}
      responses:
        '200':
          description: It.
          headers: {ETag: {schema: {type: string}}, x-request-id: {schema: {type: string}}}
          content: {application/json: {schema: {$ref: '#/components/schemas/Thing'}}}
        '404': {description: No.}
    patch:
      operationId: updateThing
      tags: [things]
      security: [{bearer: [customer]}, {bearer: [admin]}]
      requestBody: {content: {application/json: {schema: {$ref: '#/components/schemas/Thing'}}}}
      responses:
        '200':
          description: It.
          headers: {x-request-id: {schema: {type: string}}}
          content: {application/json: {schema: {$ref: '#/components/schemas/Thing'}}}
    delete:
      operationId: deleteThing
      tags: [things]
      security: [{bearer: []}]
      responses: {'204': {description: Gone.}}
  /things/{thing_id}/picture:
    parameters: [{$ref: '#/components/parameters/ThingId'}]
    get:
      operationId: getPicture
      tags: [things]
      responses:
        '200': {description: It., headers: {ETag: {schema: {}}}, content: {image/*: {schema: {type: string}}}}
    put:
      operationId: putPicture
      x-max-bytes: 9
      tags: [things]
      requestBody:
        content:
          multipart/form-data:
            schema: {type: object, properties: {picture: {type: string, format: binary}}}
            encoding: {picture: {contentType: image/png}}
      responses: {'204': {description: Taken.}}
  /callbacks:
    post:
      operationId: callback
      tags: [things]
      security: [{webhook: []}]
      requestBody: {content: {application/json: {schema: {$ref: '#/components/schemas/Thing'}}}}
      responses: {'202': {description: Taken.}}
components:
  parameters:
    ThingId: {name: thing_id, in: path, required: true, schema: {$ref: '#/components/schemas/Id'}}
  schemas:
    Id: {type: string}
    Thing: {type: object, properties: {id: {$ref: '#/components/schemas/Id'}}}
""")


@cache
def real() -> Contracts:
    return contracts.load(ROOT)


def changed(**paths: Any) -> Contracts:
    """The document with other paths."""
    document = copy.deepcopy(DOCUMENT)
    document["paths"] |= paths
    return Contracts(openapi={"delivery": document}, protos=real().protos)


def generated(source: Contracts) -> ast.Module:
    return ast.parse(str(handlers.generate(source)["rest/delivery/handlers.py"]))


def methods() -> dict[str, ast.AsyncFunctionDef]:
    (found,) = [node for node in generated(changed()).body if isinstance(node, ast.ClassDef)]
    assert found.name == "ThingsHandler"
    assert ast.get_docstring(found) == "What there is."
    return {node.name: node for node in found.body if isinstance(node, ast.AsyncFunctionDef)}


@pytest.mark.parametrize(
    ("name", "arguments", "result"),
    [
        ("get_thing", "self, *, thing_id: str, at: datetime, q: str | None=None, page_size: int=20", "Reply[Thing]"),
        ("update_thing", "self, *, principal: Principal, thing_id: str, body: Thing", "Thing"),
        ("delete_thing", "self, *, principal: Principal, thing_id: str", "None"),
        ("get_picture", "self, *, thing_id: str", "Reply[Blob]"),
        ("put_picture", "self, *, thing_id: str, body: Upload", "None"),
        ("callback", "self, *, webhook: SignedRequest, body: Thing", "None"),
    ],
)
def test_a_signature_says_what_the_contract_says(name: str, arguments: str, result: str) -> None:
    method = methods()[name]
    assert ast.unparse(method.args) == arguments
    assert method.returns is not None
    assert ast.unparse(method.returns) == result
    assert [ast.unparse(decorator) for decorator in method.decorator_list] == ["abstractmethod"]


def test_summary_and_description_become_the_docstring() -> None:
    assert ast.get_docstring(methods()["get_thing"]) == "Read it: GET /things/{thing_id}.\n\nShown to everyone."
    assert ast.get_docstring(methods()["callback"]) == "callback: POST /callbacks."


def test_the_table_says_who_handles_an_operation_and_how_it_ends() -> None:
    text = str(handlers.generate(changed())["rest/delivery/handlers.py"])
    assert "'updateThing': Operation(ThingsHandler, 'update_thing', Thing, 200, 'application/json')," in text
    assert "'getPicture': Operation(ThingsHandler, 'get_picture', None, 200, 'image/*')," in text
    assert "'callback': Operation(ThingsHandler, 'callback', Thing, 202, '')," in text


def kept(**changes: Any) -> dict[str, Any]:
    """A thing that everybody is shown alike until there is an event."""
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}}
    raw = {
        "operationId": "keptThing",
        "tags": ["things"],
        "security": [{"bearer": []}],
        "x-cache-until-event": "partners.catalog_changed",
        "responses": {"200": {"description": ".", "content": content}},
    }
    return raw | changes


def test_what_is_kept_is_not_told_who_asks_and_names_what_ends_it() -> None:
    source = changed(**{"/kept": {"get": kept()}})
    text = str(handlers.generate(source)["rest/delivery/handlers.py"])
    assert "async def keptThing" not in text
    assert "    async def kept_thing(self) -> Thing:\n" in text
    row = "'keptThing': Operation(ThingsHandler, 'kept_thing', None, 200, 'application/json', "
    assert row + "cache_until_event=PARTNER_CATALOG_CHANGED)," in text
    assert "from generated.events import PARTNER_CATALOG_CHANGED\n" in text


@pytest.mark.parametrize(
    ("item", "complaint"),
    [
        (
            {"get": kept(**{"x-cache-until-event": "partners.eaten"})},
            "keptThing is kept until partners.eaten, which is no",
        ),
        ({"post": kept()}, "keptThing is kept, so it is a GET for JSON"),
        ({"get": kept(responses={"204": {"description": "."}})}, "keptThing is kept, so it is a GET for JSON"),
        (
            {
                "get": kept(
                    responses={
                        "200": kept()["responses"]["200"] | {"headers": {"ETag": {"schema": {"type": "string"}}}}
                    }
                )
            },
            "without headers of its own",
        ),
    ],
    ids=["event", "method", "content", "headers"],
)
def test_what_cannot_be_kept_is_named(item: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ContractError, match=complaint):
        generated(changed(**{"/kept": item}))


def test_generation_is_deterministic() -> None:
    assert handlers.generate(changed()) == handlers.generate(changed())
    assert problems.generate(real()) == problems.generate(real())


def test_roles_are_the_alternatives_of_the_contract() -> None:
    found = {operation.id: operation for operation in operations(changed(), "delivery")}
    assert (found["updateThing"].scheme, found["updateThing"].roles) == ("bearer", ("customer", "admin"))
    assert (found["deleteThing"].scheme, found["deleteThing"].roles) == ("bearer", ())
    assert (found["getThing"].scheme, found["getThing"].roles) == (None, ())


def operation(**changes: Any) -> dict[str, Any]:
    return {"get": {"operationId": "other", "tags": ["things"], "responses": {"204": {"description": "."}}} | changes}


PATTERN = "^[\\x21-\\x7e]+$"
KEY = {"type": "string", "minLength": 1, "maxLength": 64, "pattern": PATTERN}
REPLAYED = {"Idempotency-Replayed": {"schema": {"type": "string"}}}


def creating(key: Any, headers: dict[str, Any], **parameter: Any) -> Contracts:
    """The document with an operation that may take an idempotency key."""
    parameters = [] if key is None else [{"name": "Idempotency-Key", "in": "header", "schema": key} | parameter]
    return changed(
        **{"/other": operation(parameters=parameters, responses={"201": {"description": ".", "headers": headers}})}
    )


@pytest.mark.parametrize("key", [KEY, {"type": "string", "pattern": "^[!-~]{1,64}$"}])
def test_an_idempotency_key_reaches_the_handler(key: Any) -> None:
    (found,) = [node for node in generated(creating(key, REPLAYED)).body if isinstance(node, ast.ClassDef)]
    (method,) = [node for node in found.body if isinstance(node, ast.AsyncFunctionDef) and node.name == "other"]
    assert ast.unparse(method.args) == "self, *, idempotency_key: str | None=None"
    assert method.returns is not None
    assert ast.unparse(method.returns) == "Reply[None]"


@pytest.mark.parametrize(
    ("key", "headers", "parameter"),
    [
        (KEY, {}, {}),
        (None, REPLAYED, {}),
        (KEY, REPLAYED, {"required": True}),
        ({"type": "string"}, REPLAYED, {}),
        (KEY | {"maxLength": 65}, REPLAYED, {}),
        (KEY | {"maxLength": 63}, REPLAYED, {}),
        (KEY | {"pattern": "^[ -~]+$"}, REPLAYED, {}),
        (KEY | {"pattern": "^[A-Za-z0-9-]+$"}, REPLAYED, {}),
    ],
)
def test_an_idempotency_key_is_as_everywhere(key: Any, headers: dict[str, Any], parameter: dict[str, Any]) -> None:
    with pytest.raises(ContractError, match="Idempotency-Key"):
        generated(creating(key, headers, **parameter))


def form(
    properties: dict[str, Any] | None = None, encoding: dict[str, Any] | None = None, size: int | None = 9
) -> Contracts:
    """The document with a form."""
    schema = {"type": "object", "properties": properties or {"picture": BINARY}}
    types = {"picture": {"contentType": "image/png"}} if encoding is None else encoding
    content = {"multipart/form-data": {"schema": schema, "encoding": types}}
    made = operation(requestBody={"content": content})
    return changed(**{"/other": made if size is None else {"get": made["get"] | {"x-max-bytes": size}}})


BINARY = {"type": "string", "format": "binary"}


def test_a_form_is_an_upload() -> None:
    assert "body: Upload" in ast.unparse(generated(form()))


@pytest.mark.parametrize(
    "options",
    [
        {"properties": {"picture": BINARY, "title": {"type": "string"}}},
        {"properties": {"picture": {"type": "string"}}},
        {"encoding": {}},
        {"encoding": {"other": {"contentType": "image/png"}}},
        {"size": None},
    ],
)
def test_a_form_that_does_not_say_which_file_it_takes_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ContractError, match="other"):
        generated(form(**options))


EVENTS = {"text/event-stream": {"schema": {"$ref": "#/components/schemas/Thing"}}}


def stream(**response: Any) -> Contracts:
    """The document with a stream."""
    answer = {"description": "Its life.", "content": EVENTS} | response
    parameter = {"name": "Last-Event-ID", "in": "header", "schema": {"type": "integer"}}
    return changed(**{"/watch": operation(responses={"200": answer}, parameters=[parameter])})


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#/components/schemas/Thing"},
        {"type": "array", "items": {"$ref": "#/components/schemas/Thing"}},
        {"properties": {"id": {}, "data": {"contentSchema": {"$ref": "#/components/schemas/Thing"}}}},
    ],
    ids=["data", "all data", "event"],
)
def test_a_stream_is_an_iterator_of_events(schema: dict[str, Any]) -> None:
    (found,) = [
        node
        for node in generated(stream(content={"text/event-stream": {"schema": schema}})).body
        if isinstance(node, ast.ClassDef)
    ]
    (method,) = [node for node in found.body if isinstance(node, ast.FunctionDef)]
    assert method.name == "other"
    assert ast.unparse(method.args) == "self, *, last_event_id: int | None=None"
    assert method.returns is not None
    assert ast.unparse(method.returns) == "AsyncIterator[Event[Thing]]"


def test_a_stream_brings_no_headers_of_its_own() -> None:
    generated(stream(headers={"Cache-Control": {"schema": {"type": "string"}}}))
    with pytest.raises(ContractError, match="other streams"):
        generated(stream(headers={"ETag": {"schema": {"type": "string"}}}))


THING = {"schema": {"$ref": "#/components/schemas/Thing"}}


@pytest.mark.parametrize(
    ("path", "complaint"),
    [
        (operation(operationId="getThing"), "getThing is used twice"),
        (operation(responses={"200": {"description": "."}, "202": {"description": "."}}), "other has 2 success"),
        (operation(responses={"404": {"description": "."}}), "other has 0 success"),
        (operation(requestBody={"content": {"application/json": THING, "text/plain": THING}}), "several media types"),
        (
            operation(requestBody={"content": {"application/json": {"schema": {"type": "object"}}}}),
            "give this schema a name",
        ),
        (
            operation(parameters=[{"name": "x", "in": "query", "schema": {"type": ["string", "null"]}}]),
            "give this schema",
        ),
    ],
)
def test_an_operation_that_breaks_a_rule_is_refused(path: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ContractError, match=complaint):
        handlers.generate(changed(**{"/other": path}))


@pytest.mark.parametrize("name", written.OPERATIONS)
def test_every_operation_of_the_contract_has_its_abstract_method(name: str) -> None:
    row = written.OPERATIONS[name]
    assert inspect.isabstract(row.handler)
    assert getattr(row.handler, row.method).__isabstractmethod__
    assert (row.body is not None) == ("body" in inspect.signature(getattr(row.handler, row.method)).parameters)


def test_the_table_has_every_operation_of_the_contract() -> None:
    assert {found.id: found.status for found in operations(real(), "delivery")} == {
        name: row.status for name, row in written.OPERATIONS.items()
    }


def test_the_catalogue_of_reasons_is_the_contracts() -> None:
    catalogue = real().openapi["delivery"]["x-problems"]
    assert list(catalogue) == list(Reason)
    for reason, entry in catalogue.items():
        assert PROBLEMS[Reason(reason)]._asdict() == entry


@pytest.mark.parametrize(
    ("name", "expected"),
    [("listCatalog", "list_catalog"), ("If-None-Match", "if_none_match"), ("page_size", "page_size"), ("q", "q")],
)
def test_names(name: str, expected: str) -> None:
    assert snake(name) == expected
    assert package_name("payment-system") == "payment_system"


@given(st.text(st.sampled_from("ab\\'\n "), min_size=1), st.sampled_from([0, 4, 8]))
def test_a_docstring_is_python_again(text: str, indent: int) -> None:
    source = docstring(f"{text}.", indent)
    assert source.startswith(" " * indent)
    assert isinstance(ast.literal_eval(source.strip()), str)


@given(st.text(st.sampled_from("ab\\'\" "), max_size=12), st.sampled_from([0, 4, 8]))
def test_a_docstring_may_end_with_a_quote(text: str, indent: int) -> None:
    source = handlers.docstring(f"Say {text}", indent)
    assert ast.literal_eval(source.strip()) == f"Say {text}".strip().replace('"""', "'''")


def test_a_tag_is_described_in_quotes() -> None:
    source = changed()
    source.openapi["delivery"]["tags"][0]["description"] = 'Called "things"'
    (found,) = [node for node in generated(source).body if isinstance(node, ast.ClassDef)]
    assert ast.get_docstring(found) == 'Called "things"'


def test_a_tag_of_two_words_makes_a_class_name() -> None:
    source = changed(**{"/agents": operation(tags=["notification-agents"])})
    source.openapi["delivery"]["tags"].append({"name": "notification-agents", "description": "Who tells."})
    names = {node.name for node in generated(source).body if isinstance(node, ast.ClassDef)}
    assert "NotificationAgentsHandler" in names


def test_a_default_is_written_as_its_type() -> None:
    schemas = [
        {"$ref": "#/components/schemas/Size"},
        {"type": "string", "format": "date", "default": "2024-02-29"},
        {"type": "string", "default": "x"},
        {"type": "boolean", "default": False},
    ]
    parameters = [{"name": f"p{n}", "in": "query", "schema": schema} for n, schema in enumerate(schemas)]
    source = changed(**{"/other": operation(parameters=parameters)})
    source.schemas("delivery")["Size"] = {"type": "string", "enum": ["small", "large"], "default": "small"}
    (found,) = [node for node in generated(source).body if isinstance(node, ast.ClassDef)]
    (method,) = [node for node in found.body if isinstance(node, ast.AsyncFunctionDef) and node.name == "other"]
    assert ast.unparse(method.args) == (
        "self, *, p0: Size=Size('small'), p1: date=date.fromisoformat('2024-02-29'), p2: str='x', p3: bool=False"
    )
