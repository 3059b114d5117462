"""Stored form of spans: tags, errors, limits and invalid ids."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from deploy.trace_viewer import otlp_receiver
from deploy.trace_viewer.span_record import MAX_TAGS, MAX_TEXT_CHARS, SpanRecord, parse_spans, truncate
from tests.unit.deploy.trace_viewer.spans import CHILD_SPAN, NOW, ROOT_SPAN, create_batch, parse_batch


def parse(**changes: Any) -> SpanRecord:
    """Return the record of the root span with changes."""
    (record,) = parse_batch(create_batch(ROOT_SPAN | changes))
    return record


def tags(record: SpanRecord) -> dict[str, Any]:
    return dict(record.decode_details().tags)


def test_searchable_fields_are_those_of_the_span() -> None:
    record = parse()
    assert (record.trace_id, record.span_id, record.parent_id) == (ROOT_SPAN["traceId"], ROOT_SPAN["spanId"], "")
    assert (record.service, record.operation, record.kind) == ("gateway", "POST /orders", "server")
    assert (record.start_us, record.duration_us, record.has_error) == (NOW, 5000, False)


def test_end_before_start_has_no_negative_duration() -> None:
    assert parse(endTimeUnixNano="0").duration_us == 0


def test_attributes_and_kind_are_tags() -> None:
    assert tags(parse()) == {"http.route": "/orders", "n": 7, "good": True, "some": "['a', 1]", "span.kind": "server"}


@pytest.mark.parametrize(
    ("value", "tag"),
    [
        ({"doubleValue": 0.5}, 0.5),
        ({"kvlistValue": {"values": [{"key": "a", "value": {"boolValue": False}}]}}, "{'a': False}"),
        ({"arrayValue": {"values": [{"arrayValue": {}}, {}]}}, "[[], '']"),
        ({}, ""),
    ],
    ids=["double", "map", "nested list", "empty"],
)
def test_lists_and_maps_become_text(value: dict[str, Any], tag: object) -> None:
    assert tags(parse(attributes=[{"key": "k", "value": value}]))["k"] == tag


def test_error_has_tags_and_description() -> None:
    (child,) = parse_batch(create_batch(CHILD_SPAN))
    assert child.has_error
    assert {("error", True), ("otel.status_code", "ERROR"), ("otel.status_description", "unavailable")} <= set(
        child.decode_details().tags
    )


def test_error_without_message_has_no_description() -> None:
    assert "otel.status_description" not in tags(parse(status={"code": 2}))


def test_links_and_events_are_decoded() -> None:
    (child,) = parse_batch(create_batch(CHILD_SPAN))
    details = child.decode_details()
    assert details.links == [(ROOT_SPAN["traceId"], ROOT_SPAN["spanId"])]
    assert details.events == [(NOW + 1, "exception", [])]


def test_resource_attributes_are_tags_of_the_process() -> None:
    batch = create_batch(ROOT_SPAN)
    batch["resourceSpans"][0]["resource"]["attributes"].append({"key": "host", "value": {"stringValue": "h"}})
    (record,) = parse_batch(batch)
    assert record.decode_details().process_tags == [("host", "h")]


def test_missing_service_name_is_unknown() -> None:
    batch = create_batch(ROOT_SPAN)
    batch["resourceSpans"][0]["resource"] = {}
    assert [record.service for record in parse_batch(batch)] == ["unknown_service"]


def test_scope_is_a_tag() -> None:
    batch = create_batch(ROOT_SPAN)
    batch["resourceSpans"][0]["scopeSpans"][0]["scope"] = {"name": "grpc"}
    (record,) = parse_batch(batch)
    assert tags(record)["otel.scope.name"] == "grpc"


def test_size_grows_with_encoded_details() -> None:
    assert parse(name="x" * 100).size_bytes - parse(name="x").size_bytes == 99
    assert parse(attributes=[]).size_bytes < parse().size_bytes


@given(st.text(min_size=1, max_size=3), st.integers(0, MAX_TEXT_CHARS))
def test_truncated_text_is_a_prefix_within_the_limit(part: str, repetitions: int) -> None:
    text = part * repetitions
    truncated = truncate(text)
    assert len(truncated) <= MAX_TEXT_CHARS
    assert truncated == text if len(text) <= MAX_TEXT_CHARS else text.startswith(truncated.removesuffix("…"))


@pytest.mark.parametrize("excess", [0, 1])
def test_text_is_truncated_above_the_limit(excess: int) -> None:
    assert truncate("x" * (MAX_TEXT_CHARS + excess)).endswith("…") == bool(excess)


@pytest.mark.parametrize("field", ["events", "links"])
def test_events_and_links_are_bounded(field: str) -> None:
    items = {"events": [{"name": "e"}], "links": [{"traceId": "ab" * 16, "spanId": "cd" * 8}]}
    details = parse(**{field: items[field] * (MAX_TAGS + 5)}).decode_details()
    assert len(getattr(details, field)) == MAX_TAGS


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
