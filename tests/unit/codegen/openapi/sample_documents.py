"""A small document that is correct, changes of it, and the errors that the reader finds."""

import copy
from typing import Any

from codegen.errors import ContractErrors
from codegen.openapi.findings import OpenApiFile
from codegen.openapi.problems import RUNTIME_REASONS
from codegen.openapi.reader import check_document

type Json = dict[str, Any]

REFERENCE = {"$ref": "#/components/schemas/Thing"}
CONTENT = {"application/json": {"schema": REFERENCE}}
OPERATION: Json = {
    "operationId": "listThings",
    "tags": ["things"],
    "security": [],
    "responses": {"200": {"description": "Fine.", "content": CONTENT}},
}
PROBLEMS: Json = {
    reason: {"status": 400, "grpc": "UNKNOWN", "title": "Title", "description": "Text.", "detail": {"en": "Text."}}
    for reason in sorted(RUNTIME_REASONS)
}
DOCUMENT: Json = {
    "openapi": "3.1.0",
    "info": {"title": "Sample", "version": "1.0.0"},
    "servers": [{"url": "/api/v1"}],
    "tags": [{"name": "things", "description": "Things."}],
    "paths": {"/things": {"get": OPERATION}},
    "x-problems": PROBLEMS,
    "components": {
        "securitySchemes": {
            "bearer": {"type": "http", "scheme": "bearer"},
            "webhook": {"type": "apiKey", "in": "header", "name": "webhook-signature"},
            "key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
        },
        "schemas": {
            "Problem": {"type": "object", "properties": {"reason": {"type": "string"}}},
            "Role": {"type": "string", "enum": ["customer", "admin"]},
            "Thing": {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}},
        },
    },
}


def change_document(**changes: Any) -> Json:
    """Return the document with other values at the top level; None removes a key."""
    document = copy.deepcopy(DOCUMENT) | changes
    return {key: value for key, value in document.items() if value is not None}


def with_operation(path: str = "/things", method: str = "get", extensions: Json | None = None, **changes: Any) -> Json:
    """Return the document with one operation, whose changes of None remove a key."""
    operation = copy.deepcopy(OPERATION) | changes | (extensions or {})
    return change_document(
        paths={path: {method: {key: value for key, value in operation.items() if value is not None}}}
    )


def with_parameter(parameter: Json, path: str = "/things") -> Json:
    """Return the document with one operation that has the parameter."""
    defaults = {"name": "q", "in": "query", "schema": {"type": "string"}}
    return with_operation(path, parameters=[defaults | parameter])


def with_body(content: Json, method: str = "post") -> Json:
    """Return the document with one operation that has a request body."""
    return with_operation(method=method, requestBody={"required": True, "content": content})


def with_schemas(**schemas: Any) -> Json:
    """Return the document with additional schemas."""
    document = copy.deepcopy(DOCUMENT)
    document["components"]["schemas"] |= schemas
    return document


def with_property(schema: Any) -> Json:
    """Return the document with the schema as a property of Thing."""
    document = copy.deepcopy(DOCUMENT)
    document["components"]["schemas"]["Thing"]["properties"]["value"] = schema
    return document


def find_errors(document: Any, *, is_served: bool = True, has_models: bool = True) -> list[str]:
    """Return the errors of a document, without the name of its file."""
    errors = ContractErrors()
    file = OpenApiFile("sample.yaml", document)
    check_document(file, errors, is_served=is_served, has_models=has_models)
    return [message.removeprefix("sample.yaml: ") for message in errors.messages]
