"""gRPC messages in HTTP bodies and headers: frames, timeouts and status.

Source: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md.
"""

import base64
import binascii
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import quote, unquote

import grpc
import grpc.aio

CONTENT_TYPE = "application/grpc"
MAX_MESSAGE_BYTES = 4 * 1024 * 1024
"""Maximum size of a message; the default of gRPC."""

FRAME_HEADER_BYTES = 5
_WINDOW_BITS = {"gzip": 31, "deflate": 15}
"""Values of `wbits` of zlib, by content coding."""

_UNIT_S = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}
_MAX_TIMEOUT_MS = 99_999_999
_CODES = {code.value[0]: code for code in grpc.StatusCode}
_CODE_BY_HTTP_STATUS = {
    400: grpc.StatusCode.INTERNAL,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.UNIMPLEMENTED,
    **dict.fromkeys((429, 502, 503, 504), grpc.StatusCode.UNAVAILABLE),
}
"""Source: https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md."""

_UNESCAPED = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")
_PRINTABLE = re.compile(r"[\x20-\x7e]*")

type Metadata = Iterable[tuple[str, str | bytes]]


class StatusError(Exception):
    """A call that ends with a status other than OK."""

    def __init__(self, code: grpc.StatusCode, details: str = "", trailing_metadata: Metadata = ()) -> None:
        super().__init__(f"{code.name}: {details}")
        self.code = code
        self.details = details
        self.trailing_metadata = tuple(trailing_metadata)


def encode_frame(message: bytes) -> bytes:
    """Return the message with its frame header, not compressed."""
    return b"\0" + len(message).to_bytes(4) + message


def decode_frame(body: bytes, encoding: str = "identity") -> bytes:
    """Return the only message of a body; `encoding` is the header grpc-encoding.

    Raises StatusError: INTERNAL for a body without exactly one message, RESOURCE_EXHAUSTED for a large message.
    """
    if len(body) < FRAME_HEADER_BYTES or int.from_bytes(body[1:FRAME_HEADER_BYTES]) != len(body) - FRAME_HEADER_BYTES:
        raise StatusError(grpc.StatusCode.INTERNAL, "body is not one gRPC message")
    if body[0] == 0:
        return body[FRAME_HEADER_BYTES:]
    if encoding not in _WINDOW_BITS:
        raise StatusError(grpc.StatusCode.INTERNAL, "message is compressed without a known grpc-encoding")
    decompressor = zlib.decompressobj(_WINDOW_BITS[encoding])
    try:
        message = decompressor.decompress(body[FRAME_HEADER_BYTES:], MAX_MESSAGE_BYTES + 1)
    except zlib.error as error:
        raise StatusError(grpc.StatusCode.INTERNAL, "message is not compressed with its grpc-encoding") from error
    if len(message) > MAX_MESSAGE_BYTES:
        raise build_size_error()
    if not decompressor.eof:
        raise StatusError(grpc.StatusCode.INTERNAL, "compressed message is truncated")
    return message


def build_size_error() -> StatusError:
    """Return the error of a message that is too large."""
    return StatusError(grpc.StatusCode.RESOURCE_EXHAUSTED, f"message is larger than {MAX_MESSAGE_BYTES} bytes")


def format_timeout(timeout_s: float) -> str:
    """Return the value of the header grpc-timeout, in milliseconds."""
    return f"{min(max(round(timeout_s * 1000), 1), _MAX_TIMEOUT_MS)}m"


def parse_timeout_s(value: str) -> float:
    """Return the timeout of the header grpc-timeout in seconds.

    Raises StatusError: INTERNAL for a malformed value.
    """
    try:
        return int(value[:-1]) * _UNIT_S[value[-1:]]
    except (KeyError, ValueError) as error:
        raise StatusError(grpc.StatusCode.INTERNAL, "grpc-timeout is malformed") from error


def format_metadata(metadata: Metadata) -> Iterator[tuple[str, str]]:
    """Yield metadata as header names and values; binary values in base64.

    Raises ValueError for a text that is not printable ASCII.
    """
    for name, value in metadata:
        text = base64.b64encode(value).decode() if isinstance(value, bytes) else value
        if not _PRINTABLE.fullmatch(text):
            raise ValueError(f"metadata {name} is not printable ASCII")
        yield name, text


def format_status(error: StatusError) -> list[tuple[str, str]]:
    """Return the headers of a response without a message ("Trailers-Only")."""
    return [
        ("grpc-status", str(error.code.value[0])),
        ("grpc-message", quote(error.details, safe=_UNESCAPED)),
        *format_metadata(error.trailing_metadata),
    ]


def raise_for_status(http_status: int, headers: Mapping[str, str]) -> None:
    """Check the status in the headers and trailers of a response.

    Raises AioRpcError for every status except OK. A response without a status has the one of its HTTP status.
    """
    value = headers.get("grpc-status")
    if value == "0":
        return
    code = _CODE_BY_HTTP_STATUS.get(http_status, grpc.StatusCode.UNKNOWN)
    if value is not None:
        code = _CODES.get(int(value), grpc.StatusCode.UNKNOWN) if value.isdecimal() else grpc.StatusCode.UNKNOWN
    details = unquote(headers.get("grpc-message", f"response has HTTP status {http_status} and no gRPC status"))
    trailers = [(name, _decode_value(name, text)) for name, text in headers.items()]
    raise grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(*trailers), details)


def _decode_value(name: str, text: str) -> str | bytes:
    """Return the value of metadata; a binary value that is malformed is empty."""
    if not name.endswith("-bin"):
        return text
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error:
        return b""
