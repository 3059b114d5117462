"""The operator's page: what it reads of scrapes, what it says of them, and that it fits 80 columns."""

import io
import socket
import time
from dataclasses import replace

import pytest
from rich.console import Console

from deploy.local.status.metrics_reader import MetricsSnapshot, OutboxBacklog, RequestCounts
from deploy.local.status.status_view import check_liveness, is_healthy, render_status
from deploy.local.supervisor.supervisor_state import ProcessState, SupervisorState

APP = """\
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
EDGE = """\
http.edge.downstream_rq_5xx: 4
http.edge.downstream_rq_total: 50
http.ingress.downstream_rq_5xx: 0
http.ingress.downstream_rq_total: 5
"""
NAMES = ("postgres", "gateway", "orders", "partners", "notifications", "notifications-envoy")


def readings(at: float = 0.0, requests: int = 10, failed: int = 0) -> MetricsSnapshot:
    made = MetricsSnapshot(taken_at=at)
    for name in NAMES[1:]:
        made.traffic[name] = RequestCounts(requests, failed)
    made.outboxes = {name: OutboxBacklog(0, 0.0) for name in NAMES[1:5]}
    made.queued_messages = {"notifications.requested": 0, "delivery.retry.120s": 0, "orders.history": 123456}
    made.dead_letters = {"notifications.requested": 0, "orders.history": 0}
    return made


def report(**states: str) -> SupervisorState:
    children = [ProcessState(name, states.get(name, "ready"), 0, time.time() - 4000) for name in NAMES]
    return SupervisorState(pid=1, start_time=0.0, scope="all", phase="ready", children=children)


def text(shown: SupervisorState, before: MetricsSnapshot, now: MetricsSnapshot, width: int = 80) -> str:
    console = Console(width=width, file=io.StringIO(), color_system=None)
    with console.capture() as captured:
        console.print(render_status(shown, before, now, width))
    return captured.get()


def test_a_services_scrape_is_read() -> None:
    made = MetricsSnapshot()
    made.add_service_metrics("orders", APP)
    assert made.traffic == {"orders": RequestCounts(10, 1)}
    assert made.outboxes == {"orders": OutboxBacklog(2, 1.5)}
    assert (made.queued_messages, made.dead_letters) == ({"orders.history": 3}, {"orders.history": 1})


def test_a_service_without_its_database_has_no_outbox_to_tell_of() -> None:
    made = MetricsSnapshot()
    made.add_service_metrics("orders", APP.replace("delivery_outbox_lag_seconds 1.5\n", ""))
    assert made.outboxes == {}


def test_a_sidecars_numbers_are_read_over_all_its_doors() -> None:
    made = MetricsSnapshot()
    made.add_envoy_stats("gateway", EDGE)
    assert made.traffic == {"gateway-envoy": RequestCounts(55, 4)}


@pytest.mark.parametrize("width", [80, 130])
def test_nothing_is_cut_off(width: int) -> None:
    shown = text(report(), readings(), readings(2.0, 123_456, 1234), width)
    assert max(map(len, shown.splitlines())) <= width
    assert "…" not in shown
    for name in (*NAMES, "orders.history", "123456", "delivery.retry.120s", "oldest", "1,234"):
        assert name in shown


def test_rates_are_those_between_two_readings() -> None:
    shown = text(report(), readings(0.0, 10, 0), readings(2.0, 40, 3))
    line = next(line for line in shown.splitlines() if line.startswith("gateway "))
    assert line.split()[-4:] == ["15.0", "10%", "40", "3"]


def test_a_process_that_was_started_again_has_no_rate_yet() -> None:
    shown = text(report(), readings(0.0, 10), readings(2.0, 4))
    line = next(line for line in shown.splitlines() if line.startswith("gateway "))
    assert line.split() == ["gateway", "ready", "4"]


def test_what_is_wrong_is_said_with_what_helps() -> None:
    now = readings()
    now.dead_letters["orders.history"] = 2
    now.outboxes["orders"] = OutboxBacklog(9, 45.0)
    del now.outboxes["partners"]
    shown = text(report(postgres="restarting"), readings(), now)
    assert "2 dead letters of orders.history; make dead-letters" in shown
    assert "orders has not published for 45 s; make logs" in shown
    assert "partners cannot read its database" in shown
    assert "postgres is restarting" in shown
    assert "nothing is wrong" in text(report(), readings(), readings())


def test_what_answers_no_more_is_silent() -> None:
    now = readings()
    del now.traffic["orders"]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        children = [replace(child, ports=[taken.getsockname()[1]]) for child in report().children]
        seen = check_liveness(replace(report(), children=children), now, "127.0.0.1")
        assert {child.name for child in seen.children if child.state == "silent"} == {"postgres", "orders"}
        assert not is_healthy(seen)
        taken.listen()
        seen = check_liveness(replace(report(), children=children), readings(), "127.0.0.1")
        assert is_healthy(seen)
