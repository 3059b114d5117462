"""Parsing of search parameters, and conversion of traces to Jaeger's JSON format."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from starlette.datastructures import QueryParams

from deploy.trace_viewer.span_record import SpanRecord, Tag
from deploy.trace_viewer.store import Trace

DEFAULT_LIMIT, MAX_LIMIT = 20, 1500
_MICROSECONDS_PER_UNIT = {"ns": 0.001, "us": 1, "µs": 1, "ms": 1e3, "s": 1e6, "m": 60e6, "h": 3600e6}
_JAEGER_TYPES = {bool: "bool", int: "int64", float: "float64", str: "string"}


class InvalidQuery(Exception):
    """A query parameter is invalid."""


def parse_duration_us(text: str) -> int:
    """Parse a duration in Go's format, such as "1.5s" or "200ms". Raises InvalidQuery."""
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)(ns|us|µs|ms|s|m|h)", text)
    if match is None:
        raise InvalidQuery(f"invalid duration: {text}")
    return int(float(match[1]) * _MICROSECONDS_PER_UNIT[match[2]])


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _parse_int(query: QueryParams, name: str, default: int) -> int:
    text = query.get(name) or str(default)
    if not re.fullmatch(r"\d{1,18}", text):
        raise InvalidQuery(f"{name} is not an integer")
    return int(text)


def parse_limit(query: QueryParams) -> int:
    """Return the maximum number of traces. Raises InvalidQuery."""
    return max(1, min(_parse_int(query, "limit", DEFAULT_LIMIT), MAX_LIMIT))


def _parse_tags(query: QueryParams) -> dict[str, str]:
    tags = dict(each.partition(":")[::2] for each in query.getlist("tag"))
    if query.get("tags"):
        try:
            tags |= msgspec.json.decode(query["tags"], type=dict[str, str])
        except msgspec.MsgspecError as error:
            raise InvalidQuery("tags is not a JSON object of strings") from error
    return tags


def parse_search(query: QueryParams) -> Callable[[Trace], bool]:
    """Return the predicate of a search. Raises InvalidQuery.

    As in Jaeger, a trace matches if one of its spans has the service, the operation, the duration and all tags. The
    parameter `q` is an extension: a text that a tag value, a service or an operation contains, or the trace id.
    """
    service, operation, text = query.get("service"), query.get("operation"), (query.get("q") or "").casefold()
    if operation == "all":
        operation = None
    tags = _parse_tags(query)
    start, end = _parse_int(query, "start", 0), _parse_int(query, "end", 10**17)
    min_duration_us = parse_duration_us(query["minDuration"]) if query.get("minDuration") else 0
    max_duration_us = parse_duration_us(query["maxDuration"]) if query.get("maxDuration") else None

    def matches_span(span: SpanRecord) -> bool:
        if (service and span.service != service) or (operation and span.operation != operation):
            return False
        if min_duration_us > span.duration_us or (max_duration_us is not None and span.duration_us > max_duration_us):
            return False
        if not tags:
            return True
        details = span.decode_details()
        span_tags = {key: format_value(value) for key, value in (*details.process_tags, *details.tags)}
        return tags.items() <= span_tags.items()

    # Encoded details contain strings verbatim. A text that cannot be part of a formatted number or boolean is therefore
    # searched there first, so that few spans are decoded.
    encoded_text = text.encode() if text.isascii() and len(text) > 5 and not _is_number(text) else b""

    def contains_text(span: SpanRecord) -> bool:
        if text in span.service.casefold() or text in span.operation.casefold():
            return True
        if encoded_text not in span.encoded_details.lower():
            return False
        return any(text in format_value(value).casefold() for _, value in span.decode_details().tags)

    def matches_trace(trace: Trace) -> bool:
        return (
            start <= trace.start_us <= end
            and any(map(matches_span, trace.spans.values()))
            and (not text or text == trace.id or any(map(contains_text, trace.spans.values())))
        )

    return matches_trace


def format_value(value: bool | float | str) -> str:
    """Return a tag value as text for searches."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def build_summary(trace: Trace) -> dict[str, Any]:
    """Return the summary of a trace for the trace list."""
    spans, root = trace.spans.values(), trace.root_span
    services: dict[str, int] = {}
    for span in spans:
        services[span.service] = services.get(span.service, 0) + 1
    return {
        "traceID": trace.id,
        "service": root.service,
        "operation": root.operation,
        "startTime": trace.start_us,
        "duration": trace.duration_us,
        "spans": len(spans),
        "errors": sum(span.has_error for span in spans),
        "orphans": len(trace.find_orphans()),
        "services": dict(sorted(services.items())),
    }


def to_jaeger(trace: Trace) -> dict[str, Any]:
    """Return a trace in Jaeger's JSON format."""
    processes: dict[str, Any] = {}
    process_ids: dict[tuple[str, tuple[Tag, ...]], str] = {}
    spans = []
    for span in sorted(trace.spans.values(), key=lambda span: (span.start_us, span.span_id)):
        details = span.decode_details()
        process_id = process_ids.setdefault((span.service, tuple(details.process_tags)), f"p{len(process_ids) + 1}")
        processes[process_id] = {"serviceName": span.service, "tags": _to_jaeger_tags(details.process_tags)}
        parent = [_to_jaeger_reference("CHILD_OF", trace.id, span.parent_id)] if span.parent_id else []
        is_orphan = bool(span.parent_id) and span.parent_id not in trace.spans
        spans.append(
            {
                "traceID": trace.id,
                "spanID": span.span_id,
                "operationName": span.operation,
                "references": parent + [_to_jaeger_reference("FOLLOWS_FROM", *link) for link in details.links],
                "startTime": span.start_us,
                "duration": span.duration_us,
                "tags": _to_jaeger_tags(details.tags),
                "logs": [
                    {"timestamp": time_us, "fields": _to_jaeger_tags([("event", name), *tags])}
                    for time_us, name, tags in details.events
                ],
                "processID": process_id,
                "warnings": ["parent span is missing"] if is_orphan else None,
            }
        )
    return {"traceID": trace.id, "spans": spans, "processes": processes, "warnings": None}


def _to_jaeger_reference(kind: str, trace_id: str, span_id: str) -> dict[str, str]:
    return {"refType": kind, "traceID": trace_id, "spanID": span_id}


def _to_jaeger_tags(tags: Sequence[Tag]) -> list[dict[str, Any]]:
    return [{"key": key, "type": _JAEGER_TYPES[type(value)], "value": value} for key, value in tags]


def parse_time_range(query: QueryParams, now_ms: int) -> tuple[int, int]:
    """Return start and end of the time range of dependencies, in microseconds. Raises InvalidQuery."""
    end = _parse_int(query, "endTs", now_ms)
    return (end - _parse_int(query, "lookback", 7 * 86_400_000)) * 1000, end * 1000
