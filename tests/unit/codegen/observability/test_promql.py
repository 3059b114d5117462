"""PromQL expressions, and names and timeouts that they take from the contracts."""

import pytest

from codegen.envoy.edge import DEFAULT_TIMEOUT
from codegen.observability import promql
from tests.unit.codegen.sample_contracts import (
    create_contracts,
    create_event,
    create_method,
    create_openapi,
    create_service,
    create_stream,
)

GET, WATCH = create_method("GetNote"), create_stream("WatchNotes")
CONTRACTS = create_contracts(
    create_service("notes", GET, WATCH),
    create_service("archive", create_method("StoreNote", "archive", timeout_s=30.0)),
    events=(
        create_event("Added", queues=("mail.requested", "archive.history")),
        create_event("Deleted", queues=("archive.history",), priority_queue="archive.urgent"),
    ),
)


def test_methods_of_all_services_are_listed_in_order() -> None:
    assert [method.name for method in promql.iter_rpc_methods(CONTRACTS)] == ["GetNote", "WatchNotes", "StoreNote"]


def test_operations_have_their_timeout_or_the_default() -> None:
    default_s = float(DEFAULT_TIMEOUT.removesuffix("s"))
    timeouts_s = promql.get_operation_timeouts_s(CONTRACTS)
    assert timeouts_s["updateNote"] == 3.0
    assert timeouts_s["getNote"] == timeouts_s["receiveCallback"] == default_s


def test_event_streams_have_no_timeout() -> None:
    assert "watchNote" not in promql.get_operation_timeouts_s(CONTRACTS)


@pytest.mark.parametrize(("text", "seconds"), [("0.5s", 0.5), ("60s", 60.0), (10, 10.0)])
def test_timeout_is_parsed_as_seconds(text: object, seconds: float) -> None:
    openapi = create_openapi()
    openapi["paths"]["/callbacks"]["post"]["x-timeout"] = text
    assert promql.get_operation_timeouts_s(create_contracts(openapi=openapi))["receiveCallback"] == seconds


def test_methods_have_their_timeout_and_streams_none() -> None:
    assert promql.get_method_timeouts_s(CONTRACTS) == {
        "delivery.notes.v1.NotesService/GetNote": 2.5,
        "delivery.archive.v1.ArchiveService/StoreNote": 30.0,
    }


def test_stream_with_a_timeout_is_omitted() -> None:
    service = create_service("notes", create_stream("WatchNotes", timeout_s=60.0))
    assert promql.get_method_timeouts_s(create_contracts(service)) == {}


def test_queues_are_sorted_and_unique_without_priority_queues() -> None:
    assert promql.list_consumed_queues(CONTRACTS) == ["archive.history", "mail.requested"]


def test_error_ratio_divides_errors_by_all_requests() -> None:
    assert promql.render_error_ratio("requests_total", 'outcome="failed"', "kind", "1m") == (
        'sum by (kind) (rate(requests_total{outcome="failed"}[1m])) / sum by (kind) (rate(requests_total[1m]))'
    )


@pytest.mark.parametrize(("threshold", "text"), [(0.05, "0.05"), (1.0, "1"), (1 / 3, "0.333333")])
def test_error_ratio_alert_requires_several_errors(threshold: float, text: str) -> None:
    condition = promql.render_error_ratio_above("requests_total", 'outcome="failed"', "kind", threshold)
    ratio = promql.render_error_ratio("requests_total", 'outcome="failed"', "kind")
    assert condition == (f'{ratio} > {text} and sum by (kind) (increase(requests_total{{outcome="failed"}}[5m])) > 3')


def test_quantile_is_computed_from_the_buckets() -> None:
    assert promql.render_quantile(0.99, "duration_seconds", "operation", "2m") == (
        "histogram_quantile(0.99, sum by (operation, le) (rate(duration_seconds_bucket[2m])))"
    )
