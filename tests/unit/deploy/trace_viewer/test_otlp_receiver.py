"""Receivers of OTLP: formats, compression, limits and rejected requests."""

import base64
import gzip
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.trace_viewer import otlp_receiver
from deploy.trace_viewer.app import SECURITY_HEADERS, create_collector_app
from deploy.trace_viewer.otlp_receiver import MAX_BODY_BYTES, GrpcReceiver, OtlpRequestError
from deploy.trace_viewer.store import TraceStore
from tests.unit.deploy.trace_viewer.spans import ROOT_SPAN, create_batch


@pytest.fixture
async def collector(store: TraceStore) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(create_collector_app(store)), base_url="http://collector"
    ) as client:
        yield client


async def test_protobuf_and_json_are_accepted_with_and_without_gzip(
    collector: httpx.AsyncClient, store: TraceStore
) -> None:
    text = json.dumps(create_batch(ROOT_SPAN | {"traceId": "ab" * 16})).encode()
    proto = otlp_receiver.parse_json(text.replace(b"abab", b"cdcd")).SerializeToString()
    for body, media in ((text, "application/json"), (proto, "application/x-protobuf")):
        assert (await collector.post("/v1/traces", content=body, headers={"content-type": media})).status_code == 200
        gzip_headers = {"content-type": f"{media}; charset=utf-8", "content-encoding": "gzip"}
        assert (
            await collector.post("/v1/traces", content=gzip.compress(body), headers=gzip_headers)
        ).status_code == 200
    assert len(store) == 3


@pytest.mark.parametrize(
    ("media_type", "body", "response"),
    [("application/json", b"{}", b"{}"), ("application/x-protobuf", b"", b"")],
)
async def test_response_has_the_format_of_the_request(
    collector: httpx.AsyncClient, media_type: str, body: bytes, response: bytes
) -> None:
    received = await collector.post("/v1/traces", content=body, headers={"content-type": media_type})
    assert (received.content, received.headers["content-type"]) == (response, media_type)


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        (415, b"{}", {"content-type": "text/plain"}),
        (415, b"{}", {}),
        (415, b"{}", {"content-type": "application/json", "content-encoding": "br"}),
        (400, b"[1", {"content-type": "application/json"}),
        (400, b"1", {"content-type": "application/json"}),
        (400, b'{"resourceSpans": [1]}', {"content-type": "application/json"}),
        (400, b"[" * 100_000, {"content-type": "application/json"}),
        (
            400,
            b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "xyz"}]}]}]}',
            {"content-type": "application/json"},
        ),
        (400, b"\xff\xff", {"content-type": "application/x-protobuf"}),
        (400, b"no zip", {"content-type": "application/json", "content-encoding": "gzip"}),
        (413, bytes(MAX_BODY_BYTES + 1), {"content-type": "application/json"}),
        (413, gzip.compress(bytes(64 * 1024 * 1024)), {"content-type": "application/json", "content-encoding": "gzip"}),
    ],
)
async def test_invalid_otlp_requests_are_rejected(
    collector: httpx.AsyncClient, status: int, body: bytes, headers: dict[str, str]
) -> None:
    response = await collector.post("/v1/traces", content=body, headers=headers)
    assert response.status_code == status
    assert SECURITY_HEADERS.items() <= dict(response.headers).items()


async def test_rejected_request_stores_no_span(collector: httpx.AsyncClient, store: TraceStore) -> None:
    before = store.size_bytes
    body = json.dumps(create_batch(ROOT_SPAN | {"traceId": "ab" * 16})).encode()
    await collector.post("/v1/traces", content=body, headers={"content-type": "text/plain"})
    assert store.size_bytes == before


async def test_grpc_receiver_stores_the_spans(store: TraceStore) -> None:
    batch = otlp_receiver.parse_json(json.dumps(create_batch(ROOT_SPAN | {"traceId": "ef" * 16})).encode())
    context: Any = None  # the receiver does not use it
    await GrpcReceiver(store).Export(batch, context)
    assert store.get_trace("ef" * 16) is not None


@given(st.binary(max_size=1000))
def test_body_is_unchanged_by_compression(body: bytes) -> None:
    assert otlp_receiver.decompress(body, "identity") == body
    assert otlp_receiver.decompress(gzip.compress(body, 1), "gzip") == body


@pytest.mark.parametrize("excess", [0, 1])
def test_decompressed_size_is_limited(excess: int) -> None:
    body = gzip.compress(bytes(MAX_BODY_BYTES + excess), 1)
    if excess:
        with pytest.raises(OtlpRequestError, match="larger than 4 MiB") as raised:
            otlp_receiver.decompress(body, "gzip")
        assert raised.value.status == 413
    else:
        assert len(otlp_receiver.decompress(body, "gzip")) == MAX_BODY_BYTES


@given(st.binary(min_size=16, max_size=16), st.binary(min_size=8, max_size=8))
def test_hexadecimal_ids_of_json_are_decoded(trace_id: bytes, span_id: bytes) -> None:
    batch = create_batch({"traceId": trace_id.hex(), "spanId": span_id.hex().upper()})
    (span,) = otlp_receiver.parse_json(json.dumps(batch).encode()).resource_spans[0].scope_spans[0].spans
    assert (span.trace_id, span.span_id) == (trace_id, span_id)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda children: (
        st.lists(children, max_size=2)
        | st.dictionaries(st.sampled_from(["resourceSpans", "scopeSpans", "spans", "traceId", "attributes"]), children)
    ),
    max_leaves=8,
)


@given(st.binary(max_size=50) | JSON_VALUES.map(lambda value: json.dumps(value).encode()))
@settings(max_examples=50)
def test_malformed_body_raises_no_other_error(body: bytes) -> None:
    for parse in (otlp_receiver.parse_json, otlp_receiver.parse_protobuf):
        with suppress(OtlpRequestError):
            parse(body)


def test_unknown_fields_of_json_are_ignored() -> None:
    batch = create_batch(ROOT_SPAN | {"newField": base64.b64encode(b"x").decode()})
    assert otlp_receiver.parse_json(json.dumps(batch).encode()).resource_spans
