"""Status view: parsing of metrics, rates, problems, and layout in 80 columns."""

import io
import os
import socket
import time
from dataclasses import replace

import pytest
from rich.console import Console

from deploy.local.status.metrics_reader import MetricsSnapshot, OutboxBacklog, RequestCounts
from deploy.local.status.status_view import check_liveness, is_healthy, render_status
from deploy.local.supervisor.process import get_start_time
from deploy.local.supervisor.supervisor_state import ProcessState, SupervisorState

SERVICE_METRICS = """\
# TYPE delivery_queue_messages gauge
delivery_queue_messages{queue="orders.history"} 3.0
delivery_queue_dead_letters{queue="orders.history"} 1.0
delivery_outbox_pending_events 2.0
delivery_outbox_lag_seconds 1.5
rpc_server_call_duration_seconds_count{rpc_method="x.S/A",rpc_response_status_code="OK"} 7.0
rpc_server_call_duration_seconds_count{rpc_method="x.S/A",rpc_response_status_code="NOT_FOUND"} 2.0
rpc_server_call_duration_seconds_count{rpc_method="x.S/A",rpc_response_status_code="UNAVAILABLE"} 1.0
rpc_server_call_duration_seconds_bucket{rpc_method="x.S/A",rpc_response_status_code="OK",le="+Inf"} 7.0
"""
ENVOY_STATS = """\
http.edge.downstream_rq_5xx: 4
http.edge.downstream_rq_total: 50
http.ingress.downstream_rq_5xx: 0
http.ingress.downstream_rq_total: 5
"""
NAMES = ("postgres", "gateway", "orders", "partners", "notifications", "notifications-envoy")


def create_snapshot(at: float = 0.0, requests: int = 10, failed: int = 0) -> MetricsSnapshot:
    snapshot = MetricsSnapshot(taken_at=at)
    for name in NAMES[1:]:
        snapshot.traffic[name] = RequestCounts(requests, failed)
    snapshot.outboxes = {name: OutboxBacklog(0, 0.0) for name in NAMES[1:5]}
    snapshot.queued_messages = {"notifications.requested": 0, "orders.retry.120s": 0, "orders.history": 123456}
    snapshot.dead_letters = {"notifications.requested": 0, "orders.history": 0}
    return snapshot


def create_state(**states: str) -> SupervisorState:
    children = [ProcessState(name, states.get(name, "ready")) for name in NAMES]
    return SupervisorState(pid=1, start_time=0.0, scope="all", phase="ready", children=children)


def render(state: SupervisorState, previous: MetricsSnapshot, current: MetricsSnapshot, width: int = 80) -> str:
    console = Console(width=width, file=io.StringIO(), color_system=None)
    with console.capture() as captured:
        console.print(render_status(state, previous, current, width))
    return captured.get()


def test_service_metrics_are_parsed() -> None:
    snapshot = MetricsSnapshot()
    snapshot.add_service_metrics("orders", SERVICE_METRICS)
    assert snapshot.traffic == {"orders": RequestCounts(10, 1)}
    assert snapshot.outboxes == {"orders": OutboxBacklog(2, 1.5)}
    assert (snapshot.queued_messages, snapshot.dead_letters) == ({"orders.history": 3}, {"orders.history": 1})


def test_outbox_is_absent_without_database() -> None:
    snapshot = MetricsSnapshot()
    snapshot.add_service_metrics("orders", SERVICE_METRICS.replace("delivery_outbox_lag_seconds 1.5\n", ""))
    assert snapshot.outboxes == {}


def test_envoy_counters_are_summed_over_listeners() -> None:
    snapshot = MetricsSnapshot()
    snapshot.add_envoy_stats("gateway", ENVOY_STATS)
    assert snapshot.traffic == {"gateway-envoy": RequestCounts(55, 4)}


@pytest.mark.parametrize("width", [80, 130])
def test_output_is_not_truncated(width: int) -> None:
    output = render(create_state(), create_snapshot(), create_snapshot(2.0, 123_456, 1234), width)
    assert max(map(len, output.splitlines())) <= width
    assert "…" not in output
    for name in (*NAMES, "orders.history", "123456", "orders.retry.120s", "oldest", "1,234"):
        assert name in output


def test_rates_are_computed_between_two_snapshots() -> None:
    output = render(create_state(), create_snapshot(0.0, 10, 0), create_snapshot(2.0, 40, 3))
    line = next(line for line in output.splitlines() if line.startswith("gateway "))
    assert line.split()[-4:] == ["15.0", "10%", "40", "3"]


def test_restarted_process_has_no_rate() -> None:
    output = render(create_state(), create_snapshot(0.0, 10), create_snapshot(2.0, 4))
    line = next(line for line in output.splitlines() if line.startswith("gateway "))
    assert line.split() == ["gateway", "ready", "4"]


def test_age_of_a_process_does_not_depend_on_the_wall_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    start_time = (get_start_time(os.getpid()) or 0.0) - 3 * 86400 - 7200
    state = replace(create_state(), children=[ProcessState("postgres", "ready", os.getpid(), start_time)])
    now_s = time.time()
    monkeypatch.setattr(time, "time", lambda: now_s + 86400)
    lines = render(state, create_snapshot(), create_snapshot()).splitlines()
    assert "postgres ready 3d02h" in [" ".join(line.split()[:3]) for line in lines]


def test_failed_refund_is_a_problem() -> None:
    current = create_snapshot()
    current.add_service_metrics("orders", f"{SERVICE_METRICS}delivery_refunds_failed 2\n")
    output = " ".join(render(create_state(), current, current).split())
    assert "! 2 refunds have failed; GET /api/v1/refunds?status=failed" in output
    assert "no problems found" not in output


def test_problems_include_a_command() -> None:
    current = create_snapshot()
    current.dead_letters["orders.history"] = 2
    current.outboxes["orders"] = OutboxBacklog(9, 45.0)
    del current.outboxes["partners"]
    output = render(create_state(postgres="restarting"), create_snapshot(), current)
    assert "2 dead letters of orders.history; make dead-letters" in output
    assert "orders has not published for 45 s; make logs" in output
    assert "partners cannot read its database" in output
    assert "postgres is restarting" in output
    healthy = create_snapshot()
    healthy.queued_messages["orders.history"] = 3
    assert "no problems found" in render(create_state(), healthy, healthy)


def test_process_without_response_is_marked_unhealthy() -> None:
    current = create_snapshot()
    del current.traffic["orders"]
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        children = [replace(child, ports=[server.getsockname()[1]]) for child in create_state().children]
        checked = check_liveness(replace(create_state(), children=children), current, "127.0.0.1")
        assert {child.name for child in checked.children if child.state == "unhealthy"} == {"postgres", "orders"}
        assert not is_healthy(checked)
        server.listen()
        checked = check_liveness(replace(create_state(), children=children), create_snapshot(), "127.0.0.1")
        assert is_healthy(checked)
