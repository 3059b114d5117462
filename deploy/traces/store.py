"""The traces that are kept: the newest, as many as fit."""

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from deploy.traces.record import Record

MAX_TRACE = 5000
"""Spans that are kept of one trace; a loop that never ends would push all others out."""


@dataclass(slots=True)
class Trace:
    """The spans of one trace, by id: one that is sent again replaces itself."""

    id: str
    spans: dict[str, Record] = field(default_factory=dict)

    @property
    def start(self) -> int:
        """When its first span began, in microseconds."""
        return min(span.start for span in self.spans.values())

    @property
    def duration(self) -> int:
        """From the first begin to the last end, in microseconds."""
        return max(span.start + span.duration for span in self.spans.values()) - self.start

    @property
    def root(self) -> Record:
        """The span that nobody here called; the earliest if there are several."""
        return min(
            self.spans.values(), key=lambda span: (bool(span.parent_id), span.parent_id in self.spans, span.start)
        )

    def orphans(self) -> list[Record]:
        """Spans whose parent has not arrived."""
        return [span for span in self.spans.values() if span.parent_id and span.parent_id not in self.spans]


class Store:
    """Holds at most `limit` bytes, by the spans' own account; the trace that began to arrive first goes first."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._traces: OrderedDict[str, Trace] = OrderedDict()
        self._names: Counter[tuple[str, str, str]] = Counter()
        self.size = 0
        self.dropped = 0
        """Spans of traces that have more than MAX_TRACE."""

    def __len__(self) -> int:
        return len(self._traces)

    def add(self, spans: Iterable[Record]) -> None:
        """Takes spans in, and lets go of the oldest traces for them."""
        for span in spans:
            trace = self._traces.get(span.trace_id)
            if trace is None:
                trace = self._traces[span.trace_id] = Trace(span.trace_id)
            before = trace.spans.get(span.span_id)
            if before is None and len(trace.spans) >= MAX_TRACE:
                self.dropped += 1
                continue
            if before is not None:
                self._forget(before)
            trace.spans[span.span_id] = span
            self.size += span.size
            self._names[span.service, span.operation, span.kind] += 1
            while self.size > self._limit:
                _, oldest = self._traces.popitem(last=False)
                for each in oldest.spans.values():
                    self._forget(each)

    def _forget(self, span: Record) -> None:
        self.size -= span.size
        name = (span.service, span.operation, span.kind)
        self._names[name] -= 1
        if not self._names[name]:
            del self._names[name]

    def trace(self, trace_id: str) -> Trace | None:
        """One trace."""
        return self._traces.get(trace_id)

    def newest(self, fits: Callable[[Trace], bool], many: int) -> list[Trace]:
        """The newest that fit."""
        found: list[Trace] = []
        for trace in reversed(self._traces.values()):
            if len(found) == many:
                break
            if fits(trace):
                found.append(trace)
        return found

    def operations(self) -> list[tuple[str, str, str]]:
        """Service, operation and kind of what is kept, sorted."""
        return sorted(self._names)

    def calls(self, start: int, end: int) -> Counter[tuple[str, str]]:
        """Which service called which how often, in traces that began between two times in microseconds."""
        return Counter(pair for trace in self._traces.values() if start <= trace.start <= end for pair in _pairs(trace))


def _pairs(trace: Trace) -> Iterator[tuple[str, str]]:
    for span in trace.spans.values():
        parent = trace.spans.get(span.parent_id)
        if parent is not None and parent.service != span.service:
            yield parent.service, span.service
