"""Sample spans of the trace viewer, as OTLP batches and as stored records."""

import json
from typing import Any

from deploy.trace_viewer import otlp_receiver
from deploy.trace_viewer.span_record import SpanRecord, parse_spans
from deploy.trace_viewer.store import TraceStore

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
    """Return a batch of spans of one service in OTLP's JSON format."""
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": list(spans)}]}]}


def parse_batch(batch: dict[str, Any]) -> list[SpanRecord]:
    """Return the spans of a batch as the receivers store them."""
    return list(parse_spans(otlp_receiver.parse_json(json.dumps(batch).encode()).resource_spans))


def create_store(*batches: dict[str, Any]) -> TraceStore:
    """Return a store with the spans of the batches."""
    store = TraceStore(10**7)
    for batch in batches:
        store.add_spans(parse_batch(batch))
    return store


def create_record(trace: int, span: int, service: str = "s", padding: int = 0, parent: int = 0) -> SpanRecord:
    """Return a record without tags, whose ids are the numbers in hexadecimal."""
    ids = (f"{trace:032x}", f"{span:016x}", f"{parent:016x}" if parent else "")
    return SpanRecord(
        *ids, service, f"op{span % 3}", "server", False, NOW + span, 10, b"\x94\x90\x90\x90\x90" + bytes(padding)
    )
