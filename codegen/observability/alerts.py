"""Alert rules. Each leads to a chapter of docs/runbook.md; bounds that the contracts state are taken from there."""

from collections.abc import Iterator
from dataclasses import dataclass

from codegen.contracts import Contracts
from codegen.envoy.common import Config
from codegen.observability.names import (
    CODE,
    FAULTS,
    PROCESSED,
    PUBLISHED,
    REQUESTS,
    SERVED,
    STATUS,
    failing,
    method_timeouts,
    operation_timeouts,
    quantile,
    ratio,
)

RUNBOOK = "docs/runbook.md"
OPERATION_TIMEOUT = "delivery:operation:timeout_seconds"
METHOD_TIMEOUT = "delivery:method:timeout_seconds"
EDGE = 'envoy_http_conn_manager_prefix="edge"'
BREAKERS = tuple(
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
    lasts: str
    summary: str
    critical: bool = False

    def rule(self) -> Config:
        """As Prometheus wants it."""
        return {
            "alert": self.name,
            "expr": self.expr,
            "for": self.lasts,
            "labels": {"severity": "critical" if self.critical else "warning"},
            "annotations": {"summary": self.summary, "runbook_url": f"{RUNBOOK}#{self.name.lower()}"},
        }


def processes() -> Iterator[Alert]:
    """Whether everything is there."""
    yield Alert(
        "ServiceDown", 'up{job="delivery"} == 0', "1m", "{{ $labels.service }} does not answer scrapers.", critical=True
    )
    yield Alert(
        "SidecarDown",
        'up{job="envoy"} == 0',
        "1m",
        "The Envoy of {{ $labels.service }} does not answer.",
        critical=True,
    )
    yield Alert(
        "UpstreamUnhealthy",
        'envoy_cluster_membership_healthy{envoy_cluster_name=~"orders|partners|notifications"}'
        " < envoy_cluster_membership_total",
        "1m",
        "In the eyes of {{ $labels.service }}'s Envoy, {{ $labels.envoy_cluster_name }} is unhealthy.",
        critical=True,
    )
    yield Alert(
        "CircuitBreakerOpen",
        " or ".join(f"{breaker} > 0" for breaker in BREAKERS),
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
        "TokenKeysUnfetched",
        f"increase(envoy_http_jwt_authn_jwks_fetch_failed{{{EDGE}}}[15m]) > 0"
        f" and increase(envoy_http_jwt_authn_jwks_fetch_success{{{EDGE}}}[15m]) == 0",
        "5m",
        "The edge cannot fetch the keys that tokens are signed with; it goes on with those it has.",
    )


def requests() -> Iterator[Alert]:
    """Whether people and services are served, and in time."""
    yield Alert(
        "EdgeErrors",
        f'sum(rate(envoy_http_downstream_rq_xx{{{EDGE}, envoy_response_code_class="5"}}[5m]))'
        f" / sum(rate(envoy_http_downstream_rq_xx{{{EDGE}}}[5m])) > 0.05"
        f' and sum(increase(envoy_http_downstream_rq_xx{{{EDGE}, envoy_response_code_class="5"}}[5m])) > 3',
        "2m",
        "{{ $value | humanizePercentage }} of all requests at the edge end in a server's error.",
        critical=True,
    )
    yield Alert(
        "OperationErrors",
        failing(REQUESTS + "_count", f'{STATUS}=~"5.."', "operation", 0.05),
        "5m",
        "{{ $value | humanizePercentage }} of {{ $labels.operation }} fail.",
        critical=True,
    )
    yield Alert(
        "OperationSlow",
        f"{quantile(0.99, REQUESTS, 'operation')} > on (operation) 0.5 * {OPERATION_TIMEOUT}",
        "10m",
        "1% of {{ $labels.operation }} takes over {{ $value | humanizeDuration }}: half of what it may.",
    )
    yield Alert(
        "MethodErrors",
        failing(SERVED + "_count", f'{CODE}=~"{FAULTS}"', "rpc_method", 0.05),
        "5m",
        "{{ $value | humanizePercentage }} of {{ $labels.rpc_method }} fail.",
    )
    yield Alert(
        "MethodSlow",
        f"{quantile(0.99, SERVED, 'rpc_method')} > on (rpc_method) 0.5 * {METHOD_TIMEOUT}",
        "10m",
        "1% of {{ $labels.rpc_method }} takes over {{ $value | humanizeDuration }}: half of what it may.",
    )


def events() -> Iterator[Alert]:
    """Whether what happened gets to everybody."""
    yield Alert(
        "OutboxLag",
        "delivery_outbox_lag_seconds > 30",
        "1m",
        "{{ $labels.service }} has an event that has waited for {{ $value | humanizeDuration }}.",
        critical=True,
    )
    yield Alert(
        "DatabaseAway",
        'up{job="delivery"} == 1 unless on (service) delivery_outbox_rows',
        "2m",
        "{{ $labels.service }} cannot read its own database.",
        critical=True,
    )
    yield Alert(
        "BrokerAway",
        'up{job="delivery"} == 1 unless on (service) delivery_queue_messages',
        "2m",
        "{{ $labels.service }} does not reach the broker.",
        critical=True,
    )
    yield Alert(
        "QueueBacklog",
        'delivery_queue_messages{queue!~"delivery[.]retry[.].*"} > 1000',
        "5m",
        "{{ $value }} messages wait in {{ $labels.queue }}.",
    )
    yield Alert(
        "EventsRetried",
        failing(PROCESSED + "_count", 'outcome!="consumed"', "queue", 0.1),
        "5m",
        "{{ $value | humanizePercentage }} of what {{ $labels.queue }} is given does not succeed at once.",
    )
    yield Alert(
        "DeadLetters",
        "delivery_queue_dead_letters > 0",
        "0m",
        "{{ $value }} messages of {{ $labels.queue }} are dead letters.",
        critical=True,
    )
    yield Alert(
        "SystemAlert",
        f'increase({PUBLISHED}{{event="system.alert"}}[15m]) > 0',
        "0m",
        "{{ $labels.service }} has found what only people can settle.",
        critical=True,
    )


def others() -> Iterator[Alert]:
    """Whether third parties do their part."""
    yield Alert(
        "ProviderShut",
        "delivery_providers_breakers_open > 0",
        "2m",
        "{{ $labels.provider }} fails or asks to wait; notifications go elsewhere or wait.",
    )
    yield Alert(
        "ProviderErrors",
        failing("delivery_providers_answers_total", 'outcome=~"busy|unclear"', "provider", 0.2),
        "5m",
        "{{ $value | humanizePercentage }} of what {{ $labels.provider }} is sent is not taken at once.",
    )
    yield Alert(
        "PartnersLeftAlone",
        "delivery_partners_breakers_open > 0",
        "10m",
        "{{ $value }} partners' systems fail in a row and are left alone.",
    )
    yield Alert(
        "PartnerErrors",
        ratio("delivery_partners_answers_total", 'outcome="failed"', "kind") + " > 0.5",
        "10m",
        "{{ $value | humanizePercentage }} of the tries at telling partners ({{ $labels.kind }}) fail.",
    )
    yield Alert(
        "RefundsFailing",
        'sum(rate(delivery_refunds_attempts_total{outcome!="refunded"}[15m]))'
        " / sum(rate(delivery_refunds_attempts_total[15m])) > 0.5",
        "10m",
        "{{ $value | humanizePercentage }} of the tries at refunds fail.",
    )
    yield Alert(
        "RefundFailed",
        f'increase({PUBLISHED}{{event="payments.refund_failed"}}[1h]) > 0',
        "0m",
        "Money did not go back, and nobody tries any more.",
        critical=True,
    )
    yield Alert(
        "StoresDisagree",
        "sum by (kind, outcome) (increase(delivery_reconciliation_findings_total[1h])) > 0",
        "0m",
        "Stores disagreed about an order ({{ $labels.kind }}); it was {{ $labels.outcome }}.",
    )


GROUPS = {"processes": processes, "requests": requests, "events": events, "third-parties": others}


def rules(contracts: Contracts) -> Config:
    """The rules file; its first group says how long the contracts let everything take."""
    timeouts = [
        {"record": record, "expr": f"vector({seconds:g})", "labels": {label: name}}
        for record, label, found in (
            (OPERATION_TIMEOUT, "operation", operation_timeouts(contracts)),
            (METHOD_TIMEOUT, "rpc_method", method_timeouts(contracts)),
        )
        for name, seconds in found.items()
    ]
    groups = [{"name": name, "rules": [alert.rule() for alert in made()]} for name, made in GROUPS.items()]
    return {"groups": [{"name": "timeouts", "rules": timeouts}, *groups]}
