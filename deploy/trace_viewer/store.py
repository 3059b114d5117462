"""The traces that are kept: the newest, as many as fit."""

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from deploy.trace_viewer.span_record import SpanRecord

MAX_SPANS_PER_TRACE = 5000
"""Spans that are kept of one trace; a loop that never ends would push all others out."""


@dataclass(slots=True)
class Trace:
    """The spans of one trace, by id: one that is sent again replaces itself."""

    id: str
    spans: dict[str, SpanRecord] = field(default_factory=dict)

    @property
    def start_us(self) -> int:
        """When its first span began, in microseconds."""
        return min(span.start_us for span in self.spans.values())

    @property
    def duration_us(self) -> int:
        """From the first begin to the last end, in microseconds."""
        return max(span.start_us + span.duration_us for span in self.spans.values()) - self.start_us

    @property
    def root_span(self) -> SpanRecord:
        """The span that nobody here called; the earliest if there are several."""
        return min(
            self.spans.values(), key=lambda span: (bool(span.parent_id), span.parent_id in self.spans, span.start_us)
        )

    def find_orphans(self) -> list[SpanRecord]:
        """Spans whose parent has not arrived."""
        return [span for span in self.spans.values() if span.parent_id and span.parent_id not in self.spans]


class TraceStore:
    """Holds at most `limit` bytes, by the spans' own account; the trace that began to arrive first goes first."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._traces: OrderedDict[str, Trace] = OrderedDict()
        self._operation_counts: Counter[tuple[str, str, str]] = Counter()
        self.size_bytes = 0
        self.dropped_spans = 0
        """Spans of traces that have more than MAX_TRACE."""

    def __len__(self) -> int:
        return len(self._traces)

    def add_spans(self, spans: Iterable[SpanRecord]) -> None:
        """Takes spans in, and lets go of the oldest traces for them."""
        for span in spans:
            trace = self._traces.get(span.trace_id)
            if trace is None:
                trace = self._traces[span.trace_id] = Trace(span.trace_id)
            before = trace.spans.get(span.span_id)
            if before is None and len(trace.spans) >= MAX_SPANS_PER_TRACE:
                self.dropped_spans += 1
                continue
            if before is not None:
                self._remove_from_totals(before)
            trace.spans[span.span_id] = span
            self.size_bytes += span.size_bytes
            self._operation_counts[span.service, span.operation, span.kind] += 1
            while self.size_bytes > self._max_bytes:
                _, oldest = self._traces.popitem(last=False)
                for each in oldest.spans.values():
                    self._remove_from_totals(each)

    def _remove_from_totals(self, span: SpanRecord) -> None:
        self.size_bytes -= span.size_bytes
        name = (span.service, span.operation, span.kind)
        self._operation_counts[name] -= 1
        if not self._operation_counts[name]:
            del self._operation_counts[name]

    def get_trace(self, trace_id: str) -> Trace | None:
        """One trace."""
        return self._traces.get(trace_id)

    def find_newest(self, matches: Callable[[Trace], bool], limit: int) -> list[Trace]:
        """The newest that fit."""
        found: list[Trace] = []
        for trace in reversed(self._traces.values()):
            if len(found) == limit:
                break
            if matches(trace):
                found.append(trace)
        return found

    def list_operations(self) -> list[tuple[str, str, str]]:
        """Service, operation and kind of what is kept, sorted."""
        return sorted(self._operation_counts)

    def count_service_calls(self, start_us: int, end_us: int) -> Counter[tuple[str, str]]:
        """Which service called which how often, in traces that began between two times in microseconds."""
        return Counter(
            pair
            for trace in self._traces.values()
            if start_us <= trace.start_us <= end_us
            for pair in _iter_service_calls(trace)
        )


def _iter_service_calls(trace: Trace) -> Iterator[tuple[str, str]]:
    for span in trace.spans.values():
        parent = trace.spans.get(span.parent_id)
        if parent is not None and parent.service != span.service:
            yield parent.service, span.service
