"""Validation of success responses and of reasons of errors against the OpenAPI document; disabled in production."""

from collections.abc import Collection
from fnmatch import fnmatch
from typing import Any

import msgspec

from generated.problems import Reason
from services.runtime.core.json_schema import collect_field_errors, compile_schema
from services.runtime.rest.responses import is_json
from services.runtime.rest.server_sent_events import MEDIA_TYPE, get_data_schema
from services.runtime.rest.types import BinaryResponse, Operation, Response

_ADDED_HEADERS = frozenset({"x-request-id", "traceresponse", "deprecation", "sunset", "accept-patch"})
"""Headers that handlers do not set: the edge proxy adds the first four, the compiled operation the last."""


class ResponseValidator:
    """Validator of one operation's success response and reasons of errors. Its methods raise AssertionError.

    `reasons` are the published reasons of the operation's errors; None if the document does not publish reasons.
    """

    def __init__(self, specification: Any, operation: Operation, reasons: Collection[str] | None = None) -> None:
        self._operation_id: str = specification.operation_id
        self._reasons = reasons
        response = specification.response_definition(str(operation.status))
        self._media_types = tuple(response.get("content", {}))
        self._required_headers = {
            name.lower()
            for name, definition in response.get("headers", {}).items()
            if definition.get("required") and name.lower() not in _ADDED_HEADERS
        }
        self._validator = None
        if is_json(operation.media_type) or operation.media_type == MEDIA_TYPE:
            schema = response["content"][operation.media_type]["schema"]
            self._validator = compile_schema(get_data_schema(schema) if operation.media_type == MEDIA_TYPE else schema)

    def validate_reason(self, reason: Reason) -> None:
        """Validate the reason of an error."""
        if self._reasons is not None and reason not in self._reasons:
            self._fail(f"unpublished reason {reason}")

    def validate(self, response: Response[Any], content: bytes) -> None:
        """Validate a response and its encoded body, which is empty for status 304."""
        if missing := self._required_headers - {name.lower() for name in response.headers}:
            self._fail(f"missing headers {', '.join(sorted(missing))}")
        if (response.body is None) != (not self._media_types):
            self._fail("missing body" if response.body is None else "unexpected body")
        if isinstance(response.body, BinaryResponse):
            if not any(fnmatch(response.body.media_type, pattern) for pattern in self._media_types):
                self._fail(f"unexpected media type {response.body.media_type}")
        elif content:
            self.validate_json(content)

    def validate_json(self, content: bytes) -> None:
        """Validate a JSON body or the data of an event."""
        value = msgspec.json.decode(content)
        if self._validator is not None and not self._validator.is_valid(value):
            self._fail(f"invalid body: {collect_field_errors(self._validator, value)}")

    def _fail(self, violation: str) -> None:
        raise AssertionError(f"{self._operation_id} violates its response contract: {violation}")
