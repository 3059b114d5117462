"""Search parameters, and conversion of traces to Jaeger's JSON format."""

from itertools import combinations

import pytest
from starlette.datastructures import QueryParams

from deploy.trace_viewer import query
from deploy.trace_viewer.query import InvalidQuery
from deploy.trace_viewer.store import Trace, TraceStore
from tests.unit.deploy.trace_viewer.spans import NOW, ROOT_SPAN, create_record


@pytest.fixture
def trace(store: TraceStore) -> Trace:
    trace = store.get_trace(str(ROOT_SPAN["traceId"]))
    assert trace is not None
    return trace


@pytest.mark.parametrize(
    ("text", "duration_us"),
    [
        ("1500ns", 1),
        ("7us", 7),
        ("7µs", 7),
        ("200ms", 200_000),
        ("1.5s", 1_500_000),
        ("2m", 120_000_000),
        ("1h", 3600 * 10**6),
    ],
)
def test_duration_is_parsed(text: str, duration_us: int) -> None:
    assert query.parse_duration_us(text) == duration_us


@pytest.mark.parametrize("text", ["", "5", "ms", "-1s", "1 s", "1.s", "1e3s", "1s1ms", "1234567890s", "1d"])
def test_invalid_duration_raises_invalid_query(text: str) -> None:
    with pytest.raises(InvalidQuery, match="invalid duration"):
        query.parse_duration_us(text)


@pytest.mark.parametrize(
    ("parameters", "limit"),
    [("", 20), ("limit=", 20), ("limit=0", 1), ("limit=7", 7), ("limit=1500", 1500), ("limit=1501", 1500)],
)
def test_limit_is_bounded(parameters: str, limit: int) -> None:
    assert query.parse_limit(QueryParams(parameters)) == limit


@pytest.mark.parametrize("value", ["x", "-1", "1.5", "1" * 19, "٣x"])
def test_limit_that_is_no_integer_raises_invalid_query(value: str) -> None:
    with pytest.raises(InvalidQuery, match="limit is not an integer"):
        query.parse_limit(QueryParams({"limit": value}))


@pytest.mark.parametrize(
    ("parameters", "start_us", "end_us"),
    [
        ("endTs=2000&lookback=500", 1_500_000, 2_000_000),
        ("lookback=1000", 9_000_000, 10_000_000),
        ("endTs=700000000", 95_200_000_000, 700_000_000_000),
    ],
)
def test_time_range_ends_now_by_default(parameters: str, start_us: int, end_us: int) -> None:
    assert query.parse_time_range(QueryParams(parameters), 10_000) == (start_us, end_us)


@pytest.mark.parametrize(("value", "text"), [(True, "true"), (False, "false"), (7, "7"), (0.5, "0.5"), ("A", "A")])
def test_tag_value_is_formatted_for_searches(value: bool | float | str, text: str) -> None:
    assert query.format_value(value) == text


@pytest.mark.parametrize(
    ("parameters", "is_match"),
    [
        ("", True),
        ("operation=POST /orders", True),
        ("service=gateway&operation=POST /orders&tag=n:7", True),
        ("tag=n:7&tag=good:true", True),
        ("tag=n:7&tag=good:false", False),
        ('tag=n:7&tags={"good":"false"}', False),
        ("minDuration=5ms&maxDuration=5ms", True),
        ("maxDuration=4.9ms", False),
        (f"end={NOW - 1}", False),
        ("q=unavail", True),
        ("q=GATEWAY", True),
        ("q=1.5", False),
    ],
)
def test_search_combines_its_conditions(trace: Trace, parameters: str, is_match: bool) -> None:
    assert query.parse_search(QueryParams(parameters))(trace) == is_match


@pytest.mark.parametrize("value", ["/orders", "true", "7", "['a', 1]", "unavailable", "server", "client"])
def test_every_part_of_a_tag_value_is_found(trace: Trace, value: str) -> None:
    """The search in encoded details must find the same texts as a search in decoded ones."""
    parts = {value[start:end] for start, end in combinations(range(len(value) + 1), 2)}
    assert [part for part in parts if not query.parse_search(QueryParams({"q": part.upper()}))(trace)] == []


@pytest.mark.parametrize("parameters", ['tags={"a": 1}', "tags=[]", "tags={", "start=x", "minDuration=5"])
def test_invalid_search_raises_invalid_query(parameters: str) -> None:
    with pytest.raises(InvalidQuery):
        query.parse_search(QueryParams(parameters))


def test_spans_of_a_process_share_its_id(trace: Trace) -> None:
    document = query.to_jaeger(trace)
    assert document["traceID"] == trace.id
    assert {
        span["processID"]: document["processes"][span["processID"]]["serviceName"] for span in document["spans"]
    } == {
        "p1": "gateway",
        "p2": "orders",
    }


def test_orphan_has_a_warning() -> None:
    orphan = Trace("1", {"2": create_record(1, 2, parent=9)})
    (span,) = query.to_jaeger(orphan)["spans"]
    assert span["warnings"] == ["parent span is missing"]
    assert query.build_summary(orphan)["orphans"] == 1


def test_trace_without_root_is_named_after_the_earliest_span() -> None:
    store = TraceStore(10**6)
    store.add_spans([create_record(1, 2, parent=9), create_record(1, 3, parent=2)])
    trace = store.get_trace(f"{1:032x}")
    assert trace is not None
    assert trace.root_span.span_id == f"{2:016x}"
    assert query.build_summary(trace)["orphans"] == 1


def test_spans_are_ordered_by_start_and_id() -> None:
    spans = {str(number): create_record(1, number) for number in (5, 1, 3)}
    assert [span["startTime"] - NOW for span in query.to_jaeger(Trace("1", spans))["spans"]] == [1, 3, 5]


def test_summary_counts_spans_errors_and_services(trace: Trace) -> None:
    summary = query.build_summary(trace)
    assert (summary["service"], summary["operation"], summary["duration"]) == ("gateway", "POST /orders", 5000)
    assert (summary["spans"], summary["errors"], summary["services"]) == (2, 1, {"gateway": 1, "orders": 1})
