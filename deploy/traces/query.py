"""What is asked, and Jaeger's JSON for an answer."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from starlette.datastructures import QueryParams

from deploy.traces.record import Record, Tag
from deploy.traces.store import Trace

LIMIT, MOST = 20, 1500
_UNITS = {"ns": 0.001, "us": 1, "µs": 1, "ms": 1e3, "s": 1e6, "m": 60e6, "h": 3600e6}
_TYPES = {bool: "bool", int: "int64", float: "float64", str: "string"}


class BadQuery(Exception):
    """A parameter that cannot be read."""


def microseconds(text: str) -> int:
    """A duration as Go writes it: "1.5s", "200ms". Raises BadQuery."""
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)(ns|us|µs|ms|s|m|h)", text)
    if found is None:
        raise BadQuery(f"not a duration: {text}")
    return int(float(found[1]) * _UNITS[found[2]])


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _number(query: QueryParams, name: str, otherwise: int) -> int:
    text = query.get(name) or str(otherwise)
    if not re.fullmatch(r"\d{1,18}", text):
        raise BadQuery(f"{name} is not a number")
    return int(text)


def many(query: QueryParams) -> int:
    """How many traces are asked for. Raises BadQuery."""
    return max(1, min(_number(query, "limit", LIMIT), MOST))


def _wanted_tags(query: QueryParams) -> dict[str, str]:
    wanted = dict(each.partition(":")[::2] for each in query.getlist("tag"))
    if query.get("tags"):
        try:
            wanted |= msgspec.json.decode(query["tags"], type=dict[str, str])
        except msgspec.MsgspecError as error:
            raise BadQuery("tags is not an object of texts") from error
    return wanted


def search(query: QueryParams) -> Callable[[Trace], bool]:
    """Jaeger's search: a trace fits in which one span has the service, the operation and every tag. Raises BadQuery.

    `q` is ours: a text that a value, a service or an operation has in it.
    """
    service, operation, text = query.get("service"), query.get("operation"), (query.get("q") or "").casefold()
    if operation == "all":
        operation = None
    wanted = _wanted_tags(query)
    start, end = _number(query, "start", 0), _number(query, "end", 10**17)
    least = microseconds(query["minDuration"]) if query.get("minDuration") else 0
    most = microseconds(query["maxDuration"]) if query.get("maxDuration") else None

    def span_fits(span: Record) -> bool:
        if (service and span.service != service) or (operation and span.operation != operation):
            return False
        if least > span.duration or (most is not None and span.duration > most):
            return False
        if not wanted:
            return True
        details = span.details()
        has = {key: word(value) for key, value in (*details.process, *details.tags)}
        return wanted.items() <= has.items()

    # What is no number, nor part of "true" or "false", lies in what is packed as it is: few spans need to be unpacked.
    sought = text.encode() if text.isascii() and len(text) > 5 and not _is_number(text) else b""

    def says(span: Record) -> bool:
        if text in span.service.casefold() or text in span.operation.casefold():
            return True
        if sought not in span.packed.lower():
            return False
        return any(text in word(value).casefold() for _, value in span.details().tags)

    def fits(trace: Trace) -> bool:
        return (
            start <= trace.start <= end
            and any(map(span_fits, trace.spans.values()))
            and (not text or text == trace.id or any(map(says, trace.spans.values())))
        )

    return fits


def word(value: bool | float | str) -> str:
    """A value as searches and people write it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def summary(trace: Trace) -> dict[str, Any]:
    """What a list shows of a trace."""
    spans, root = trace.spans.values(), trace.root
    services: dict[str, int] = {}
    for span in spans:
        services[span.service] = services.get(span.service, 0) + 1
    return {
        "traceID": trace.id,
        "service": root.service,
        "operation": root.operation,
        "startTime": trace.start,
        "duration": trace.duration,
        "spans": len(spans),
        "errors": sum(span.error for span in spans),
        "orphans": len(trace.orphans()),
        "services": dict(sorted(services.items())),
    }


def jaeger(trace: Trace) -> dict[str, Any]:
    """A trace in Jaeger's own form."""
    processes: dict[str, Any] = {}
    known: dict[tuple[str, tuple[Tag, ...]], str] = {}
    spans = []
    for span in sorted(trace.spans.values(), key=lambda span: (span.start, span.span_id)):
        details = span.details()
        process = known.setdefault((span.service, tuple(details.process)), f"p{len(known) + 1}")
        processes[process] = {"serviceName": span.service, "tags": _tags(details.process)}
        parent = [_reference("CHILD_OF", trace.id, span.parent_id)] if span.parent_id else []
        orphan = bool(span.parent_id) and span.parent_id not in trace.spans
        spans.append(
            {
                "traceID": trace.id,
                "spanID": span.span_id,
                "operationName": span.operation,
                "references": parent + [_reference("FOLLOWS_FROM", *link) for link in details.links],
                "startTime": span.start,
                "duration": span.duration,
                "tags": _tags(details.tags),
                "logs": [
                    {"timestamp": at, "fields": _tags([("event", name), *more])} for at, name, more in details.events
                ],
                "processID": process,
                "warnings": ["its parent has not arrived"] if orphan else None,
            }
        )
    return {"traceID": trace.id, "spans": spans, "processes": processes, "warnings": None}


def _reference(kind: str, trace_id: str, span_id: str) -> dict[str, str]:
    return {"refType": kind, "traceID": trace_id, "spanID": span_id}


def _tags(tags: Sequence[Tag]) -> list[dict[str, Any]]:
    return [{"key": key, "type": _TYPES[type(value)], "value": value} for key, value in tags]


def window(query: QueryParams, now_ms: int) -> tuple[int, int]:
    """The times that dependencies are asked for, in microseconds. Raises BadQuery."""
    end = _number(query, "endTs", now_ms)
    return (end - _number(query, "lookback", 7 * 86_400_000)) * 1000, end * 1000
