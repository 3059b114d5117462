"""What is asked, and Jaeger's JSON for an answer."""

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
    """A parameter that cannot be read."""


def parse_duration_us(text: str) -> int:
    """A duration as Go writes it: "1.5s", "200ms". Raises BadQuery."""
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)(ns|us|µs|ms|s|m|h)", text)
    if found is None:
        raise InvalidQuery(f"not a duration: {text}")
    return int(float(found[1]) * _MICROSECONDS_PER_UNIT[found[2]])


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _parse_int(query: QueryParams, name: str, default: int) -> int:
    text = query.get(name) or str(default)
    if not re.fullmatch(r"\d{1,18}", text):
        raise InvalidQuery(f"{name} is not a number")
    return int(text)


def parse_limit(query: QueryParams) -> int:
    """How many traces are asked for. Raises BadQuery."""
    return max(1, min(_parse_int(query, "limit", DEFAULT_LIMIT), MAX_LIMIT))


def _parse_tags(query: QueryParams) -> dict[str, str]:
    wanted = dict(each.partition(":")[::2] for each in query.getlist("tag"))
    if query.get("tags"):
        try:
            wanted |= msgspec.json.decode(query["tags"], type=dict[str, str])
        except msgspec.MsgspecError as error:
            raise InvalidQuery("tags is not an object of texts") from error
    return wanted


def parse_search(query: QueryParams) -> Callable[[Trace], bool]:
    """Jaeger's search: a trace fits in which one span has the service, the operation and every tag. Raises BadQuery.

    `q` is ours: a text that a value, a service or an operation has in it.
    """
    service, operation, text = query.get("service"), query.get("operation"), (query.get("q") or "").casefold()
    if operation == "all":
        operation = None
    wanted = _parse_tags(query)
    start, end = _parse_int(query, "start", 0), _parse_int(query, "end", 10**17)
    least = parse_duration_us(query["minDuration"]) if query.get("minDuration") else 0
    most = parse_duration_us(query["maxDuration"]) if query.get("maxDuration") else None

    def span_fits(span: SpanRecord) -> bool:
        if (service and span.service != service) or (operation and span.operation != operation):
            return False
        if least > span.duration_us or (most is not None and span.duration_us > most):
            return False
        if not wanted:
            return True
        details = span.decode_details()
        has = {key: format_value(value) for key, value in (*details.process_tags, *details.tags)}
        return wanted.items() <= has.items()

    # What is no number, nor part of "true" or "false", lies in what is packed as it is: few spans need to be unpacked.
    sought = text.encode() if text.isascii() and len(text) > 5 and not _is_number(text) else b""

    def says(span: SpanRecord) -> bool:
        if text in span.service.casefold() or text in span.operation.casefold():
            return True
        if sought not in span.encoded_details.lower():
            return False
        return any(text in format_value(value).casefold() for _, value in span.decode_details().tags)

    def fits(trace: Trace) -> bool:
        return (
            start <= trace.start_us <= end
            and any(map(span_fits, trace.spans.values()))
            and (not text or text == trace.id or any(map(says, trace.spans.values())))
        )

    return fits


def format_value(value: bool | float | str) -> str:
    """A value as searches and people write it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def build_summary(trace: Trace) -> dict[str, Any]:
    """What a list shows of a trace."""
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
    """A trace in Jaeger's own form."""
    processes: dict[str, Any] = {}
    known: dict[tuple[str, tuple[Tag, ...]], str] = {}
    spans = []
    for span in sorted(trace.spans.values(), key=lambda span: (span.start_us, span.span_id)):
        details = span.decode_details()
        process = known.setdefault((span.service, tuple(details.process_tags)), f"p{len(known) + 1}")
        processes[process] = {"serviceName": span.service, "tags": _to_jaeger_tags(details.process_tags)}
        parent = [_to_jaeger_reference("CHILD_OF", trace.id, span.parent_id)] if span.parent_id else []
        orphan = bool(span.parent_id) and span.parent_id not in trace.spans
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
                    {"timestamp": at, "fields": _to_jaeger_tags([("event", name), *more])}
                    for at, name, more in details.events
                ],
                "processID": process,
                "warnings": ["its parent has not arrived"] if orphan else None,
            }
        )
    return {"traceID": trace.id, "spans": spans, "processes": processes, "warnings": None}


def _to_jaeger_reference(kind: str, trace_id: str, span_id: str) -> dict[str, str]:
    return {"refType": kind, "traceID": trace_id, "spanID": span_id}


def _to_jaeger_tags(tags: Sequence[Tag]) -> list[dict[str, Any]]:
    return [{"key": key, "type": _JAEGER_TYPES[type(value)], "value": value} for key, value in tags]


def parse_time_range(query: QueryParams, now_ms: int) -> tuple[int, int]:
    """The times that dependencies are asked for, in microseconds. Raises BadQuery."""
    end = _parse_int(query, "endTs", now_ms)
    return (end - _parse_int(query, "lookback", 7 * 86_400_000)) * 1000, end * 1000
