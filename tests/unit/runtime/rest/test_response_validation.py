"""Validation of success responses and reasons of errors against a specification."""

from typing import Any

import pytest

from generated.problems import Reason
from services.runtime.rest.response_validation import ResponseValidator
from services.runtime.rest.types import BinaryResponse, Operation, Response
from tests.sample_rest_app import JSON, OPERATIONS, THING, RecordingThingsHandler

SCHEMA = {"type": "object", "required": ["id"], "properties": {"id": {"type": "string", "maxLength": 3}}}
REQUIRED_HEADER = {"required": True, "schema": {"type": "string"}}


class FakeSpecification:
    """Specification with one response."""

    operation_id = "getThing"

    def __init__(self, content: dict[str, Any], headers: dict[str, Any] | None = None) -> None:
        self._response = {"content": content, "headers": headers or {}} if content else {"headers": headers or {}}

    def response_definition(self, _: str) -> dict[str, Any]:
        return self._response


def create_validator(media_type: str = JSON, headers: dict[str, Any] | None = None) -> ResponseValidator:
    operation = Operation(RecordingThingsHandler, "get_thing", None, 200, media_type)
    content = {media_type: {"schema": SCHEMA}} if media_type else {}
    return ResponseValidator(FakeSpecification(content, headers), operation)


def test_valid_body_is_accepted() -> None:
    create_validator().validate(Response(THING), b'{"id": "a1", "new": null}')


@pytest.mark.parametrize("content", [b"{}", b'{"id": "long"}', b'{"id": 1}', b"[]"])
def test_invalid_body_fails_with_operation_id(content: bytes) -> None:
    with pytest.raises(AssertionError, match="getThing violates its response contract: invalid body"):
        create_validator().validate(Response(THING), content)


def test_body_of_not_modified_response_is_not_validated() -> None:
    create_validator().validate(Response(THING), b"")


def test_missing_body_fails_validation() -> None:
    with pytest.raises(AssertionError, match="missing body"):
        create_validator().validate(Response(None), b"")


def test_unexpected_body_fails_validation() -> None:
    validator = ResponseValidator(FakeSpecification({}), OPERATIONS["deleteThing"])
    validator.validate(Response(None), b"")
    with pytest.raises(AssertionError, match="unexpected body"):
        validator.validate(Response(THING), b"{}")


def test_missing_required_headers_are_listed() -> None:
    headers = {"ETag": REQUIRED_HEADER, "Location": REQUIRED_HEADER, "Cache-Control": {"schema": {"type": "string"}}}
    validator = create_validator(headers=headers)
    with pytest.raises(AssertionError, match="missing headers etag, location"):
        validator.validate(Response(THING), b'{"id": "a1"}')
    validator.validate(Response(THING, {"etag": '"1"', "LOCATION": "/things/a1"}), b'{"id": "a1"}')


@pytest.mark.parametrize("name", ["X-Request-Id", "traceresponse", "Deprecation", "Sunset"])
def test_headers_of_the_edge_are_not_required(name: str) -> None:
    create_validator(headers={name: REQUIRED_HEADER}).validate(Response(THING), b'{"id": "a1"}')


@pytest.mark.parametrize(
    ("declared", "sent", "is_valid"),
    [
        ("image/png", "image/png", True),
        ("image/*", "image/webp", True),
        ("image/*", "text/html", False),
        ("image/png", "image/jpeg", False),
    ],
)
def test_media_type_of_binary_body_is_validated(declared: str, sent: str, is_valid: bool) -> None:
    operation = Operation(RecordingThingsHandler, "get_picture", None, 200, "image/png")
    validator = ResponseValidator(FakeSpecification({declared: {}}), operation)
    response = Response(BinaryResponse(sent, b"x"))
    if is_valid:
        validator.validate(response, b"x")
    else:
        with pytest.raises(AssertionError, match=f"unexpected media type {sent}"):
            validator.validate(response, b"x")


def test_data_of_events_is_validated() -> None:
    validator = create_validator("text/event-stream")
    validator.validate_json(b'{"id": "a1"}')
    with pytest.raises(AssertionError, match="invalid body"):
        validator.validate_json(b'{"id": "long"}')


def test_reason_that_the_operation_does_not_publish_fails() -> None:
    operation = OPERATIONS["deleteThing"]
    validator = ResponseValidator(FakeSpecification({}), operation, ["NOT_FOUND"])
    validator.validate_reason(Reason.NOT_FOUND)
    with pytest.raises(AssertionError, match="getThing violates its response contract: unpublished reason FORBIDDEN"):
        validator.validate_reason(Reason.FORBIDDEN)
    ResponseValidator(FakeSpecification({}), operation).validate_reason(Reason.FORBIDDEN)
