"""Bodies: size first, then type, then shape."""

import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

import msgspec
from starlette.datastructures import Headers
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.types import Receive

from generated.problems import Reason
from services.runtime.refusal import FieldError, Refusal
from services.runtime.rest.types import Upload
from services.runtime.schema import UNHELD, compile_schema, field_errors, pointer

type HeaderList = Sequence[tuple[bytes, bytes]]

JSON_LIMIT = 64 * 1024
"""Bytes of a JSON body; the edge has the same limit."""

MOST_DEPTH = 64
"""How deep JSON may nest."""


async def read_raw(receive: Receive, limit: int) -> bytes:
    """The whole body. Refuses PAYLOAD_TOO_LARGE as soon as it is."""
    chunks, size, more = [], 0, True
    while more:
        message = await receive()
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise Refusal(Reason.PAYLOAD_TOO_LARGE, f"The limit is {limit} bytes.")
        chunks.append(chunk)
        more = message.get("more_body", False)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def media_type(headers: HeaderList) -> str:
    """What the request says its body is, without parameters."""
    value = next((value for name, value in headers if name == b"content-type"), b"")
    return value.split(b";", 1)[0].strip().lower().decode("latin-1")


def unsupported(*taken: str) -> Refusal:
    """Names what is taken."""
    return Refusal(Reason.UNSUPPORTED_MEDIA_TYPE, f"Send {', '.join(taken)}.", headers={"Accept": ", ".join(taken)})


class JsonBody:
    """A JSON body of one operation; one that is not required is an empty object when it is not there."""

    def __init__(self, media: str, schema: dict[str, Any], kind: Any, limit: int, *, required: bool = True) -> None:
        self.limit = limit
        self._required = required
        self._media = media
        self._valid = compile_schema(schema)
        self._kind = kind

    async def read(self, headers: HeaderList, raw: bytes) -> Any:
        """The model. Refuses UNSUPPORTED_MEDIA_TYPE, INVALID_REQUEST."""
        media = media_type(headers)
        if media != self._media and (raw or media):
            raise unsupported(self._media)
        if not raw and not self._required:
            raw = b"{}"
        if not raw:
            raise Refusal(Reason.INVALID_REQUEST, "A body is missing.", errors=[FieldError("", "is missing")])
        try:
            body = msgspec.json.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            message = "is not JSON"
            raise Refusal(Reason.INVALID_REQUEST, f"The body {message}.", errors=[FieldError("", message)]) from error
        if too_deep(body):
            raise Refusal(Reason.INVALID_REQUEST, errors=[FieldError("", f"nests more than {MOST_DEPTH} deep")])
        if not self._valid.is_valid(body):
            raise Refusal(Reason.INVALID_REQUEST, errors=field_errors(self._valid, body))
        try:
            # JSON Schema counts 1.0 as an integer, so the types, checked above, are taken by value.
            return msgspec.convert(body, self._kind, strict=False)
        except msgspec.ValidationError as error:
            # Only what a schema cannot say is left: times that no calendar has, and those that Python's cannot hold.
            raise Refusal(Reason.INVALID_REQUEST, errors=[FieldError(place(str(error)), UNHELD)]) from error


def place(message: str) -> str:
    """Where msgspec found something wrong, as a JSON pointer: `… - at `$.items[0].born`` → /items/0/born."""
    _, _, path = message.rpartition(" - at `$")
    return pointer(name or index for name, index in re.findall(r"\.([^.\[\]`]+)|\[([0-9]+)\]", path))


def too_deep(body: Any) -> bool:
    """Whether values nest deeper than anything in the contract does; such bodies are made to hurt."""
    level: list[Any] = [body]
    for _ in range(MOST_DEPTH):
        level = [
            child
            for node in level
            if isinstance(node, dict | list)
            for child in (node.values() if isinstance(node, dict) else node)
            if isinstance(child, dict | list)
        ]
        if not level:
            return False
    return True


class FormBody:
    """A multipart form with one file, the only property of its schema."""

    def __init__(self, definition: Mapping[str, Any], limit: int) -> None:
        (self._field,) = definition["schema"]["properties"]
        allowed = definition.get("encoding", {}).get(self._field, {}).get("contentType", "")
        self._allowed = tuple(part.strip() for part in allowed.split(",") if part.strip())
        self.limit = limit

    async def read(self, headers: HeaderList, raw: bytes) -> Upload:
        """The file. Refuses UNSUPPORTED_MEDIA_TYPE, INVALID_REQUEST."""
        if media_type(headers) != "multipart/form-data":
            raise unsupported("multipart/form-data")
        parser = MultiPartParser(Headers(raw=list(headers)), _once(raw), max_files=1, max_fields=1)
        parser.spool_max_size = self.limit  # it is in memory already, so no file is made of it
        try:
            form = await parser.parse()
        except (MultiPartException, KeyError, ValueError) as error:
            raise Refusal(Reason.INVALID_REQUEST, "The form cannot be read.") from error
        try:
            file = form.get(self._field)
            if file is None or isinstance(file, str) or len(form) != 1:
                message = "must be a file, and the only part"
                raise Refusal(Reason.INVALID_REQUEST, errors=[FieldError(self._field, message)])
            media = (file.content_type or "").split(";")[0].strip().lower()
            if self._allowed and media not in self._allowed:
                raise unsupported(*self._allowed)
            content = await file.read()
            return Upload(file.filename or "", media, content)
        finally:
            await form.close()


async def _once(raw: bytes) -> AsyncGenerator[bytes]:
    yield raw
