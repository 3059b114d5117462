"""Alerts with links to the runbook; thresholds are derived from the contracts and objectives."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from codegen.contracts import Contracts
from codegen.envoy.common import Config
from codegen.mesh import PLACEHOLDER, insert_name, list_callees
from codegen.observability.objectives import get_specification
from codegen.observability.promql import (
    EDGE_SELECTOR,
    EVENT_PROCESS_DURATION,
    HTTP_SERVER_DURATION,
    HTTP_STATUS_LABEL,
    RPC_SERVER_DURATION,
    RPC_STATUS_LABEL,
    SERVER_ERROR_CODES,
    render_error_ratio_above,
    render_quantile,
)

OPERATION_TIMEOUT_METRIC = f"{PLACEHOLDER}:operation:timeout_seconds"
METHOD_TIMEOUT_METRIC = f"{PLACEHOLDER}:method:timeout_seconds"
CIRCUIT_BREAKER_METRICS = tuple(
    f"envoy_cluster_circuit_breakers_{priority}_{threshold}_open"
    for priority in ("default", "high")
    for threshold in ("rq", "rq_pending")
)
"""Active and pending requests, and the same for streams, which have the priority HIGH."""


@dataclass(frozen=True)
class Alert:
    """One alert rule. A critical alert pages the operator on call; the others can wait until working hours."""

    name: str
    expr: str
    for_duration: str
    summary: str
    is_critical: bool = False

    def to_rule(self, runbook_url: str) -> Config:
        """Return the rule in Prometheus' format. The name of the alert is the fragment of the runbook's URL."""
        return {
            "alert": self.name,
            "expr": self.expr,
            "for": self.for_duration,
            "labels": {"severity": "critical" if self.is_critical else "warning"},
            "annotations": {
                "summary": self.summary,
                "runbook_url": f"{runbook_url}#{self.name.lower()}",
            },
        }


def iter_process_alerts(contracts: Contracts) -> Iterator[Alert]:
    """Alerts on unavailable processes and dependencies of the mesh."""
    yield Alert(
        "ServiceDown",
        f'up{{job="{PLACEHOLDER}"}} == 0',
        "1m",
        "{{ $labels.service }} does not respond to scrapes.",
        is_critical=True,
    )
    yield Alert(
        "SidecarDown",
        'up{job="envoy"} == 0',
        "1m",
        "The sidecar of {{ $labels.service }} does not respond to scrapes.",
        is_critical=True,
    )
    yield Alert(
        "UpstreamUnhealthy",
        f'envoy_cluster_membership_healthy{{envoy_cluster_name=~"{"|".join(list_callees(contracts.mesh))}"}}'
        " < envoy_cluster_membership_total",
        "1m",
        "The sidecar of {{ $labels.service }} reports {{ $labels.envoy_cluster_name }} as unhealthy.",
        is_critical=True,
    )
    yield Alert(
        "CircuitBreakerOpen",
        " or ".join(f"{breaker} > 0" for breaker in CIRCUIT_BREAKER_METRICS),
        "1m",
        "The circuit breaker of {{ $labels.service }} to {{ $labels.envoy_cluster_name }} is open.",
    )
    yield Alert(
        "CertificateExpiring",
        "envoy_server_days_until_first_cert_expiring < 14",
        "1h",
        "A certificate of the sidecar of {{ $labels.service }} expires in {{ $value }} days.",
    )
    yield Alert(
        "JwksFetchFailing",
        f"increase(envoy_http_jwt_authn_jwks_fetch_failed{{{EDGE_SELECTOR}}}[15m]) > 0"
        f" and increase(envoy_http_jwt_authn_jwks_fetch_success{{{EDGE_SELECTOR}}}[15m]) == 0",
        "5m",
        "The edge cannot fetch the JWKS; it continues with the cached keys.",
    )


def iter_request_alerts(_: Contracts) -> Iterator[Alert]:
    """Alerts on error rates and latencies of operations and RPC methods."""
    yield Alert(
        "EdgeHighErrorRate",
        f'sum(rate(envoy_http_downstream_rq_xx{{{EDGE_SELECTOR}, envoy_response_code_class="5"}}[5m]))'
        f" / sum(rate(envoy_http_downstream_rq_xx{{{EDGE_SELECTOR}}}[5m])) > 0.05"
        f' and sum(increase(envoy_http_downstream_rq_xx{{{EDGE_SELECTOR}, envoy_response_code_class="5"}}[5m])) > 3',
        "2m",
        "{{ $value | humanizePercentage }} of the requests at the edge fail with a server error.",
        is_critical=True,
    )
    yield Alert(
        "OperationHighErrorRate",
        render_error_ratio_above(HTTP_SERVER_DURATION + "_count", f'{HTTP_STATUS_LABEL}=~"5.."', "operation", 0.05),
        "5m",
        "{{ $value | humanizePercentage }} of the {{ $labels.operation }} requests fail.",
        is_critical=True,
    )
    yield Alert(
        "OperationHighLatency",
        f"{render_quantile(0.99, HTTP_SERVER_DURATION, 'operation')} > on (operation) 0.5 * {OPERATION_TIMEOUT_METRIC}",
        "10m",
        "The p99 latency of {{ $labels.operation }} is {{ $value | humanizeDuration }}, over half of its timeout.",
    )
    yield Alert(
        "RpcMethodHighErrorRate",
        render_error_ratio_above(
            RPC_SERVER_DURATION + "_count", f'{RPC_STATUS_LABEL}=~"{SERVER_ERROR_CODES}"', "rpc_method", 0.05
        ),
        "5m",
        "{{ $value | humanizePercentage }} of the {{ $labels.rpc_method }} calls fail.",
    )
    yield Alert(
        "RpcMethodHighLatency",
        f"{render_quantile(0.99, RPC_SERVER_DURATION, 'rpc_method')} > on (rpc_method) 0.5 * {METHOD_TIMEOUT_METRIC}",
        "10m",
        "The p99 latency of {{ $labels.rpc_method }} is {{ $value | humanizeDuration }}, over half of its timeout.",
    )


def iter_burn_rate_alerts(contracts: Contracts) -> Iterator[Alert]:
    """Alerts on the error budgets of the edge's objectives, which a high burn rate exhausts before their end."""
    specification = get_specification(contracts)
    failures = {
        "availability": "fail with a server error",
        "latency": f"take longer than {specification.latency_threshold_s:g} s",
    }
    for objective, failure in failures.items():
        budget = specification.get_budget(objective)
        for speed, burn_rates in specification.burn_rates.items():
            yield Alert(
                f"Edge{objective.title()}{speed.title()}Burn",
                " or ".join(burn_rate.render_condition(objective, budget) for burn_rate in burn_rates),
                "2m" if speed == "fast" else "15m",
                f"{{{{ $value | humanizePercentage }}}} of the requests at the edge {failure};"
                f" the objective allows {budget:.1%}.",
                is_critical=speed == "fast",
            )


def iter_event_alerts(_: Contracts) -> Iterator[Alert]:
    """Alerts on the outbox, the database, the broker, and queues of events and jobs."""
    yield Alert(
        "OutboxLag",
        f"{PLACEHOLDER}_outbox_lag_seconds > 30",
        "1m",
        "The oldest unpublished event of {{ $labels.service }} is {{ $value | humanizeDuration }} old.",
        is_critical=True,
    )
    yield Alert(
        "UnroutableEvents",
        f"increase({PLACEHOLDER}_outbox_unroutable_events_total[15m]) > 0",
        "0m",
        "{{ $labels.event }} of {{ $labels.service }} did not reach each of its queues, because one was missing.",
        is_critical=True,
    )
    yield Alert(
        "QueueMissing",
        f"increase({PLACEHOLDER}_queues_missing_total[15m]) > 0",
        "0m",
        "The queue {{ $labels.queue }} of {{ $labels.service }} was missing; its messages are lost.",
        is_critical=True,
    )
    yield Alert(
        "DatabaseUnavailable",
        f'up{{job="{PLACEHOLDER}"}} == 1 unless on (service) {PLACEHOLDER}_outbox_pending_events',
        "2m",
        "{{ $labels.service }} cannot read its database.",
        is_critical=True,
    )
    yield Alert(
        "BrokerUnavailable",
        f'up{{job="{PLACEHOLDER}"}} == 1 unless on (service) {PLACEHOLDER}_broker_connected == 1',
        "2m",
        "{{ $labels.service }} cannot reach the broker.",
        is_critical=True,
    )
    yield Alert(
        "QueueBacklog",
        f'{PLACEHOLDER}_queue_messages{{queue!~"[a-z]+[.]retry[.].*"}} > 1000',
        "5m",
        "The queue {{ $labels.queue }} has a backlog of {{ $value }} messages.",
    )
    yield Alert(
        "ConsumerHighRetryRate",
        render_error_ratio_above(EVENT_PROCESS_DURATION + "_count", 'outcome!="consumed"', "queue", 0.1),
        "5m",
        "{{ $value | humanizePercentage }} of the deliveries of {{ $labels.queue }} fail at the first attempt.",
    )
    yield Alert(
        "DeadLetters",
        f"{PLACEHOLDER}_queue_dead_letters > 0",
        "0m",
        "The queue {{ $labels.queue }} has {{ $value }} dead letters.",
        is_critical=True,
    )
    yield Alert(
        "UndecodableJobs",
        f"increase({PLACEHOLDER}_jobs_undecodable_total[15m]) > 0",
        "0m",
        "A job of {{ $labels.service }} ({{ $labels.kind }}) cannot be decoded; it was {{ $labels.outcome }}.",
        is_critical=True,
    )


ALERT_GROUPS: Mapping[str, Callable[[Contracts], Iterator[Alert]]] = {
    "processes": iter_process_alerts,
    "requests": iter_request_alerts,
    "burn-rates": iter_burn_rate_alerts,
    "events": iter_event_alerts,
}
"""Alerts of every mesh by group."""


def build_alert_groups(contracts: Contracts) -> dict[str, list[Alert]]:
    """Return the alerts of every mesh and those of the specification, by group."""
    groups = {name: list(iter_alerts(contracts)) for name, iter_alerts in ALERT_GROUPS.items()}
    for name, alerts in get_specification(contracts).alerts.items():
        for each in alerts:
            alert = Alert(each.name, each.expr, each.for_duration, each.summary, each.is_critical)
            groups.setdefault(name, []).append(alert)
    return {
        name: [replace(alert, expr=insert_name(alert.expr, contracts.name)) for alert in alerts]
        for name, alerts in groups.items()
    }
