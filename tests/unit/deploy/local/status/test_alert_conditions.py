"""Alert conditions of `make status`: every alert has one, and each is found in metrics."""

import time

import pytest
import yaml

from deploy.local.status.alert_conditions import (
    ALERTS_FILE,
    ALERTS_OF_STATUS_VIEW,
    CONDITIONS,
    list_alert_problems,
)
from deploy.local.status.metrics_reader import MetricsSnapshot

HEALTHY = f"""
process_start_time_seconds 1
delivery_broker_connected 1
delivery_queue_messages{{queue="orders.history"}} 0
delivery_refunds_failed 0
delivery_partners_breakers_open 0
delivery_providers_breakers_open{{provider="fcm"}} 0
delivery_refunds_attempts_total{{outcome="refunded"}} 9
delivery_refunds_attempts_total{{outcome="failed"}} 4
delivery_reconciliation_discrepancies_total{{kind="PAYMENT_MISSING",outcome="reported"}} 0
delivery_reconciliation_last_success_timestamp_seconds {time.time() - 60}
messaging_client_sent_messages_total{{event="system.alert"}} 0
"""
CALL = 'rpc_server_call_duration_seconds_{}{{rpc_method="delivery.orders.v1.OrdersService/GetOrder"'
REQUEST = 'http_server_request_duration_seconds_{}{{operation="confirmOrder"'


def list_problems(service_metrics: str, envoy_stats: str = "") -> list[str]:
    snapshot = MetricsSnapshot()
    snapshot.add_service_metrics("orders", service_metrics)
    snapshot.add_envoy_stats("gateway", envoy_stats)
    return list_alert_problems(snapshot)


def test_every_alert_has_a_condition() -> None:
    groups = yaml.load(ALERTS_FILE.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)["groups"]
    alerts = {rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule}
    covered = {name for names in CONDITIONS.values() for name in names} | {*ALERTS_OF_STATUS_VIEW}
    assert covered == alerts, "add the condition of a new alert to deploy/local/status/alert_conditions.py"


def test_healthy_mesh_has_no_problem() -> None:
    stats = "cluster.orders.membership_healthy: 1\ncluster.orders.membership_total: 1\n"
    assert list_problems(HEALTHY, stats) == []


@pytest.mark.parametrize(
    ("metrics", "problem"),
    [
        ('messaging_client_sent_messages_total{event="system.alert"} 3', "orders has reported 3 alerts"),
        (
            'delivery_outbox_unroutable_events_total{event="orders.paid"} 2',
            "2 events orders.paid did not reach",
        ),
        ('delivery_queues_missing_total{queue="orders.history"} 1', "the queue orders.history was missing"),
        (
            'delivery_jobs_undecodable_total{kind="refund",outcome="failed"} 1',
            "1 jobs (refund) were not decoded and failed",
        ),
        ('delivery_queue_messages{queue="orders.history"} 1001', "the queue orders.history has a backlog of 1001"),
        (
            'messaging_process_duration_seconds_count{queue="orders.history",outcome="retried"} 4',
            "4 of 4 deliveries of orders.history have failed",
        ),
        (CALL.format("count") + ',rpc_response_status_code="INTERNAL"} 4', "OrdersService/GetOrder have failed"),
        (REQUEST.format("count") + ',http_response_status_code="503"} 4', "4 of 4 requests of confirmOrder"),
        (REQUEST.format("bucket") + ',le="60"} 0\n' + REQUEST.format("bucket") + ',le="+Inf"} 9', "took over"),
    ],
)
def test_condition_is_found_in_service_metrics(metrics: str, problem: str) -> None:
    assert any(problem in each for each in list_problems(HEALTHY + metrics + "\n"))


@pytest.mark.parametrize(
    ("stats", "problem"),
    [
        (
            "cluster.orders.membership_healthy: 0\ncluster.orders.membership_total: 1",
            "the sidecar of gateway reports orders as unhealthy",
        ),
        ("cluster.partners.circuit_breakers.high.rq_open: 1", "the circuit breaker of gateway to partners is open"),
        ("server.days_until_first_cert_expiring: 13", "a certificate of the sidecar of gateway expires in 13 days"),
        ("http.edge.jwt_authn.jwks_fetch_failed: 1", "the edge cannot fetch the JWKS"),
        ("http.edge.downstream_rq_total: 900\nhttp.edge.downstream_rq_5xx: 4", "4 of 900 requests at the edge"),
    ],
)
def test_condition_is_found_in_statistics_of_sidecar(stats: str, problem: str) -> None:
    assert any(each.startswith(problem) for each in list_problems(HEALTHY, stats + "\n"))


def test_missing_broker_and_stalled_reconciliation_are_found() -> None:
    problems = list_problems(
        "process_start_time_seconds 1\ndelivery_broker_connected 0\n"
        "delivery_reconciliation_last_success_timestamp_seconds 1000\n"
    )
    assert problems[0].startswith("orders cannot reach the broker")
    assert problems[1].startswith("no reconciliation has succeeded for ")
