"""Rules of request bodies and success responses."""

import pytest

from codegen.openapi.media_types import is_json
from tests.unit.codegen.openapi.sample_documents import CONTENT, REFERENCE, Json, find_errors, with_body, with_operation

FORM, MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data"
BINARY, TEXT = {"type": "string", "format": "binary"}, {"type": "string"}
FILE: Json = {"type": "object", "required": ["file"], "properties": {"file": BINARY}}


def with_fields(**fields: Json) -> Json:
    """Return the document with one operation that has a multipart form with a file and other fields."""
    return with_body({MULTIPART: {"schema": FILE | {"properties": {"file": BINARY} | fields}}})


def with_response(content: Json, **responses: Json) -> Json:
    return with_operation(responses={"200": {"description": "Fine.", "content": content}} | responses)


@pytest.mark.parametrize(
    ("media_type", "expected"),
    [("application/json", True), ("application/vnd.api+json", True), ("text/csv", False), (FORM, False)],
)
def test_media_type_is_json(media_type: str, *, expected: bool) -> None:
    assert is_json(media_type) == expected


@pytest.mark.parametrize(
    "document",
    [
        with_body({"application/vnd.api+json": {"schema": REFERENCE}}),
        with_body({FORM: {"schema": REFERENCE}}),
        with_body({MULTIPART: {"schema": FILE}}),
        with_body({MULTIPART: {"schema": {"type": "object", "properties": {"file": BINARY, "title": TEXT}}}}),
        with_fields(title=TEXT, tags={"type": "array", "items": TEXT}, level={"type": "integer", "default": 2}),
        with_body(CONTENT | {"application/merge-patch+json": {"schema": REFERENCE}}, method="patch"),
        with_response({"application/json": {"schema": {"type": "array", "items": REFERENCE}}}),
        with_response({"application/json": {"schema": {"type": "integer"}}}),
        with_response({"image/png": {}, "image/webp": {"schema": {"type": "string", "format": "binary"}}}),
        with_response({"text/event-stream": {"schema": REFERENCE}}, **{"204": {"description": "End."}}),
    ],
)
def test_supported_content_has_no_error(document: Json) -> None:
    assert find_errors(document) == []


@pytest.mark.parametrize(
    ("document", "error"),
    [
        (
            with_body({"application/json; charset=utf-8": {"schema": REFERENCE}}),
            "the media type application/json; charset=utf-8 is not a lower-case type without parameters; "
            "write application/json",
        ),
        (with_body({"JSON": {"schema": REFERENCE}}), "the media type JSON is not a lower-case type"),
        (with_body({}), "the request body has no media type; add one"),
        (
            with_body(CONTENT | {FORM: {"schema": REFERENCE}}),
            "a request body with several media types is not supported",
        ),
        (with_body({"application/json": {}}), "the media type has no schema; add it"),
        (
            with_body({"text/csv": {"schema": {"type": "string"}}}),
            f"the media type text/csv of a request is not supported; use JSON, {FORM} or {MULTIPART}",
        ),
        (
            with_body({"application/json": {"schema": {"type": "object", "properties": {}}}}),
            "the schema has no name; move it to `components/schemas`",
        ),
        (
            with_body({FORM: {"schema": {"$ref": "#/components/schemas/Nested"}}}),
            "the field thing of the form is no text, number, boolean or array of those; write one of these types",
        ),
        (
            with_body({MULTIPART: {"schema": {"type": "object", "properties": {"title": {"type": "string"}}}}}),
            "a form with no file is not supported; write exactly one property of `format: binary`",
        ),
        (
            with_body(
                {MULTIPART: {"schema": FILE | {"required": ["file", "b"], "properties": {"file": BINARY, "b": BINARY}}}}
            ),
            "a form with 2 files is not supported; write exactly one property of `format: binary`",
        ),
        (
            with_fields(thing=REFERENCE),
            "the field thing of the form is no text, number, boolean or array of those; write one of these types",
        ),
        (
            with_fields(tags={"type": "array", "items": TEXT, "default": ["a"]}),
            "the field tags of the form is an array, whose default is not supported; remove it",
        ),
        (with_fields(body=TEXT), "the form parameter body collides with the argument body of the handler"),
        (
            with_response({"text/csv": {}, "application/json": {"schema": REFERENCE}}),
            "a response as text/csv and application/json is not supported; write one operation for each",
        ),
        (with_response({"application/json": {"schema": True}}), "the schema permits any value"),
        (
            with_response({"application/json": {"schema": {"oneOf": [REFERENCE, {"type": "null"}]}}}),
            "the schema has no name; move it to `components/schemas`",
        ),
        (
            with_response({"text/event-stream": {"schema": {"type": "string"}}}, **{"204": {"description": "End."}}),
            "the events have no named schema; move the schema of `data` to `components/schemas`",
        ),
    ],
)
def test_unsupported_content_is_an_error(document: Json, error: str) -> None:
    nested = {"type": "object", "properties": {"thing": REFERENCE}}
    document["components"]["schemas"]["Nested"] = nested
    (message,) = find_errors(document)
    assert error in message


@pytest.mark.parametrize(
    "content",
    [CONTENT, {"application/json": {"schema": {"type": "array", "items": REFERENCE}}}, {MULTIPART: {"schema": FILE}}],
)
def test_optional_body_that_cannot_be_absent_is_an_error(content: Json) -> None:
    document = with_body(content)
    del document["paths"]["/things"]["post"]["requestBody"]["required"]
    (error,) = find_errors(document)
    assert error.startswith("operation listThings: the body is optional, but its schema does not permit")


def test_optional_body_that_may_be_an_empty_object_has_no_error() -> None:
    document = with_body(CONTENT)
    del document["paths"]["/things"]["post"]["requestBody"]["required"]
    del document["components"]["schemas"]["Thing"]["required"]
    assert find_errors(document) == []
