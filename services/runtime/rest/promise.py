"""What the contract promises of a success, to hold our own answers to; only outside production."""

from fnmatch import fnmatch
from typing import Any

import msgspec

from services.runtime.rest.streams import MEDIA_TYPE, data_schema
from services.runtime.rest.types import Blob, Operation, Reply
from services.runtime.schema import compile_schema, field_errors

_JSON = "application/json"
_EDGES = frozenset({"x-request-id", "traceresponse"})
"""Headers that every answer is given on its way out."""


class Promise:
    """One operation's success response. Everything raises AssertionError when it is broken."""

    def __init__(self, spec: Any, types: Operation) -> None:
        self._id: str = spec.operation_id
        response = spec.response_definition(str(types.status))
        self._media = tuple(response.get("content", {}))
        self._headers = {
            name.lower()
            for name, definition in response.get("headers", {}).items()
            if definition.get("required") and name.lower() not in _EDGES
        }
        self._valid = None
        if types.media_type in (_JSON, MEDIA_TYPE):
            schema = spec.response_schema(str(types.status), types.media_type)
            self._valid = compile_schema(data_schema(schema) if types.media_type == MEDIA_TYPE else schema)

    def check(self, reply: Reply[Any], content: bytes) -> None:
        """A reply, and its body as it goes out; none when it is 304."""
        if missing := self._headers - {name.lower() for name in reply.headers}:
            self._broken(f"without {', '.join(sorted(missing))}")
        if (reply.body is None) != (not self._media):
            self._broken("without its body" if reply.body is None else "with a body that nobody expects")
        if isinstance(reply.body, Blob):
            if not any(fnmatch(reply.body.media_type, media) for media in self._media):
                self._broken(f"as {reply.body.media_type}")
        elif content:
            self.check_json(content)

    def check_json(self, content: bytes) -> None:
        """A body, or an event's data."""
        value = msgspec.json.decode(content)
        if self._valid is not None and not self._valid.is_valid(value):
            self._broken(f"with {field_errors(self._valid, value)}")

    def _broken(self, how: str) -> None:
        raise AssertionError(f"{self._id} answers against the contract: {how}")
