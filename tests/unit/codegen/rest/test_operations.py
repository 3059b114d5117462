"""Operations of an OpenAPI document with resolved references."""

from typing import Any

import pytest

from codegen.rest.operations import Operation, iter_operations
from tests.unit.codegen.sample_contracts import create_contracts, create_openapi


def list_operations(**changes: Any) -> dict[str, Operation]:
    """Return the operations of the sample document with changes of its top level."""
    source = create_contracts(openapi=create_openapi() | changes)
    return {operation.id: operation for operation in iter_operations(source, "delivery")}


OPERATIONS = list_operations()


def with_operation(raw: dict[str, Any]) -> dict[str, Operation]:
    return list_operations(paths={"/extra": {"get": {"operationId": "extra", "tags": ["notes"]} | raw}})


def test_operations_are_yielded_in_file_order() -> None:
    assert list(OPERATIONS) == ["getNote", "updateNote", "getLatestNote", "watchNote", "receiveCallback"]


def test_method_path_and_tag() -> None:
    operation = OPERATIONS["updateNote"]
    assert (operation.method, operation.path, operation.tag) == ("PATCH", "/notes/{note_id}", "notes")


def test_summary_and_description_are_optional() -> None:
    assert (OPERATIONS["getNote"].summary, OPERATIONS["getNote"].description) == ("", "")


def test_parameters_of_path_and_operation_are_resolved() -> None:
    openapi = create_openapi()
    own = {"name": "q", "in": "query", "schema": {"type": "string"}}
    openapi["paths"]["/notes/{note_id}"]["get"]["parameters"] = [own]
    names = [each["name"] for each in list_operations(paths=openapi["paths"])["getNote"].parameters]
    assert names == ["note_id", "q"]


def test_body_is_the_content_of_the_request() -> None:
    note_patch = {"schema": {"$ref": "#/components/schemas/NotePatch"}}
    assert OPERATIONS["updateNote"].body == {
        "application/json": note_patch,
        "application/merge-patch+json": note_patch,
    }
    assert OPERATIONS["getNote"].body is None


def test_referenced_body_is_resolved() -> None:
    components = create_openapi()["components"]
    components["requestBodies"] = {"Note": {"content": {"application/json": {}}}}
    raw = {"requestBody": {"$ref": "#/components/requestBodies/Note"}, "responses": {"204": {"description": "."}}}
    (operation,) = list_operations(
        components=components, paths={"/extra": {"post": {"operationId": "extra", "tags": ["notes"]} | raw}}
    ).values()
    assert operation.body == {"application/json": {}}


@pytest.mark.parametrize(("name", "status"), [("getNote", 200), ("updateNote", 204), ("receiveCallback", 202)])
def test_status_is_that_of_the_success_response(name: str, status: int) -> None:
    assert OPERATIONS[name].status == status


def test_common_headers_are_not_those_of_the_handler() -> None:
    assert OPERATIONS["getNote"].headers == {"ETag"}
    assert OPERATIONS["watchNote"].headers == frozenset()


@pytest.mark.parametrize(
    ("name", "scheme", "roles"),
    [
        ("getNote", "bearer", ("customer", "admin")),
        ("updateNote", "bearer", ()),
        ("getLatestNote", None, ()),
        ("receiveCallback", "webhook", ()),
    ],
)
def test_scheme_and_roles_are_those_of_the_alternatives(name: str, scheme: str | None, roles: tuple[str, ...]) -> None:
    assert (OPERATIONS[name].scheme, OPERATIONS[name].roles) == (scheme, roles)


def test_security_of_the_document_is_the_default() -> None:
    changed = list_operations(security=[{"bearer": ["admin"]}])
    assert changed["getLatestNote"].roles == ("admin",)
    assert changed["receiveCallback"].scheme == "webhook"


def test_empty_security_of_an_operation_overrides_the_default() -> None:
    paths = create_openapi()["paths"]
    paths["/notes/latest"]["get"]["security"] = []
    assert list_operations(security=[{"bearer": []}], paths=paths)["getLatestNote"].scheme is None


def test_parameter_of_operation_replaces_the_one_of_the_path() -> None:
    openapi = create_openapi()
    own = {"name": "note_id", "in": "path", "required": True, "schema": {"type": "integer"}}
    openapi["paths"]["/notes/{note_id}"]["get"]["parameters"] = [own]
    assert list_operations(paths=openapi["paths"])["getNote"].parameters == [own]


def test_default_response_is_no_success() -> None:
    responses = {"default": {"description": "."}, "204": {"description": "."}}
    assert with_operation({"responses": responses})["extra"].status == 204


def test_error_names_the_operation() -> None:
    error = OPERATIONS["getNote"].create_error("something is wrong", "correct it")
    assert str(error) == "delivery.yaml: operation getNote: something is wrong; correct it"


def test_document_without_paths_has_no_operations() -> None:
    source = create_contracts(openapi={"openapi": "3.1.0"})
    assert list(iter_operations(source, "delivery")) == []


def test_unsupported_http_methods_are_ignored() -> None:
    paths = {"/extra": {"trace": {"operationId": "extra"}, "summary": "A path."}}
    assert list_operations(paths=paths) == {}


def test_referenced_stream_is_the_success_response() -> None:
    document = create_openapi()
    raw = document["paths"]["/notes/{note_id}/events"]["get"]
    document["components"]["responses"]["Stream"] = raw["responses"]["200"]
    raw["responses"] = {"204": raw["responses"]["204"], "200": {"$ref": "#/components/responses/Stream"}}
    (operation,) = [each for each in iter_operations(create_contracts(openapi=document), "delivery") if each.raw is raw]
    assert (operation.status, [*operation.content]) == (200, ["text/event-stream"])
