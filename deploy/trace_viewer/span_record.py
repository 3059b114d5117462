"""Stored form of a span: searchable fields, and other details encoded with MessagePack."""

import sys
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span, Status

MAX_TAGS = 128
"""Maximum number of attributes, of events and of links of a span; more are dropped."""

MAX_TEXT_CHARS = 2048
"""Maximum length of a value or name; longer ones are truncated."""

SPAN_OVERHEAD_BYTES = 400
"""Memory of a span without its encoded details and texts, including its entries in the store (measured)."""

KIND_NAMES = {
    Span.SPAN_KIND_SERVER: "server",
    Span.SPAN_KIND_CLIENT: "client",
    Span.SPAN_KIND_PRODUCER: "producer",
    Span.SPAN_KIND_CONSUMER: "consumer",
    Span.SPAN_KIND_INTERNAL: "internal",
}

type Tag = tuple[str, bool | int | float | str]


class SpanDetails(msgspec.Struct, array_like=True):
    """Details of a span. Links are pairs of trace id and span id; events are time in microseconds, name and tags."""

    tags: list[Tag]
    links: list[tuple[str, str]]
    events: list[tuple[int, str, list[Tag]]]
    process_tags: list[Tag]


class SpanRecord(msgspec.Struct, frozen=True, gc=False):
    """Stored span. Ids are hexadecimal, times in microseconds, and `encoded_details` are SpanDetails."""

    trace_id: str
    span_id: str
    parent_id: str
    service: str
    operation: str
    kind: str
    has_error: bool
    start_us: int
    duration_us: int
    encoded_details: bytes

    @property
    def size_bytes(self) -> int:
        """Return the approximate memory of the span, in bytes."""
        return len(self.encoded_details) + len(self.service) + len(self.operation) + SPAN_OVERHEAD_BYTES

    def decode_details(self) -> SpanDetails:
        """Return the decoded details."""
        return _decode_details(self.encoded_details)


_decode_details = msgspec.msgpack.Decoder(SpanDetails).decode
_encode_details = msgspec.msgpack.Encoder().encode


def parse_spans(groups: Iterable[ResourceSpans]) -> Iterator[SpanRecord]:
    """Yield the spans of an OTLP request. Spans with ids of invalid length are dropped."""
    for group in groups:
        resource_tags = parse_tags(group.resource.attributes)
        service = next((str(value) for key, value in resource_tags if key == "service.name"), "unknown_service")
        process_tags = [(key, value) for key, value in resource_tags if key != "service.name"]
        for scope in group.scope_spans:
            scope_tags: list[Tag] = [("otel.scope.name", truncate(scope.scope.name))] if scope.scope.name else []
            for span in scope.spans:
                if len(span.trace_id) == 16 and len(span.span_id) == 8:
                    yield _build_record(span, service, scope_tags, process_tags)


def _build_record(span: Span, service: str, scope_tags: list[Tag], process_tags: list[Tag]) -> SpanRecord:
    has_error = span.status.code == Status.STATUS_CODE_ERROR
    kind = KIND_NAMES.get(span.kind, "")
    tags = parse_tags(span.attributes) + scope_tags
    if kind:
        tags.append(("span.kind", kind))
    if has_error:
        tags += [("error", True), ("otel.status_code", "ERROR")]
        if span.status.message:
            tags.append(("otel.status_description", truncate(span.status.message)))
    details = SpanDetails(
        tags,
        [(link.trace_id.hex(), link.span_id.hex()) for link in span.links[:MAX_TAGS]],
        [
            (event.time_unix_nano // 1000, truncate(event.name), parse_tags(event.attributes))
            for event in span.events[:MAX_TAGS]
        ],
        process_tags,
    )
    start_us = span.start_time_unix_nano // 1000
    return SpanRecord(
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        sys.intern(service),
        sys.intern(truncate(span.name)),
        kind,
        has_error,
        start_us,
        max(0, span.end_time_unix_nano // 1000 - start_us),
        _encode_details(details),
    )


def parse_tags(attributes: Iterable[KeyValue]) -> list[Tag]:
    """Return at most MAX_TAGS attributes as tags; lists and maps are converted to text."""
    return [
        (truncate(each.key), _to_plain_value(each.value)) for each, _ in zip(attributes, range(MAX_TAGS), strict=False)
    ]


def truncate(text: str) -> str:
    """Return the text, truncated to MAX_TEXT_CHARS with an ellipsis."""
    return text if len(text) <= MAX_TEXT_CHARS else f"{text[: MAX_TEXT_CHARS - 1]}…"


def _to_plain_value(value: AnyValue) -> bool | int | float | str:
    kind = value.WhichOneof("value")
    if kind in ("bool_value", "int_value", "double_value"):
        scalar: bool | int | float = getattr(value, kind)
        return scalar
    return truncate(value.string_value if kind == "string_value" else str(_to_nested_value(value)))


def _to_nested_value(value: AnyValue) -> Any:
    match value.WhichOneof("value"):
        case "array_value":
            return [_to_nested_value(each) for each in value.array_value.values[:MAX_TAGS]]
        case "kvlist_value":
            return {each.key: _to_nested_value(each.value) for each in value.kvlist_value.values[:MAX_TAGS]}
        case None:
            return ""
        case kind:
            return getattr(value, kind)
