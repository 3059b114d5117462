"""Trace viewer: store, OTLP receivers and Jaeger's query API."""

import gzip
import json
import os
import tracemalloc
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from deploy.trace_viewer import otlp_receiver, query
from deploy.trace_viewer.app import SECURITY_HEADERS, create_collector_app, create_viewer_app
from deploy.trace_viewer.span_record import MAX_TEXT_CHARS, SpanRecord, parse_spans
from deploy.trace_viewer.store import MAX_SPANS_PER_TRACE, TraceStore

NOW = 1_800_000_000_000_000
ROOT_SPAN = {
    "traceId": "0af7651916cd43dd8448eb211c80319c",
    "spanId": "b7ad6b7169203331",
    "name": "POST /orders",
    "kind": 2,
    "startTimeUnixNano": str(NOW * 1000),
    "endTimeUnixNano": str(NOW * 1000 + 5_000_000),
    "attributes": [
        {"key": "http.route", "value": {"stringValue": "/orders"}},
        {"key": "n", "value": {"intValue": "7"}},
        {"key": "good", "value": {"boolValue": True}},
        {"key": "some", "value": {"arrayValue": {"values": [{"stringValue": "a"}, {"intValue": "1"}]}}},
    ],
    "events": [{"name": "exception", "timeUnixNano": str(NOW * 1000 + 1000)}],
}
CHILD_SPAN = ROOT_SPAN | {
    "spanId": "b7ad6b7169203332",
    "parentSpanId": "b7ad6b7169203331",
    "name": "CreateOrder",
    "kind": 3,
    "links": [{"traceId": ROOT_SPAN["traceId"], "spanId": ROOT_SPAN["spanId"]}],
    "status": {"code": 2, "message": "unavailable"},
}


def create_batch(*spans: dict[str, Any], service: str = "gateway") -> dict[str, Any]:
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": list(spans)}]}]}


def create_store(*batches: dict[str, Any]) -> TraceStore:
    store = TraceStore(10**7)
    for batch in batches:
        store.add_spans(parse_spans(otlp_receiver.parse_json(json.dumps(batch).encode()).resource_spans))
    return store


def create_record(trace: int, span: int, service: str = "s", padding: int = 0, parent: int = 0) -> SpanRecord:
    ids = (f"{trace:032x}", f"{span:016x}", f"{parent:016x}" if parent else "")
    return SpanRecord(
        *ids, service, f"op{span % 3}", "server", False, NOW + span, 10, b"\x94\x90\x90\x90\x90" + bytes(padding)
    )


@pytest.fixture
def store() -> TraceStore:
    return create_store(create_batch(ROOT_SPAN), create_batch(CHILD_SPAN, service="orders"))


@pytest.fixture
async def client(store: TraceStore) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(create_viewer_app(store)), base_url="http://viewer"
    ) as client:
        yield client


@pytest.fixture
async def collector(store: TraceStore) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(create_collector_app(store)), base_url="http://collector"
    ) as client:
        yield client


# ---- store


@given(st.lists(st.tuples(st.integers(1, 8), st.integers(1, 5), st.integers(0, 3000)), max_size=60))
def test_store_stays_within_limit_with_consistent_counts(spans: list[tuple[int, int, int]]) -> None:
    store = TraceStore(12_000)
    for trace, span, padding in spans:
        store.add_spans([create_record(trace, span, padding=padding)])
        assert store.size_bytes <= 12_000
    stored = [span for trace in store.find_newest(lambda _: True, 1000) for span in trace.spans.values()]
    assert store.size_bytes == sum(span.size_bytes for span in stored)
    assert store.list_operations() == sorted(Counter((span.service, span.operation, span.kind) for span in stored))


def test_oldest_trace_is_evicted_first() -> None:
    store = TraceStore(create_record(1, 1).size_bytes * 2)
    store.add_spans([create_record(1, 1), create_record(2, 1), create_record(3, 1)])
    assert [trace.id[-1] for trace in store.find_newest(lambda _: True, 9)] == ["3", "2"]


def test_duplicate_span_replaces_previous() -> None:
    store = TraceStore(10**6)
    store.add_spans([create_record(1, 1), create_record(1, 1, padding=100)])
    assert (len(store), store.size_bytes) == (1, create_record(1, 1, padding=100).size_bytes)


def test_spans_per_trace_are_bounded() -> None:
    store = TraceStore(10**9)
    store.add_spans(create_record(1, number) for number in range(MAX_SPANS_PER_TRACE + 7))
    trace = store.get_trace(f"{1:032x}")
    assert trace is not None
    assert (len(trace.spans), store.dropped_spans) == (MAX_SPANS_PER_TRACE, 7)


def test_size_accounting_matches_memory() -> None:
    """Add twice as many spans as the store can hold, and measure the memory of the remaining ones."""
    limit = 3 * 1024 * 1024
    store = TraceStore(limit)

    template = otlp_receiver.parse_json(json.dumps(create_batch(ROOT_SPAN)).encode())
    (span,) = template.resource_spans[0].scope_spans[0].spans

    def create_bodies() -> Iterator[bytes]:
        for _ in range(60):
            span.trace_id = os.urandom(16)
            export = ExportTraceServiceRequest()
            scope = export.resource_spans.add(resource=template.resource_spans[0].resource).scope_spans.add()
            for _ in range(200):
                span.span_id = os.urandom(8)
                scope.spans.add().CopyFrom(span)
            yield export.SerializeToString()

    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for body in create_bodies():
        store.add_spans(parse_spans(otlp_receiver.parse_protobuf(body).resource_spans))
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(store) < 60
    assert 0.6 * limit < after - before < 1.1 * limit


# ---- OTLP receivers


def test_long_values_are_truncated_and_invalid_ids_dropped() -> None:
    long = ROOT_SPAN | {
        "name": "x" * 9999,
        "attributes": [{"key": "k" * 9999, "value": {"stringValue": "v" * 9999}}] * 500,
    }
    export = ExportTraceServiceRequest.FromString(
        otlp_receiver.parse_json(json.dumps(create_batch(long)).encode()).SerializeToString()
    )
    (span,) = parse_spans(export.resource_spans)
    assert len(span.operation) == MAX_TEXT_CHARS
    assert {len(text) for key, value in span.decode_details().tags for text in (key, str(value))} <= {
        MAX_TEXT_CHARS,
        9,
        6,
    }
    assert len(span.decode_details().tags) == 129
    export.resource_spans[0].scope_spans[0].spans[0].trace_id = b"short"
    assert list(parse_spans(export.resource_spans)) == []


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
    ("status", "body", "headers"),
    [
        (415, b"{}", {"content-type": "text/plain"}),
        (415, b"{}", {}),
        (415, b"{}", {"content-type": "application/json", "content-encoding": "br"}),
        (400, b"[1", {"content-type": "application/json"}),
        (400, b"[" * 100_000, {"content-type": "application/json"}),
        (
            400,
            b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "xyz"}]}]}]}',
            {"content-type": "application/json"},
        ),
        (400, b"\xff\xff", {"content-type": "application/x-protobuf"}),
        (400, b"no zip", {"content-type": "application/json", "content-encoding": "gzip"}),
        (413, bytes(otlp_receiver.MAX_BODY_BYTES + 1), {"content-type": "application/json"}),
        (413, gzip.compress(bytes(64 * 1024 * 1024)), {"content-type": "application/json", "content-encoding": "gzip"}),
    ],
)
async def test_invalid_otlp_requests_are_rejected(
    collector: httpx.AsyncClient, status: int, body: bytes, headers: dict[str, str]
) -> None:
    response = await collector.post("/v1/traces", content=body, headers=headers)
    assert response.status_code == status
    assert SECURITY_HEADERS.items() <= dict(response.headers).items()


# ---- query API


async def test_get_trace_returns_jaeger_json(client: httpx.AsyncClient) -> None:
    response = (await client.get(f"/api/traces/{ROOT_SPAN['traceId']}")).json()
    assert response.keys() == {"data", "total", "limit", "offset", "errors"}
    (trace,) = response["data"]
    assert [process["serviceName"] for process in trace["processes"].values()] == ["gateway", "orders"]
    root, child = trace["spans"]
    assert root["references"] == []
    assert (root["startTime"], root["duration"]) == (NOW, 5000)
    assert {"key": "n", "type": "int64", "value": 7} in root["tags"]
    assert {"key": "good", "type": "bool", "value": True} in root["tags"]
    assert {"key": "some", "type": "string", "value": "['a', 1]"} in root["tags"]
    assert {"key": "span.kind", "type": "string", "value": "server"} in root["tags"]
    assert root["logs"] == [
        {"timestamp": NOW + 1, "fields": [{"key": "event", "type": "string", "value": "exception"}]}
    ]
    ids = {"traceID": ROOT_SPAN["traceId"], "spanID": ROOT_SPAN["spanId"]}
    assert child["references"] == [{"refType": "CHILD_OF", **ids}, {"refType": "FOLLOWS_FROM", **ids}]
    assert {"key": "error", "type": "bool", "value": True} in child["tags"]
    assert child["warnings"] is None


async def test_services_operations_and_dependencies(client: httpx.AsyncClient) -> None:
    async def data(path: str) -> Any:
        return (await client.get(path)).json()["data"]

    assert await data("/api/services") == ["gateway", "orders"]
    assert await data("/api/services/gateway/operations") == ["POST /orders"]
    assert await data("/api/operations?service=orders") == [{"name": "CreateOrder", "spanKind": "client"}]
    assert await data("/api/operations?service=orders&spanKind=server") == []
    assert await data(f"/api/dependencies?endTs={NOW // 1000 + 1}&lookback=60000") == [
        {"parent": "gateway", "child": "orders", "callCount": 1}
    ]
    assert await data(f"/api/dependencies?endTs={NOW // 1000 - 1}&lookback=60000") == []
    (summary,) = await data("/api/summaries")
    assert summary == {
        "traceID": ROOT_SPAN["traceId"],
        "service": "gateway",
        "operation": "POST /orders",
        "startTime": NOW,
        "duration": 5000,
        "spans": 2,
        "errors": 1,
        "orphans": 0,
        "services": {"gateway": 1, "orders": 1},
    }


@pytest.mark.parametrize(
    ("parameters", "count"),
    [
        ("service=gateway", 1),
        ("service=unknown", 0),
        ("service=gateway&operation=CreateOrder", 0),
        ("service=orders&operation=all", 1),
        ('tags={"http.route":"/orders","n":"7"}', 1),
        ('tags={"http.route":"/else"}', 0),
        ("tag=error:true", 1),
        ("service=gateway&tag=error:true", 0),
        ("minDuration=5ms", 1),
        ("minDuration=5.1ms", 0),
        ("maxDuration=1us", 0),
        (f"start={NOW}&end={NOW}", 1),
        (f"start={NOW + 1}", 0),
        ("q=CREATEorder", 1),
        ("q=/ORDERS", 1),
        ("q=7", 1),
        ("q=tru", 1),
        ("q=key-of-nothing", 0),
        (f"q={ROOT_SPAN['traceId']}", 1),
        ("q=nothing-like-it", 0),
        (f"traceID={ROOT_SPAN['traceId']}", 1),
    ],
)
async def test_search_filters_traces(client: httpx.AsyncClient, parameters: str, count: int) -> None:
    assert len((await client.get(f"/api/traces?{parameters}")).json()["data"]) == count


@pytest.mark.parametrize("parameters", ["limit=x", "minDuration=5", "tags=[]", "tags={", "start=-1", "end=9e9"])
async def test_invalid_query_returns_400(client: httpx.AsyncClient, parameters: str) -> None:
    for path in ("traces", "summaries"):
        response = await client.get(f"/api/{path}?{parameters}")
        assert response.status_code == 400
        assert response.json()["errors"][0]["code"] == 400
    assert (await client.get("/api/dependencies?lookback=x")).status_code == 400
    assert (await client.get(f"/api/traces/{'0' * 32}")).status_code == 404


async def test_every_response_has_security_headers(client: httpx.AsyncClient) -> None:
    pages = ["/", "/search", "/dependencies", "/trace/x", "/static/page.js", "/static/page.css", "/static/icon.svg"]
    for path in [*pages, "/api/services", "/static/index.html", "/static/..%2Fapp.py", "/nowhere"]:
        response = await client.get(path)
        assert (response.status_code == 200) == (path in pages or path == "/api/services"), path
        assert SECURITY_HEADERS.items() <= dict(response.headers).items()
    policy = SECURITY_HEADERS["content-security-policy"]
    assert "unsafe" not in policy
    assert "*" not in policy


def test_trace_without_root_uses_earliest_span() -> None:
    store = TraceStore(10**6)
    store.add_spans([create_record(1, 2, parent=9), create_record(1, 3, parent=2)])
    trace = store.get_trace(f"{1:032x}")
    assert trace is not None
    assert trace.root_span.span_id == f"{2:016x}"
    assert query.build_summary(trace)["orphans"] == 1
