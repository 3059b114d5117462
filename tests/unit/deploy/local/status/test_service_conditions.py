"""Conditions of the alerts on metrics of single services."""

import pytest

from deploy.local.status.metrics_reader import MetricsSnapshot
from deploy.local.status.service_conditions import SERVICE_CONDITIONS

REFUNDS = """
delivery_refunds_attempts_total{outcome="refunded"} 9
delivery_refunds_attempts_total{outcome="failed"} 4
"""


def list_problems(metrics: str) -> list[str]:
    snapshot = MetricsSnapshot()
    snapshot.add_service_metrics("sample", metrics)
    return [problem for condition in SERVICE_CONDITIONS for problem in condition(snapshot)]


@pytest.mark.parametrize(
    ("metrics", "problem"),
    [
        ("delivery_refunds_failed 2", "2 refunds have failed; GET /api/v1/refunds?status=failed"),
        ('delivery_refunds_attempts_total{outcome="rejected"} 9', "13 of 22 refund attempts have failed"),
        ("delivery_partners_breakers_open 1", "the circuit breakers of 1 partners are open"),
        ('delivery_partners_responses_total{kind="order",outcome="failed"} 9', "9 of 9 calls to partners (order)"),
        ('delivery_providers_breakers_open{provider="apns"} 1', "the circuit breaker of apns is open"),
        ('delivery_providers_responses_total{provider="fcm",outcome="busy"} 4', "4 of 4 requests to fcm failed"),
        (
            'delivery_reconciliation_discrepancies_total{kind="ORDER_MISSING",outcome="reported"} 1',
            "1 discrepancies ORDER_MISSING were reported; make reconcile",
        ),
    ],
)
def test_condition_is_found_in_metrics_of_service(metrics: str, problem: str) -> None:
    (found,) = list_problems(f"{REFUNDS}{metrics}\n")
    assert found.startswith(problem)


@pytest.mark.parametrize(
    "metrics",
    [
        REFUNDS,
        'delivery_partners_responses_total{kind="order",outcome="failed"} 3',
        'delivery_providers_responses_total{provider="fcm",outcome="accepted"} 9',
        "delivery_partners_breakers_open 0",
    ],
)
def test_few_failures_are_no_problem(metrics: str) -> None:
    assert list_problems(f"{metrics}\n") == []
