"""Store of the newest traces: limits, eviction and counts."""

import json
import os
import tracemalloc
from collections import Counter
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from deploy.trace_viewer import otlp_receiver
from deploy.trace_viewer.span_record import parse_spans
from deploy.trace_viewer.store import MAX_SPANS_PER_TRACE, Trace, TraceStore
from tests.unit.deploy.trace_viewer.spans import NOW, ROOT_SPAN, create_batch, create_record


def get_trace(store: TraceStore, number: int = 1) -> Trace:
    trace = store.get_trace(f"{number:032x}")
    assert trace is not None
    return trace


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


def test_span_larger_than_the_store_leaves_it_empty() -> None:
    store = TraceStore(100)
    store.add_spans([create_record(1, 1)])
    assert (len(store), store.size_bytes, store.list_operations()) == (0, 0, [])


def test_duplicate_span_replaces_previous() -> None:
    store = TraceStore(10**6)
    store.add_spans([create_record(1, 1), create_record(1, 1, padding=100)])
    assert (len(store), store.size_bytes) == (1, create_record(1, 1, padding=100).size_bytes)


def test_spans_per_trace_are_bounded() -> None:
    store = TraceStore(10**9)
    store.add_spans(create_record(1, number) for number in range(MAX_SPANS_PER_TRACE + 7))
    assert (len(get_trace(store).spans), store.dropped_spans) == (MAX_SPANS_PER_TRACE, 7)


def test_duplicate_span_is_accepted_by_a_full_trace() -> None:
    store = TraceStore(10**9)
    store.add_spans(create_record(1, number) for number in range(MAX_SPANS_PER_TRACE))
    store.add_spans([create_record(1, 1, padding=100)])
    assert store.dropped_spans == 0
    assert get_trace(store).spans[f"{1:016x}"].size_bytes == create_record(1, 1, padding=100).size_bytes


def test_size_accounting_matches_memory() -> None:
    """Add twice as many spans as the store can hold, and measure the memory of the remaining ones."""
    limit = 1024 * 1024
    store = TraceStore(limit)

    template = otlp_receiver.parse_json(json.dumps(create_batch(ROOT_SPAN)).encode())
    (span,) = template.resource_spans[0].scope_spans[0].spans

    def create_bodies() -> Iterator[bytes]:
        for _ in range(20):
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
    assert len(store) < 20
    assert 0.6 * limit < after - before < 1.1 * limit


def test_newest_matching_traces_are_found_up_to_the_limit() -> None:
    store = TraceStore(10**6)
    store.add_spans(create_record(number, 1) for number in range(1, 6))
    odd = store.find_newest(lambda trace: int(trace.id, 16) % 2 == 1, 2)
    assert [int(trace.id, 16) for trace in odd] == [5, 3]
    assert store.find_newest(lambda _: True, 0) == []


def test_unknown_trace_is_none(store: TraceStore) -> None:
    assert store.get_trace("0" * 32) is None


def test_trace_lasts_from_first_start_to_last_end() -> None:
    store = TraceStore(10**6)
    store.add_spans([create_record(1, 3), create_record(1, 50), create_record(1, 7)])
    assert (get_trace(store).start_us, get_trace(store).duration_us) == (NOW + 3, 57)


def test_root_span_has_no_parent() -> None:
    store = TraceStore(10**6)
    store.add_spans([create_record(1, 1, parent=9), create_record(1, 9)])
    assert get_trace(store).root_span.span_id == f"{9:016x}"
    assert get_trace(store).find_orphans() == []


def test_trace_without_root_uses_earliest_span() -> None:
    store = TraceStore(10**6)
    store.add_spans([create_record(1, 2, parent=9), create_record(1, 3, parent=2)])
    assert get_trace(store).root_span.span_id == f"{2:016x}"
    assert [span.span_id for span in get_trace(store).find_orphans()] == [f"{2:016x}"]


def test_calls_between_services_are_counted_in_the_time_range() -> None:
    store = TraceStore(10**6)
    for trace in (1, 2):
        store.add_spans(
            [
                create_record(trace, 1, "a"),
                create_record(trace, 2, "b", parent=1),
                create_record(trace, 3, "b", parent=2),
                create_record(trace, 4, "c", parent=8),
            ]
        )
    assert store.count_service_calls(NOW + 1, NOW + 1) == {("a", "b"): 2}
    assert store.count_service_calls(NOW + 2, NOW + 9) == {}
