"""Python names of schemas, operations, tags and parameters."""

from pathlib import Path

import pytest

from codegen.errors import ContractErrors
from codegen.openapi import names
from tests.unit.codegen.openapi.sample_documents import Json, change_document, find_errors, with_operation, with_schemas

OBJECT = {"type": "object", "properties": {"n": {"type": "integer"}}}


@pytest.mark.parametrize(
    ("schema", "class_name"),
    [
        ("Order", "Order"),
        ("HTTPStatus", "HTTPStatus"),
        ("order", "Order"),
        ("order-line", "OrderLine"),
        ("order.Line_2", "OrderLine2"),
        ("Größe", "Größe"),
        ("Meta", "MetaModel"),
        ("Any", "AnyModel"),
        ("Operation", "Operation"),
    ],
)
def test_class_name_of_schema(schema: str, class_name: str) -> None:
    assert names.get_class_name(schema) == class_name


@pytest.mark.parametrize(
    ("operation", "method"),
    [
        ("listThings", "list_things"),
        ("list-things", "list_things"),
        ("things.list", "things_list"),
        ("import", "import_"),
        ("list", "list_"),
        ("date", "date_"),
    ],
)
def test_method_name_of_operation(operation: str, method: str) -> None:
    assert names.get_method_name(operation) == method


@pytest.mark.parametrize(
    ("parameter", "argument"),
    [
        ("If-None-Match", "if_none_match"),
        ("$filter", "filter"),
        ("filter[status]", "filter_status"),
        ("from", "from_"),
        ("orderId", "order_id"),
        ("date", "date"),
    ],
)
def test_argument_name_of_parameter(parameter: str, argument: str) -> None:
    assert names.get_argument_name(parameter) == argument


@pytest.mark.parametrize(
    ("operation", "function"), [("watchOrder", "watchOrder"), ("watch-order", "watchOrder"), ("a.b.c", "aBC")]
)
def test_function_name_of_operation(operation: str, function: str) -> None:
    assert names.get_function_name(operation) == function


def with_operations(*ids: str) -> Json:
    document = with_operation()
    operation = document["paths"]["/things"]["get"]
    return document | {
        "paths": {f"/{index}": {"get": operation | {"operationId": name}} for index, name in enumerate(ids)}
    }


def with_names(*parameters: tuple[str, str]) -> Json:
    schema = {"type": "string", "maxLength": 5}
    described = [
        {"name": name, "in": location, "schema": schema, "required": location == "path"}
        for name, location in parameters
    ]
    return with_operation("/things/{name}", parameters=[*described])


@pytest.mark.parametrize(
    ("document", "error"),
    [
        (
            with_schemas(thing=OBJECT),
            "schema thing: the class Thing collides with the one of schema Thing; rename one of them",
        ),
        (
            with_schemas(THING=OBJECT),
            "schema THING: the class THING collides with the one of schema Thing; rename one of them",
        ),
        (
            with_schemas(Meta=OBJECT, MetaModel=OBJECT),
            "schema MetaModel: the class MetaModel collides with the one of schema Meta; rename one of them",
        ),
        (with_schemas(**{"2nd": OBJECT}), "schema 2nd: the name 2nd is no class name; begin it with A-Z or a-z"),
        (
            with_schemas(OrdersHandler=OBJECT),
            "schema OrdersHandler: the suffixes Handler and Stub are those of generated classes; rename the schema",
        ),
        (
            with_operations("listThings", "list_things"),
            "operation list_things: the method list_things collides with the one of operation listThings; "
            "rename one of them",
        ),
        (with_operations("a", "a"), "operation a: the operationId occurs twice; rename one of them"),
        (
            with_operations("2things"),
            "operation 2things: the operationId 2things is no name of a method; "
            "begin it with a-z, and use a-z, A-Z, 0-9, `_`, `-` and `.`",
        ),
        (
            change_document(tags=[{"name": name} for name in ("things", "order-items", "order_items")]),
            "tags: the class OrderItemsHandler of the tag order_items collides with the one of the tag order-items; "
            "rename one of them",
        ),
        (
            change_document(tags=[{"name": "things"}, {"name": "2fa"}]),
            "tags: the tag 2fa is no class name; begin it with A-Z or a-z",
        ),
        (
            with_names(("name", "path"), ("name", "query")),
            "operation listThings: the query parameter name collides with the path parameter name; rename one of them",
        ),
        (
            with_names(("name", "path"), ("If-Match", "header"), ("if_match", "query")),
            "operation listThings: the query parameter if_match collides with the header parameter If-Match; "
            "rename one of them",
        ),
        (
            with_names(("name", "path"), ("body", "query")),
            "operation listThings: the query parameter body collides with the argument body of the handler; rename it",
        ),
        (
            with_names(("name", "path"), ("1st", "query")),
            "operation listThings: the query parameter 1st has no Python name; begin it with A-Z or a-z",
        ),
    ],
)
def test_invalid_or_colliding_names_are_errors(document: Json, error: str) -> None:
    assert find_errors(document) == [error]


def test_tag_of_a_class_that_forwards_operations_is_an_error() -> None:
    tags = [{"name": "things"}, {"name": "forwarding-things"}]
    (error,) = find_errors(change_document(tags=tags))
    problem = "the class ForwardingThingsHandler of the tag forwarding-things collides with one of the tag things"
    assert error == f"tags: {problem}; rename one of them"


@pytest.mark.parametrize("stem", ["import", "2pay", "pay.v2", "Pay X", "None"])
def test_file_name_without_package_is_an_error(stem: str) -> None:
    errors = ContractErrors()
    names.check_file_names([Path(f"/root/api-specs/openapi/{stem}.yaml")], errors)
    (error,) = errors.messages
    assert error.startswith(f"api-specs/openapi/{stem}.yaml: the name {stem} of its models is no package of Python")


def test_files_with_one_package_are_an_error() -> None:
    errors = ContractErrors()
    names.check_file_names([Path(f"/root/api-specs/openapi/{stem}.yaml") for stem in ("a-b", "a_b", "ab")], errors)
    problem = "the package a_b of its models collides with that of a-b.yaml"
    assert errors.messages == [f"api-specs/openapi/a_b.yaml: {problem}; rename one of them"]


def test_names_of_schemas_are_those_of_classes_without_models_too() -> None:
    assert find_errors(with_schemas(thing=OBJECT), has_models=False) == []
