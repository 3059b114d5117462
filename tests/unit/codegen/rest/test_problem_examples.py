"""Reasons and examples of error responses in the published OpenAPI document."""

import re
from typing import Any

import pytest

from codegen.contracts import HTTP_METHODS, Contracts
from codegen.rest.problem_examples import EXAMPLE_TRACE_ID, OBSOLETE_DESCRIPTION, TOKEN_REASONS, list_reasons
from codegen.rest.published_openapi import publish_document
from services.runtime.core.json_schema import compile_schema
from tests.unit.codegen.sample_contracts import create_openapi

CATALOGUE: dict[str, Any] = create_openapi()["x-problems"]


def create_operation(*statuses: int, **changes: Any) -> dict[str, Any]:
    return {"operationId": "getNote", "responses": {str(status): {} for status in (200, *statuses)}} | changes


def iter_operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    operations = (item[method] for item in document["paths"].values() for method in item if method in HTTP_METHODS)
    return {operation["operationId"]: operation for operation in operations}


def test_reasons_are_listed_by_status() -> None:
    operation = create_operation(404, 503, **{"x-reasons": ["NOT_FOUND"]})
    assert list_reasons(operation, CATALOGUE) == {"404": ["NOT_FOUND"], "503": ["UPSTREAM_UNAVAILABLE"]}


def test_status_without_reason_raises() -> None:
    with pytest.raises(ValueError, match="status 404 has no reason"):
        list_reasons(create_operation(404), CATALOGUE)


def test_reason_without_response_raises() -> None:
    with pytest.raises(ValueError, match="NOT_FOUND has status 404, which has no response"):
        list_reasons(create_operation(**{"x-reasons": ["NOT_FOUND"]}), CATALOGUE)


def test_obsolete_status_has_no_reasons() -> None:
    operation = create_operation(401, 503, **{"x-obsolete-statuses": ["401"]})
    assert list_reasons(operation, CATALOGUE) == {"503": ["UPSTREAM_UNAVAILABLE"]}


def test_obsolete_status_without_response_raises() -> None:
    with pytest.raises(ValueError, match="the obsolete status 401 has no response"):
        list_reasons(create_operation(503, **{"x-obsolete-statuses": ["401"]}), CATALOGUE)


def test_public_operation_publishes_no_reason_of_tokens(repository_contracts: Contracts) -> None:
    document = repository_contracts.openapi["delivery"]
    published = publish_document(document)
    operations = {name: each for name, each in iter_operations(published).items() if not each["security"]}
    assert [name for name, each in operations.items() if {*each["x-reasons"]} & {*TOKEN_REASONS}] == []
    response = operations["listCatalog"]["responses"]["401"]
    assert response["description"] == OBSOLETE_DESCRIPTION
    assert "examples" not in response["content"]["application/problem+json"]
    assert "x-request-id" in response["headers"]


def test_response_has_an_example_of_its_operation() -> None:
    published = publish_document(create_openapi())
    operation = published["paths"]["/notes/{note_id}"]["get"]
    assert operation["x-reasons"] == ["NOT_FOUND"]
    examples = operation["responses"]["404"]["content"]["application/problem+json"]["examples"]
    assert examples["NOT_FOUND"]["value"] == {
        "type": "/problems/NOT_FOUND",
        "title": "Title of NOT_FOUND",
        "status": 404,
        "detail": "100% NOT_FOUND.",
        "reason": "NOT_FOUND",
        "instance": "/api/v1/notes/1",
        "trace_id": EXAMPLE_TRACE_ID,
    }


def test_examples_of_every_operation_have_its_reasons(repository_contracts: Contracts) -> None:
    document = repository_contracts.openapi["delivery"]
    published = publish_document(document)
    schemas = {name: schema for name, schema in document["components"]["schemas"].items() if name != "FieldError"}
    validator = compile_schema({**schemas["Problem"], "properties": {**schemas["Problem"]["properties"], "errors": {}}})
    for name, operation in iter_operations(published).items():
        reasons = []
        for status, response in operation["responses"].items():
            shared = response.get("$ref", "").removeprefix("#/components/responses/")
            content = (published["components"]["responses"][shared] if shared else response).get("content", {})
            for reason, example in content.get("application/problem+json", {}).get("examples", {}).items():
                assert (example["value"]["reason"], str(example["value"]["status"])) == (reason, status), name
                assert validator.is_valid(example["value"]), example
                reasons.append(reason)
        assert reasons == operation["x-reasons"], name


def test_reasons_include_those_of_the_procedure(repository_contracts: Contracts) -> None:
    operations = iter_operations(publish_document(repository_contracts.openapi["delivery"]))
    checked = 0
    methods = [method for service in repository_contracts.protos.services for method in service.methods]
    for method in methods:
        match = re.search(r"Errors: ([A-Z_, \n]+)\.", method.comment)
        name = method.name[0].lower() + method.name[1:]
        if match is None or name not in operations:
            continue
        checked += 1
        assert set(re.findall(r"\w+", match[1])) <= set(operations[name]["x-reasons"]), name
    assert checked > 15


def test_token_of_the_document_has_its_reasons() -> None:
    operation = create_operation(401)
    catalogue = CATALOGUE | {name: {"status": 401} for name in TOKEN_REASONS}
    assert list_reasons(operation, catalogue, [{"bearer": []}]) == {"401": [*TOKEN_REASONS]}
    with pytest.raises(ValueError, match="status 401 has no reason"):
        list_reasons(operation | {"security": []}, catalogue, [{"bearer": []}])
