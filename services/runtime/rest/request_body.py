"""Bodies: size first, then type, then shape."""

import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

import msgspec
from starlette.datastructures import Headers
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.types import Receive

from generated.problems import Reason
from services.runtime.core.errors import ApiError, FieldError
from services.runtime.core.json_schema import (
    UNREPRESENTABLE_TIME,
    collect_field_errors,
    compile_schema,
    to_json_pointer,
)
from services.runtime.rest.types import Upload

type HeaderList = Sequence[tuple[bytes, bytes]]

MAX_JSON_BYTES = 64 * 1024
"""Bytes of a JSON body; the edge has the same limit."""

MAX_JSON_DEPTH = 64
"""How deep JSON may nest."""


async def read_body(receive: Receive, max_bytes: int) -> bytes:
    """The whole body. Refuses PAYLOAD_TOO_LARGE as soon as it is."""
    chunks, size, more = [], 0, True
    while more:
        message = await receive()
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > max_bytes:
            raise ApiError(Reason.PAYLOAD_TOO_LARGE, f"The limit is {max_bytes} bytes.")
        chunks.append(chunk)
        more = message.get("more_body", False)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def parse_media_type(headers: HeaderList) -> str:
    """What the request says its body is, without parameters."""
    value = next((value for name, value in headers if name == b"content-type"), b"")
    return value.split(b";", 1)[0].strip().lower().decode("latin-1")


def unsupported_media_type_error(*taken: str) -> ApiError:
    """Names what is taken."""
    return ApiError(Reason.UNSUPPORTED_MEDIA_TYPE, f"Send {', '.join(taken)}.", headers={"Accept": ", ".join(taken)})


class JsonBody:
    """A JSON body of one operation; one that is not required is an empty object when it is not there."""

    def __init__(
        self, media_type: str, schema: dict[str, Any], model: Any, max_bytes: int, *, required: bool = True
    ) -> None:
        self.max_bytes = max_bytes
        self._is_required = required
        self._media_type = media_type
        self._validator = compile_schema(schema)
        self._model = model

    async def read(self, headers: HeaderList, raw: bytes) -> Any:
        """The model. Refuses UNSUPPORTED_MEDIA_TYPE, INVALID_REQUEST."""
        media = parse_media_type(headers)
        if media != self._media_type and (raw or media):
            raise unsupported_media_type_error(self._media_type)
        if not raw and not self._is_required:
            raw = b"{}"
        if not raw:
            raise ApiError(Reason.INVALID_REQUEST, "A body is missing.", errors=[FieldError("", "is missing")])
        try:
            body = msgspec.json.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            message = "is not JSON"
            raise ApiError(Reason.INVALID_REQUEST, f"The body {message}.", errors=[FieldError("", message)]) from error
        if exceeds_max_depth(body):
            raise ApiError(Reason.INVALID_REQUEST, errors=[FieldError("", f"nests more than {MAX_JSON_DEPTH} deep")])
        if not self._validator.is_valid(body):
            raise ApiError(Reason.INVALID_REQUEST, errors=collect_field_errors(self._validator, body))
        try:
            # JSON Schema counts 1.0 as an integer, so the types, checked above, are taken by value.
            return msgspec.convert(body, self._model, strict=False)
        except msgspec.ValidationError as error:
            # Only what a schema cannot say is left: times that no calendar has, and those that Python's cannot hold.
            raise ApiError(
                Reason.INVALID_REQUEST, errors=[FieldError(error_pointer(str(error)), UNREPRESENTABLE_TIME)]
            ) from error


def error_pointer(message: str) -> str:
    """Where msgspec found something wrong, as a JSON pointer: `… - at `$.items[0].born`` → /items/0/born."""
    _, _, path = message.rpartition(" - at `$")
    return to_json_pointer(name or index for name, index in re.findall(r"\.([^.\[\]`]+)|\[([0-9]+)\]", path))


def exceeds_max_depth(body: Any) -> bool:
    """Whether values nest deeper than anything in the contract does; such bodies are made to hurt."""
    level: list[Any] = [body]
    for _ in range(MAX_JSON_DEPTH):
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


class MultipartBody:
    """A multipart form with one file, the only property of its schema."""

    def __init__(self, media_type_object: Mapping[str, Any], max_bytes: int) -> None:
        (self._field_name,) = media_type_object["schema"]["properties"]
        allowed = media_type_object.get("encoding", {}).get(self._field_name, {}).get("contentType", "")
        self._allowed_media_types = tuple(part.strip() for part in allowed.split(",") if part.strip())
        self.max_bytes = max_bytes

    async def read(self, headers: HeaderList, raw: bytes) -> Upload:
        """The file. Refuses UNSUPPORTED_MEDIA_TYPE, INVALID_REQUEST."""
        if parse_media_type(headers) != "multipart/form-data":
            raise unsupported_media_type_error("multipart/form-data")
        parser = MultiPartParser(Headers(raw=list(headers)), _iter_once(raw), max_files=1, max_fields=1)
        parser.spool_max_size = self.max_bytes  # it is in memory already, so no file is made of it
        try:
            form = await parser.parse()
        except (MultiPartException, KeyError, ValueError) as error:
            raise ApiError(Reason.INVALID_REQUEST, "The form cannot be read.") from error
        try:
            file = form.get(self._field_name)
            if file is None or isinstance(file, str) or len(form) != 1:
                message = "must be a file, and the only part"
                raise ApiError(Reason.INVALID_REQUEST, errors=[FieldError(self._field_name, message)])
            media = (file.content_type or "").split(";")[0].strip().lower()
            if self._allowed_media_types and media not in self._allowed_media_types:
                raise unsupported_media_type_error(*self._allowed_media_types)
            content = await file.read()
            return Upload(file.filename or "", media, content)
        finally:
            await form.close()


async def _iter_once(raw: bytes) -> AsyncGenerator[bytes]:
    yield raw
