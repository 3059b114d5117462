"""JSON, signed, form and multipart request bodies. Size is checked first, then the media type, then the schema."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Any, get_type_hints
from urllib.parse import parse_qsl

from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.types import Receive

from generated.problems import Reason
from services.runtime.core.errors import ApiError, FieldError
from services.runtime.core.json_schema import MAX_ERRORS, JsonParser, to_json_pointer
from services.runtime.rest.parameters import Parameter, create_text_parser, to_argument_name
from services.runtime.rest.responses import JSON_MEDIA_TYPE
from services.runtime.rest.types import Upload, UploadForm

type HeaderList = Sequence[tuple[bytes, bytes]]

MERGE_PATCH_MEDIA_TYPE = "application/merge-patch+json"
"""Media type of a JSON merge patch (RFC 7396). `application/json` is accepted too."""

ACCEPT_PATCH = f"{JSON_MEDIA_TYPE}, {MERGE_PATCH_MEDIA_TYPE}"
"""Value of the header Accept-Patch (RFC 5789) of every resource that can be patched."""

FORM_MEDIA_TYPE = "application/x-www-form-urlencoded"
MAX_FIELDS = 100
"""Maximum number of fields of a form."""

_CHARSETS = frozenset({b"utf-8", b"utf8", b"us-ascii", b"iso-8859-1"})
"""Character sets of multipart forms. Others are rejected: that of punycode would be decoded in quadratic time."""

_REGISTERED_MEDIA_TYPES = {"image/jpg": "image/jpeg", "image/pjpeg": "image/jpeg"}
"""Registered media type by the unregistered alias that clients send for it."""

MAX_JSON_BYTES = 64 * 1024
"""Maximum size of a JSON body. The edge proxy has the same limit."""


async def read_body(receive: Receive, max_bytes: int, reserve: Callable[[int], None] | None = None) -> bytes:
    """Return the whole body. `reserve` is called with the size of each part before it is stored, and may raise.

    Raises ApiError: PAYLOAD_TOO_LARGE as soon as the limit is exceeded, INVALID_REQUEST if the client disconnects
    before the end of the body (RFC 9112, 8).
    """
    chunks, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ApiError(Reason.INVALID_REQUEST)
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > max_bytes:
            raise ApiError(Reason.PAYLOAD_TOO_LARGE, members={"max_bytes": max_bytes})
        if reserve is not None:
            reserve(len(chunk))
        chunks.append(chunk)
        more = message.get("more_body", False)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def parse_media_type(headers: HeaderList) -> str:
    """Return the request's media type in lower case, without parameters."""
    for name, value in headers:
        if name == b"content-type":
            return value.split(b";", 1)[0].strip().lower().decode("latin-1")
    return ""


def has_content_coding(headers: HeaderList) -> bool:
    """Return whether the body is compressed or encoded otherwise (RFC 9110 8.4), which is not supported."""
    return any(
        name == b"content-encoding" and value.strip().lower() not in (b"", b"identity") for name, value in headers
    )


def create_unsupported_media_type_error(*supported: str) -> ApiError:
    """Return the UNSUPPORTED_MEDIA_TYPE error, which lists the supported media types, also those of a patch."""
    accept = ", ".join(supported)
    headers = {"Accept": accept} | ({"Accept-Patch": accept} if MERGE_PATCH_MEDIA_TYPE in supported else {})
    return ApiError(Reason.UNSUPPORTED_MEDIA_TYPE, headers=headers)


class JsonBody:
    """Reader of the JSON body of one operation. A missing optional body is read as an empty object."""

    def __init__(
        self,
        media_types: Sequence[str],
        schema: dict[str, Any],
        model: Any,
        max_bytes: int,
        *,
        required: bool = True,
    ) -> None:
        self.max_bytes = max_bytes
        self._is_required = required
        self._media_types = tuple(media_types)
        self._parser = JsonParser[Any](schema, model)

    async def read(self, headers: HeaderList, raw: bytes) -> Any:
        """Validate the body and return it as its model.

        Raises ApiError: UNSUPPORTED_MEDIA_TYPE, INVALID_REQUEST.
        """
        check_media_type(headers, raw, self._media_types)
        return self._parser.parse(raw if raw or self._is_required else b"{}")


class FormBody:
    """Reader of the URL-encoded form of one operation, whose fields are scalars and arrays of scalars."""

    def __init__(self, schema: dict[str, Any], model: Any, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._parser = JsonParser[Any](schema, model)
        properties: dict[str, dict[str, Any]] = schema.get("properties", {})
        self._text_parsers = {name: create_text_parser(each) for name, each in properties.items()}
        self._arrays = {name for name, each in properties.items() if each.get("type") == "array"}

    async def read(self, headers: HeaderList, raw: bytes) -> Any:
        """Validate the form and return it as its model. Text that does not have the type of its field stays text.

        Raises ApiError: UNSUPPORTED_MEDIA_TYPE, INVALID_REQUEST.
        """
        check_media_type(headers, raw, (FORM_MEDIA_TYPE,))
        try:
            pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
        except ValueError as error:
            raise ApiError(Reason.INVALID_REQUEST, "The form is malformed.") from error
        texts: dict[str, list[str]] = {}
        for name, text in pairs:
            texts.setdefault(name, []).append(text)
        if repeated := [name for name, each in texts.items() if len(each) > 1 and name not in self._arrays]:
            errors = [FieldError(to_json_pointer([name]), "is given several times") for name in repeated[:MAX_ERRORS]]
            raise ApiError(Reason.INVALID_REQUEST, errors=errors)
        parsers = self._text_parsers
        return self._parser.convert({n: parsers[n](each) if n in parsers else each[0] for n, each in texts.items()})


class SignedBody:
    """Reader of the signed body of one operation, which the service with the secret parses and verifies."""

    def __init__(self, media_types: Sequence[str], max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._media_types = tuple(media_types)

    async def read(self, headers: HeaderList, raw: bytes) -> bytes:
        """Return the body as received.

        Raises ApiError: UNSUPPORTED_MEDIA_TYPE.
        """
        check_media_type(headers, raw, self._media_types)
        return raw


def check_media_type(headers: HeaderList, raw: bytes, media_types: Sequence[str]) -> None:
    """Check the media type of a body, which no content coding may change; a missing body needs none.

    Raises ApiError: UNSUPPORTED_MEDIA_TYPE.
    """
    media_type = parse_media_type(headers)
    if (media_type not in media_types or has_content_coding(headers)) and (raw or media_type):
        raise create_unsupported_media_type_error(*media_types)


class MultipartBody:
    """Parser of a multipart form with one file; its other fields are arguments of the handler, as parameters are."""

    def __init__(self, media_type_object: Mapping[str, Any], handler: Callable[..., Any], max_bytes: int) -> None:
        schema = media_type_object["schema"]
        hints = get_type_hints(handler)
        (self._file_name,) = [name for name, each in schema["properties"].items() if each.get("format") == "binary"]
        self._is_file_required = self._file_name in schema.get("required", ())
        self._fields = {
            name: Parameter(
                {"name": name, "in": "query", "required": name in schema.get("required", ()), "schema": each},
                hints.get(to_argument_name(name)),
            )
            for name, each in schema["properties"].items()
            if name != self._file_name
        }
        self._defaults = {each.argument_name: each.default for each in self._fields.values() if not each.is_required}
        allowed = media_type_object.get("encoding", {}).get(self._file_name, {}).get("contentType", "")
        self._allowed_media_types = tuple(part.strip() for part in allowed.split(",") if part.strip())
        self.max_bytes = max_bytes

    async def read(self, headers: HeaderList, raw: bytes) -> UploadForm:
        """Return the file and the other fields.

        Raises ApiError: UNSUPPORTED_MEDIA_TYPE, INVALID_REQUEST.
        """
        if parse_media_type(headers) != "multipart/form-data" or has_content_coding(headers):
            raise create_unsupported_media_type_error("multipart/form-data")
        _, options = parse_options_header(next(value for name, value in headers if name == b"content-type"))
        if options.get(b"charset", b"utf-8").lower() not in _CHARSETS:
            raise ApiError(Reason.INVALID_REQUEST, "The multipart form is malformed.")
        max_fields = MAX_FIELDS if self._fields else 1
        parser = MultiPartParser(Headers(raw=list(headers)), _iter_once(raw), max_files=1, max_fields=max_fields)
        parser.spool_max_size = self.max_bytes  # the body is in memory already; do not write a temporary file
        try:
            form = await parser.parse()
        except (MultiPartException, KeyError, ValueError) as error:
            raise ApiError(Reason.INVALID_REQUEST, "The multipart form is malformed.") from error
        try:
            file = form.get(self._file_name)
            others = [(name, each) for name, each in form.multi_items() if each is not file]
            is_single = not others if not self._fields else all(name != self._file_name for name, _ in others)
            if file is None and not self._is_file_required:
                return UploadForm(None, self._parse_fields(others))
            if file is None or isinstance(file, str) or not is_single:
                message = "must be a file" if self._fields else "must be a file and the only part"
                raise ApiError(Reason.INVALID_REQUEST, errors=[FieldError(self._file_name, message)])
            media_type = (file.content_type or "").split(";")[0].strip().lower()
            media_type = _REGISTERED_MEDIA_TYPES.get(media_type, media_type)
            if self._allowed_media_types and media_type not in self._allowed_media_types:
                raise create_unsupported_media_type_error(*self._allowed_media_types)
            arguments = self._parse_fields(others)
            return UploadForm(Upload(file.filename or "", media_type, await file.read()), arguments)
        finally:
            await form.close()

    def _parse_fields(self, parts: Sequence[tuple[str, Any]]) -> dict[str, Any]:
        texts: dict[str, list[str]] = {}
        for name, value in parts:
            if name not in self._fields or not isinstance(value, str):
                message = "must be text" if name in self._fields else "is not a field of this form"
                raise ApiError(Reason.INVALID_REQUEST, errors=[FieldError(name[:100], message)])
            texts.setdefault(name, []).append(value)
        if missing := [name for name, each in self._fields.items() if each.is_required and name not in texts]:
            raise ApiError(Reason.INVALID_REQUEST, errors=[FieldError(name, "is missing") for name in missing])
        parsed = {self._fields[name].argument_name: self._fields[name].parse(each) for name, each in texts.items()}
        return {**self._defaults, **parsed}


async def _iter_once(raw: bytes) -> AsyncGenerator[bytes]:
    yield raw
