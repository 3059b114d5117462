"""What the contract promises of a success, to hold our own answers to; only outside production."""

from fnmatch import fnmatch
from typing import Any

import msgspec

from services.runtime.core.json_schema import collect_field_errors, compile_schema
from services.runtime.rest.server_sent_events import MEDIA_TYPE, get_data_schema
from services.runtime.rest.types import BinaryResponse, Operation, Response

_JSON = "application/json"
_EDGE_HEADERS = frozenset({"x-request-id", "traceresponse"})
"""Headers that every answer is given on its way out."""


class ResponseValidator:
    """One operation's success response. Everything raises AssertionError when it is broken."""

    def __init__(self, specification: Any, operation: Operation) -> None:
        self._operation_id: str = specification.operation_id
        response = specification.response_definition(str(operation.status))
        self._media_types = tuple(response.get("content", {}))
        self._required_headers = {
            name.lower()
            for name, definition in response.get("headers", {}).items()
            if definition.get("required") and name.lower() not in _EDGE_HEADERS
        }
        self._validator = None
        if operation.media_type in (_JSON, MEDIA_TYPE):
            schema = specification.response_schema(str(operation.status), operation.media_type)
            self._validator = compile_schema(get_data_schema(schema) if operation.media_type == MEDIA_TYPE else schema)

    def validate(self, response: Response[Any], content: bytes) -> None:
        """A reply, and its body as it goes out; none when it is 304."""
        if missing := self._required_headers - {name.lower() for name in response.headers}:
            self._fail(f"without {', '.join(sorted(missing))}")
        if (response.body is None) != (not self._media_types):
            self._fail("without its body" if response.body is None else "with a body that nobody expects")
        if isinstance(response.body, BinaryResponse):
            if not any(fnmatch(response.body.media_type, media) for media in self._media_types):
                self._fail(f"as {response.body.media_type}")
        elif content:
            self.validate_json(content)

    def validate_json(self, content: bytes) -> None:
        """A body, or an event's data."""
        value = msgspec.json.decode(content)
        if self._validator is not None and not self._validator.is_valid(value):
            self._fail(f"with {collect_field_errors(self._validator, value)}")

    def _fail(self, violation: str) -> None:
        raise AssertionError(f"{self._operation_id} answers against the contract: {violation}")
