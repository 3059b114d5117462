"""In-memory store of the newest traces, bounded by size."""

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from deploy.trace_viewer.span_record import SpanRecord

MAX_SPANS_PER_TRACE = 5000
"""Maximum number of spans of a trace, so that one endless trace does not evict all others."""


@dataclass(slots=True)
class Trace:
    """Spans of a trace by id; a span that is received twice replaces itself."""

    id: str
    spans: dict[str, SpanRecord] = field(default_factory=dict)

    @property
    def start_us(self) -> int:
        """Return the start time of the first span, in microseconds."""
        return min(span.start_us for span in self.spans.values())

    @property
    def duration_us(self) -> int:
        """Return the time between the first start and the last end, in microseconds."""
        return max(span.start_us + span.duration_us for span in self.spans.values()) - self.start_us

    @property
    def root_span(self) -> SpanRecord:
        """Return the earliest span without a parent, or else the earliest span whose parent is missing."""
        return min(
            self.spans.values(), key=lambda span: (bool(span.parent_id), span.parent_id in self.spans, span.start_us)
        )

    def find_orphans(self) -> list[SpanRecord]:
        """Return the spans whose parent is missing."""
        return [span for span in self.spans.values() if span.parent_id and span.parent_id not in self.spans]


class TraceStore:
    """Store of at most `max_bytes`, measured by `SpanRecord.size_bytes`; the trace received first is evicted first."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._traces: OrderedDict[str, Trace] = OrderedDict()
        self._operation_counts: Counter[tuple[str, str, str]] = Counter()
        self.size_bytes = 0
        self.dropped_spans = 0
        """Number of spans dropped because their trace has MAX_SPANS_PER_TRACE spans."""

    def __len__(self) -> int:
        return len(self._traces)

    def add_spans(self, spans: Iterable[SpanRecord]) -> None:
        """Add spans, and evict the oldest traces if the store is full."""
        for span in spans:
            trace = self._traces.get(span.trace_id)
            if trace is None:
                trace = self._traces[span.trace_id] = Trace(span.trace_id)
            previous = trace.spans.get(span.span_id)
            if previous is None and len(trace.spans) >= MAX_SPANS_PER_TRACE:
                self.dropped_spans += 1
                continue
            if previous is not None:
                self._remove_from_totals(previous)
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
        """Return a trace, or None."""
        return self._traces.get(trace_id)

    def find_newest(self, matches: Callable[[Trace], bool], limit: int) -> list[Trace]:
        """Return at most `limit` matching traces, the newest first."""
        traces: list[Trace] = []
        for trace in reversed(self._traces.values()):
            if len(traces) == limit:
                break
            if matches(trace):
                traces.append(trace)
        return traces

    def list_operations(self) -> list[tuple[str, str, str]]:
        """Return service, operation and kind of the stored spans, sorted and without duplicates."""
        return sorted(self._operation_counts)

    def count_service_calls(self, start_us: int, end_us: int) -> Counter[tuple[str, str]]:
        """Count the calls per pair of calling and called service, in traces that started in a time range."""
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
