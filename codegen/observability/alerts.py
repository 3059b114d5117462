"""Alert rules. Each leads to a chapter of docs/runbook.md; bounds that the contracts state are taken from there."""

from collections.abc import Iterator
from dataclasses import dataclass

from codegen.contracts import Contracts
from codegen.envoy.common import Config
from codegen.observability.promql import (
    EVENT_PROCESS_DURATION,
    EVENTS_PUBLISHED,
    HTTP_SERVER_DURATION,
    HTTP_STATUS_LABEL,
    RPC_SERVER_DURATION,
    RPC_STATUS_LABEL,
    SERVER_ERROR_CODES,
    error_ratio,
    error_ratio_above,
    method_timeouts_s,
    operation_timeouts_s,
    quantile,
)

RUNBOOK = "docs/runbook.md"
OPERATION_TIMEOUT_METRIC = "delivery:operation:timeout_seconds"
METHOD_TIMEOUT_METRIC = "delivery:method:timeout_seconds"
EDGE_SELECTOR = 'envoy_http_conn_manager_prefix="edge"'
CIRCUIT_BREAKER_METRICS = tuple(
    f"envoy_cluster_circuit_breakers_{priority}_{what}_open"
    for priority in ("default", "high")
    for what in ("rq", "rq_pending")
)
"""Requests under way, and those that wait for a connection; the same of streams, which have priority HIGH."""


@dataclass(frozen=True)
class Alert:
    """One rule. `critical` wakes somebody; the others wait for the morning."""

    name: str
    expr: str
    for_duration: str
    summary: str
    is_critical: bool = False

    def to_rule(self) -> Config:
        """As Prometheus wants it."""
        return {
            "alert": self.name,
            "expr": self.expr,
            "for": self.for_duration,
            "labels": {"severity": "critical" if self.is_critical else "warning"},
            "annotations": {"summary": self.summary, "runbook_url": f"{RUNBOOK}#{self.name.lower()}"},
        }


def process_alerts() -> Iterator[Alert]:
    """Whether everything is there."""
    yield Alert(
        "ServiceDown",
        'up{job="delivery"} == 0',
        "1m",
        "{{ $labels.service }} does not answer scrapers.",
        is_critical=True,
    )
    yield Alert(
        "SidecarDown",
        'up{job="envoy"} == 0',
        "1m",
        "The Envoy of {{ $labels.service }} does not answer.",
        is_critical=True,
    )
    yield Alert(
        "UpstreamUnhealthy",
        'envoy_cluster_membership_healthy{envoy_cluster_name=~"orders|partners|notifications"}'
        " < envoy_cluster_membership_total",
        "1m",
        "In the eyes of {{ $labels.service }}'s Envoy, {{ $labels.envoy_cluster_name }} is unhealthy.",
        is_critical=True,
    )
    yield Alert(
        "CircuitBreakerOpen",
        " or ".join(f"{breaker} > 0" for breaker in CIRCUIT_BREAKER_METRICS),
        "1m",
        "{{ $labels.service }}'s Envoy has as many requests or streams at {{ $labels.envoy_cluster_name }} as it allows.",
    )
    yield Alert(
        "CertificateExpiring",
        "envoy_server_days_until_first_cert_expiring < 14",
        "1h",
        "A certificate of {{ $labels.service }}'s Envoy ends in {{ $value }} days.",
    )
    yield Alert(
        "JwksFetchFailing",
        f"increase(envoy_http_jwt_authn_jwks_fetch_failed{{{EDGE_SELECTOR}}}[15m]) > 0"
        f" and increase(envoy_http_jwt_authn_jwks_fetch_success{{{EDGE_SELECTOR}}}[15m]) == 0",
        "5m",
        "The edge cannot fetch the keys that tokens are signed with; it goes on with those it has.",
    )


def request_alerts() -> Iterator[Alert]:
    """Whether people and services are served, and in time."""
    yield Alert(
        "EdgeHighErrorRate",
        f'sum(rate(envoy_http_downstream_rq_xx{{{EDGE_SELECTOR}, envoy_response_code_class="5"}}[5m]))'
        f" / sum(rate(envoy_http_downstream_rq_xx{{{EDGE_SELECTOR}}}[5m])) > 0.05"
        f' and sum(increase(envoy_http_downstream_rq_xx{{{EDGE_SELECTOR}, envoy_response_code_class="5"}}[5m])) > 3',
        "2m",
        "{{ $value | humanizePercentage }} of all requests at the edge end in a server's error.",
        is_critical=True,
    )
    yield Alert(
        "OperationHighErrorRate",
        error_ratio_above(HTTP_SERVER_DURATION + "_count", f'{HTTP_STATUS_LABEL}=~"5.."', "operation", 0.05),
        "5m",
        "{{ $value | humanizePercentage }} of {{ $labels.operation }} fail.",
        is_critical=True,
    )
    yield Alert(
        "OperationHighLatency",
        f"{quantile(0.99, HTTP_SERVER_DURATION, 'operation')} > on (operation) 0.5 * {OPERATION_TIMEOUT_METRIC}",
        "10m",
        "1% of {{ $labels.operation }} takes over {{ $value | humanizeDuration }}: half of what it may.",
    )
    yield Alert(
        "RpcMethodHighErrorRate",
        error_ratio_above(
            RPC_SERVER_DURATION + "_count", f'{RPC_STATUS_LABEL}=~"{SERVER_ERROR_CODES}"', "rpc_method", 0.05
        ),
        "5m",
        "{{ $value | humanizePercentage }} of {{ $labels.rpc_method }} fail.",
    )
    yield Alert(
        "RpcMethodHighLatency",
        f"{quantile(0.99, RPC_SERVER_DURATION, 'rpc_method')} > on (rpc_method) 0.5 * {METHOD_TIMEOUT_METRIC}",
        "10m",
        "1% of {{ $labels.rpc_method }} takes over {{ $value | humanizeDuration }}: half of what it may.",
    )


def event_alerts() -> Iterator[Alert]:
    """Whether what happened gets to everybody."""
    yield Alert(
        "OutboxLag",
        "delivery_outbox_lag_seconds > 30",
        "1m",
        "{{ $labels.service }} has an event that has waited for {{ $value | humanizeDuration }}.",
        is_critical=True,
    )
    yield Alert(
        "DatabaseUnavailable",
        'up{job="delivery"} == 1 unless on (service) delivery_outbox_pending_events',
        "2m",
        "{{ $labels.service }} cannot read its own database.",
        is_critical=True,
    )
    yield Alert(
        "BrokerUnavailable",
        'up{job="delivery"} == 1 unless on (service) delivery_queue_messages',
        "2m",
        "{{ $labels.service }} does not reach the broker.",
        is_critical=True,
    )
    yield Alert(
        "QueueBacklog",
        'delivery_queue_messages{queue!~"delivery[.]retry[.].*"} > 1000',
        "5m",
        "{{ $value }} messages wait in {{ $labels.queue }}.",
    )
    yield Alert(
        "ConsumerHighRetryRate",
        error_ratio_above(EVENT_PROCESS_DURATION + "_count", 'outcome!="consumed"', "queue", 0.1),
        "5m",
        "{{ $value | humanizePercentage }} of what {{ $labels.queue }} is given does not succeed at once.",
    )
    yield Alert(
        "DeadLetters",
        "delivery_queue_dead_letters > 0",
        "0m",
        "{{ $value }} messages of {{ $labels.queue }} are dead letters.",
        is_critical=True,
    )
    yield Alert(
        "SystemAlert",
        f'increase({EVENTS_PUBLISHED}{{event="system.alert"}}[15m]) > 0',
        "0m",
        "{{ $labels.service }} has found what only people can settle.",
        is_critical=True,
    )


def third_party_alerts() -> Iterator[Alert]:
    """Whether third parties do their part."""
    yield Alert(
        "ProviderCircuitBreakerOpen",
        "delivery_providers_breakers_open > 0",
        "2m",
        "{{ $labels.provider }} fails or asks to wait; notifications go elsewhere or wait.",
    )
    yield Alert(
        "ProviderHighErrorRate",
        error_ratio_above("delivery_providers_responses_total", 'outcome=~"busy|unclear"', "provider", 0.2),
        "5m",
        "{{ $value | humanizePercentage }} of what {{ $labels.provider }} is sent is not taken at once.",
    )
    yield Alert(
        "PartnerCircuitBreakerOpen",
        "delivery_partners_breakers_open > 0",
        "10m",
        "{{ $value }} partners' systems fail in a row and are left alone.",
    )
    yield Alert(
        "PartnerHighErrorRate",
        error_ratio("delivery_partners_responses_total", 'outcome="failed"', "kind") + " > 0.5",
        "10m",
        "{{ $value | humanizePercentage }} of the tries at telling partners ({{ $labels.kind }}) fail.",
    )
    yield Alert(
        "RefundHighFailureRate",
        'sum(rate(delivery_refunds_attempts_total{outcome!="refunded"}[15m]))'
        " / sum(rate(delivery_refunds_attempts_total[15m])) > 0.5",
        "10m",
        "{{ $value | humanizePercentage }} of the tries at refunds fail.",
    )
    yield Alert(
        "RefundFailed",
        f'increase({EVENTS_PUBLISHED}{{event="payments.refund_failed"}}[1h]) > 0',
        "0m",
        "Money did not go back, and nobody tries any more.",
        is_critical=True,
    )
    yield Alert(
        "ReconciliationDiscrepancyFound",
        "sum by (kind, outcome) (increase(delivery_reconciliation_discrepancies_total[1h])) > 0",
        "0m",
        "Stores disagreed about an order ({{ $labels.kind }}); it was {{ $labels.outcome }}.",
    )


ALERT_GROUPS = {
    "processes": process_alerts,
    "requests": request_alerts,
    "events": event_alerts,
    "third-parties": third_party_alerts,
}


def alert_rules(contracts: Contracts) -> Config:
    """The rules file; its first group says how long the contracts let everything take."""
    timeouts = [
        {"record": record, "expr": f"vector({seconds:g})", "labels": {label: name}}
        for record, label, found in (
            (OPERATION_TIMEOUT_METRIC, "operation", operation_timeouts_s(contracts)),
            (METHOD_TIMEOUT_METRIC, "rpc_method", method_timeouts_s(contracts)),
        )
        for name, seconds in found.items()
    ]
    groups = [{"name": name, "rules": [alert.to_rule() for alert in made()]} for name, made in ALERT_GROUPS.items()]
    return {"groups": [{"name": "timeouts", "rules": timeouts}, *groups]}
