"""Conditions of the alert rules, evaluated without Prometheus: on current values, and on counters since the start.

Each condition names the alerts that it stands for; a contract test requires that every alert has one. Ratios require a
minimum number of failures, so that a single error at low traffic is no problem.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache

import yaml

from deploy.local.mesh_config import ROOT
from deploy.local.status.error_counts import ErrorCount, add_values, count_errors
from deploy.local.status.metrics_reader import SERVER_ERROR_CODE_NAMES, MetricsSnapshot
from deploy.local.status.service_conditions import SERVICE_CONDITIONS, Condition
from generated import mesh
from services.runtime.messaging.topology import RETRY_QUEUES

ALERTS_FILE = ROOT / "generated/observability/alerts.yml"

MAX_ERROR_RATIO = 0.05
MAX_EDGE_ERROR_RATIO = 0.001
MAX_SLOW_RATIO = 0.01
SLOW_REQUEST_S = 0.5
MAX_CONSUMER_RETRY_RATIO = 0.1
MAX_QUEUED_MESSAGES = 1000
MIN_CERTIFICATE_DAYS = 14

HTTP_DURATION, RPC_DURATION = "http_server_request_duration_seconds", "rpc_server_call_duration_seconds"
EVENT_STREAM_OPERATIONS = frozenset({"watchOrder"})


def find_unhealthy_upstreams(snapshot: MetricsSnapshot) -> Iterator[str]:
    """Find upstream services that a sidecar reports as unhealthy, and open circuit breakers of sidecars."""
    totals = {(each.service, each.name): each.value for each in snapshot.samples}
    for (service, name), value in totals.items():
        cluster = name.split(".")[1] if name.startswith("cluster.") else ""
        if name.endswith(".membership_healthy") and value < totals.get((service, name[:-7] + "total"), 0):
            yield f"the sidecar of {service} reports {cluster} as unhealthy; make logs NAMES={cluster}"
        elif ".circuit_breakers." in name and value:
            yield f"the circuit breaker of {service} to {cluster} is open; make logs NAMES={cluster}"


def find_expiring_certificates(snapshot: MetricsSnapshot) -> Iterator[str]:
    """Find sidecars whose first certificate expires soon."""
    for sample in snapshot.samples:
        if sample.name == "server.days_until_first_cert_expiring" and sample.value < MIN_CERTIFICATE_DAYS:
            yield f"a certificate of the sidecar of {sample.service} expires in {sample.value:g} days"


def find_failing_jwks_fetches(snapshot: MetricsSnapshot) -> Iterator[str]:
    """Find an edge that has never fetched the JWKS."""
    values = {each.name.rpartition("_")[2]: each.value for each in snapshot.samples if ".jwks_fetch_" in each.name}
    if values.get("failed") and not values.get("success"):
        yield "the edge cannot fetch the JWKS; make logs NAMES='gateway-envoy sandbox'"


def find_edge_errors(snapshot: MetricsSnapshot) -> Iterator[str]:
    """Find an error ratio of the edge above its objective."""
    counts = snapshot.traffic.get("gateway-envoy")
    if counts is not None and ErrorCount(counts.failed, counts.total).exceeds(MAX_EDGE_ERROR_RATIO):
        yield f"{counts.failed:g} of {counts.total:g} requests at the edge have failed; make logs NAMES=gateway"


def find_request_errors(snapshot: MetricsSnapshot) -> Iterator[str]:
    """Find operations and RPC methods with a high error ratio."""
    operations = count_errors(
        snapshot.samples,
        f"{HTTP_DURATION}_count",
        "operation",
        lambda labels: labels.get("http_response_status_code", "").startswith("5"),
    )
    methods = count_errors(
        snapshot.samples,
        f"{RPC_DURATION}_count",
        "rpc_method",
        lambda labels: labels.get("rpc_response_status_code", "") in SERVER_ERROR_CODE_NAMES,
    )
    for name, count in (operations | methods).items():
        if count.exceeds(MAX_ERROR_RATIO):
            yield f"{count.failed:g} of {count.total:g} requests of {name} have failed; make logs"


def find_slow_requests(snapshot: MetricsSnapshot) -> Iterator[str]:
    """Find operations and RPC methods that often take longer than half of their timeout, and a slow edge."""
    for metric, label, timeouts_s in (
        (HTTP_DURATION, "operation", load_timeouts_s("operation")),
        (RPC_DURATION, "rpc_method", load_timeouts_s("rpc_method")),
    ):
        for name, timeout_s in timeouts_s.items():
            count = _count_slow(snapshot, metric, {label: name}, timeout_s / 2)
            if count.exceeds(MAX_SLOW_RATIO):
                yield f"{count.failed:g} of {count.total:g} requests of {name} took over {timeout_s / 2:g} s; make logs"
    counts = [
        _count_slow(snapshot, HTTP_DURATION, {"operation": name}, SLOW_REQUEST_S)
        for name in load_timeouts_s("operation")
        if name not in EVENT_STREAM_OPERATIONS
    ]
    edge = ErrorCount(sum(each.failed for each in counts), sum(each.total for each in counts))
    if edge.exceeds(MAX_SLOW_RATIO):
        yield f"{edge.failed:g} of {edge.total:g} requests at the edge took over {SLOW_REQUEST_S:g} s; make logs"


def _count_slow(snapshot: MetricsSnapshot, metric: str, labels: Mapping[str, str], limit_s: float) -> ErrorCount:
    """Count the requests above the lowest bucket bound that is not below the limit."""
    buckets: defaultdict[float, float] = defaultdict(float)
    for sample in snapshot.samples:
        if sample.name == f"{metric}_bucket" and labels.items() <= sample.labels.items():
            buckets[float(sample.labels["le"])] += sample.value
    total = buckets.get(float("inf"), 0.0)
    bound = min((bound for bound in buckets if bound >= limit_s), default=float("inf"))
    return ErrorCount(total - buckets.get(bound, 0.0), total)


@cache
def load_timeouts_s(label: str) -> Mapping[str, float]:
    """Return the timeouts of operations or RPC methods from the generated rules, in seconds."""
    groups = yaml.load(ALERTS_FILE.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)["groups"]
    rules = next(group["rules"] for group in groups if group["name"] == "timeouts")
    return {
        rule["labels"][label]: float(rule["expr"].removeprefix("vector(").removesuffix(")"))
        for rule in rules
        if label in rule["labels"]
    }


def find_unavailable_brokers(snapshot: MetricsSnapshot) -> Iterator[str]:
    """Find services that respond and have no channel to the broker."""
    connected = {
        each.service for each in snapshot.samples if each.name == f"{mesh.NAME}_broker_connected" and each.value == 1
    }
    measured = {each.service for each in snapshot.samples if each.name == "process_start_time_seconds"}
    for service in sorted(measured - connected):
        yield f"{service} cannot reach the broker; make logs NAMES='{service} rabbitmq'"


def find_queue_problems(snapshot: MetricsSnapshot) -> Iterator[str]:
    """Find long queues, and queues whose deliveries often fail at the first attempt."""
    for queue, number in snapshot.queued_messages.items():
        if number > MAX_QUEUED_MESSAGES and queue not in RETRY_QUEUES:
            yield f"the queue {queue} has a backlog of {number} messages; make logs NAMES={queue.partition('.')[0]}"
    counts = count_errors(
        snapshot.samples,
        "messaging_process_duration_seconds_count",
        "queue",
        lambda labels: labels.get("outcome") != "consumed",
    )
    for queue, count in counts.items():
        if count.exceeds(MAX_CONSUMER_RETRY_RATIO):
            yield f"{count.failed:g} of {count.total:g} deliveries of {queue} have failed; make dead-letters"


def find_missing_queues(snapshot: MetricsSnapshot) -> Iterator[str]:
    """Find queues that were missing, and events that did not reach each of their queues."""
    for (queue,) in add_values(snapshot, f"{mesh.NAME}_queues_missing_total", "queue"):
        yield f"the queue {queue} was missing; make logs NAMES=rabbitmq, then make reconcile"
    for (event,), number in add_values(snapshot, f"{mesh.NAME}_outbox_unroutable_events_total", "event").items():
        yield f"{number:g} events {event} did not reach each of their queues; make logs NAMES=rabbitmq"


def find_undecodable_jobs(snapshot: MetricsSnapshot) -> Iterator[str]:
    """Find jobs that cannot be decoded."""
    jobs = add_values(snapshot, f"{mesh.NAME}_jobs_undecodable_total", "kind", "outcome")
    for (kind, outcome), number in jobs.items():
        yield f"{number:g} jobs ({kind}) were not decoded and {outcome}; make logs"


def find_system_alerts(snapshot: MetricsSnapshot) -> Iterator[str]:
    """Find conditions that services have reported to the operators."""
    for sample in snapshot.samples:
        is_alert = sample.labels.get("event") == "system.alert" and sample.value > 0
        if is_alert and sample.name == "messaging_client_sent_messages_total":
            yield f"{sample.service} has reported {sample.value:g} alerts; read the mails to OPERATORS_EMAIL"


CONDITIONS: Mapping[Condition, tuple[str, ...]] = {
    find_unhealthy_upstreams: ("UpstreamUnhealthy", "CircuitBreakerOpen"),
    find_expiring_certificates: ("CertificateExpiring",),
    find_failing_jwks_fetches: ("JwksFetchFailing",),
    find_edge_errors: ("EdgeHighErrorRate", "EdgeAvailabilityFastBurn", "EdgeAvailabilitySlowBurn"),
    find_request_errors: ("OperationHighErrorRate", "RpcMethodHighErrorRate"),
    find_slow_requests: (
        "OperationHighLatency",
        "RpcMethodHighLatency",
        "EdgeLatencyFastBurn",
        "EdgeLatencySlowBurn",
    ),
    find_unavailable_brokers: ("BrokerUnavailable",),
    find_queue_problems: ("QueueBacklog", "ConsumerHighRetryRate"),
    find_missing_queues: ("QueueMissing", "UnroutableEvents"),
    find_undecodable_jobs: ("UndecodableJobs",),
    find_system_alerts: ("SystemAlert",),
    **SERVICE_CONDITIONS,
}
"""Conditions and the alerts that they stand for."""

ALERTS_OF_STATUS_VIEW = ("ServiceDown", "SidecarDown", "OutboxLag", "DatabaseUnavailable", "DeadLetters")
"""Alerts whose conditions the status view checks with the states of processes, outboxes and queues."""


def list_alert_problems(snapshot: MetricsSnapshot) -> list[str]:
    """Return one sentence for each alert condition, with the command or request that helps."""
    return [problem for condition in CONDITIONS for problem in condition(snapshot)]
