"""Frames, timeouts, metadata and status of gRPC in HTTP bodies and headers."""

import gzip
import zlib
from typing import Any

import grpc
import grpc.aio
import pytest

from services.runtime.sidecar import grpc_messages
from services.runtime.sidecar.grpc_messages import MAX_MESSAGE_BYTES, StatusError

MESSAGE = b"message"
LARGE = b"x" * (MAX_MESSAGE_BYTES + 1)


def frame(message: bytes, flag: int = 0, length: int | None = None) -> bytes:
    return bytes([flag]) + (len(message) if length is None else length).to_bytes(4) + message


@pytest.mark.parametrize("message", [b"", MESSAGE, b"x" * 70_000])
def test_frame_round_trip(message: bytes) -> None:
    assert grpc_messages.encode_frame(message) == frame(message)
    assert grpc_messages.decode_frame(frame(message)) == message


@pytest.mark.parametrize(
    ("encoding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress)], ids=["gzip", "deflate"]
)
def test_compressed_message_is_decompressed(encoding: str, compress: Any) -> None:
    assert grpc_messages.decode_frame(frame(compress(MESSAGE), flag=1), encoding) == MESSAGE


@pytest.mark.parametrize(
    ("body", "encoding", "code"),
    [
        (b"", "identity", "INTERNAL"),
        (b"\0\0\0", "identity", "INTERNAL"),
        (frame(MESSAGE, length=8), "identity", "INTERNAL"),
        (frame(MESSAGE) + frame(MESSAGE), "identity", "INTERNAL"),
        (frame(MESSAGE, flag=1), "identity", "INTERNAL"),
        (frame(MESSAGE, flag=1), "brotli", "INTERNAL"),
        (frame(MESSAGE, flag=1), "gzip", "INTERNAL"),
        (frame(gzip.compress(MESSAGE)[:-4], flag=1), "gzip", "INTERNAL"),
        (frame(gzip.compress(LARGE), flag=1), "gzip", "RESOURCE_EXHAUSTED"),
    ],
    ids=[
        *("empty", "short", "truncated", "two messages", "no encoding", "unknown encoding", "not compressed"),
        *("truncated gzip", "large"),
    ],
)
def test_malformed_frame_is_rejected(body: bytes, encoding: str, code: str) -> None:
    with pytest.raises(StatusError) as raised:
        grpc_messages.decode_frame(body, encoding)
    assert raised.value.code.name == code


@pytest.mark.parametrize(("timeout_s", "text"), [(2.5, "2500m"), (0.0001, "1m"), (60, "60000m"), (1e6, "99999999m")])
def test_timeout_is_formatted_in_milliseconds(timeout_s: float, text: str) -> None:
    assert grpc_messages.format_timeout(timeout_s) == text


@pytest.mark.parametrize(
    ("text", "timeout_s"), [("1H", 3600), ("2M", 120), ("3S", 3), ("2500m", 2.5), ("1u", 1e-6), ("5n", 5e-9)]
)
def test_timeout_is_parsed_in_every_unit(text: str, timeout_s: float) -> None:
    assert grpc_messages.parse_timeout_s(text) == pytest.approx(timeout_s)


@pytest.mark.parametrize("text", ["", "m", "1", "1d", "xS"])
def test_malformed_timeout_is_rejected(text: str) -> None:
    with pytest.raises(StatusError, match="grpc-timeout is malformed"):
        grpc_messages.parse_timeout_s(text)


def test_binary_metadata_is_encoded() -> None:
    metadata = [("authorization", "Bearer a.b.c"), ("details-bin", b"\0\xff")]
    assert list(grpc_messages.format_metadata(metadata)) == [("authorization", "Bearer a.b.c"), ("details-bin", "AP8=")]


@pytest.mark.parametrize("text", ["a\r\nb: c", "ü", "\t"])
def test_metadata_that_is_not_printable_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match="metadata name is not printable"):
        list(grpc_messages.format_metadata([("name", text)]))


def test_status_round_trip() -> None:
    details = "100 % „ungültig“\n"
    status = StatusError(grpc.StatusCode.NOT_FOUND, details, [("grpc-status-details-bin", b"\1\xfe\xff")])
    headers = dict(grpc_messages.format_status(status))
    headers["grpc-status-details-bin"] = headers["grpc-status-details-bin"].rstrip("=")  # padding is optional
    assert headers["grpc-message"].isascii()
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        grpc_messages.raise_for_status(200, headers)
    assert (raised.value.code(), raised.value.details()) == (grpc.StatusCode.NOT_FOUND, details)
    assert dict(raised.value.trailing_metadata())["grpc-status-details-bin"] == b"\1\xfe\xff"


def test_ok_raises_nothing() -> None:
    grpc_messages.raise_for_status(200, {"grpc-status": "0"})


@pytest.mark.parametrize(
    ("http_status", "headers", "code"),
    [
        (200, {}, "UNKNOWN"),
        (400, {}, "INTERNAL"),
        (404, {}, "UNIMPLEMENTED"),
        (503, {}, "UNAVAILABLE"),
        (418, {}, "UNKNOWN"),
        (200, {"grpc-status": "99"}, "UNKNOWN"),
        (200, {"grpc-status": "-1"}, "UNKNOWN"),
        (503, {"grpc-status": "4"}, "DEADLINE_EXCEEDED"),
    ],
)
def test_missing_status_is_derived_from_http_status(http_status: int, headers: dict[str, str], code: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        grpc_messages.raise_for_status(http_status, headers)
    assert raised.value.code().name == code


def test_malformed_binary_trailer_is_empty() -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        grpc_messages.raise_for_status(200, {"grpc-status": "5", "grpc-status-details-bin": "a"})
    assert dict(raised.value.trailing_metadata())["grpc-status-details-bin"] == b""
