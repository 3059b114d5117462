"""Metrics of services in every form that the text format allows."""

import pytest

from deploy.local.mesh_config import MeshConfig
from deploy.local.status import metrics_reader
from deploy.local.status.metrics_reader import MetricsSnapshot, OutboxBacklog, RequestCounts

EXPOSITION = r"""
# HELP http_server_request_duration_seconds Duration of HTTP server requests.
# TYPE http_server_request_duration_seconds histogram
http_server_request_duration_seconds_bucket{http_route="/a",http_response_status_code="200",le="+Inf"} 3.0
http_server_request_duration_seconds_count{http_route="/a",http_response_status_code="200"} 3.0
http_server_request_duration_seconds_sum{http_route="/a",http_response_status_code="200"} 0.1
http_server_request_duration_seconds_bucket{http_route="/\"b\\",http_response_status_code="503",le="+Inf"} 2.0
http_server_request_duration_seconds_count{http_route="/\"b\\",http_response_status_code="503"} 2.0 1764360000000
http_server_request_duration_seconds_sum{http_route="/\"b\\",http_response_status_code="503"} 0.1
# TYPE rpc_server_call_duration_seconds histogram
rpc_server_call_duration_seconds_bucket{rpc_response_status_code="UNAVAILABLE",le="+Inf"} 1.0
rpc_server_call_duration_seconds_count{rpc_response_status_code="UNAVAILABLE"} 1.0
rpc_server_call_duration_seconds_sum{rpc_response_status_code="UNAVAILABLE"} 0.1
# TYPE job:requests:rate5m gauge
job:requests:rate5m{job="orders"} 5
# TYPE delivery_queue_messages gauge
delivery_queue_messages{queue="a \"quoted\" queue, with=\"comma\"\nand a second line"} 4
# TYPE delivery_queue_dead_letters gauge
delivery_queue_dead_letters{queue="orders.history"} 1 1764360000000
# TYPE delivery_outbox_pending_events gauge
delivery_outbox_pending_events 7
# TYPE delivery_outbox_lag_seconds gauge
delivery_outbox_lag_seconds 1.5 1764360000000
"""


def test_service_metrics_with_escapes_and_timestamps_are_read() -> None:
    snapshot = MetricsSnapshot()
    snapshot.add_service_metrics("orders", EXPOSITION)
    assert snapshot == MetricsSnapshot(
        traffic={"orders": RequestCounts(6, 3)},
        outboxes={"orders": OutboxBacklog(7, 1.5)},
        queued_messages={'a "quoted" queue, with="comma"\nand a second line': 4},
        dead_letters={"orders.history": 1},
    )


def test_malformed_service_metrics_are_reported() -> None:
    with pytest.raises(ValueError, match="invalid metric name"):
        MetricsSnapshot().add_service_metrics("orders", "<!doctype html> <p>\n")


def test_metrics_are_read_at_the_addresses_of_the_listeners(monkeypatch: pytest.MonkeyPatch) -> None:
    urls: list[str] = []
    monkeypatch.setattr(metrics_reader, "_fetch_text", lambda _, url: urls.append(url))
    metrics_reader.read_metrics(MeshConfig({"BIND": "127.0.0.2", "ADMIN_BIND": "127.0.0.3"}))
    assert "http://127.0.0.2:15022/metrics" in urls
    assert {url.split("/stats")[0] for url in urls if "/stats" in url} >= {"http://127.0.0.3:9901"}
    assert {url.split(":")[1] for url in urls} == {"//127.0.0.2", "//127.0.0.3"}
