"""Reader of traffic, outbox and queue metrics from the endpoints that Prometheus scrapes."""

import re
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

import httpx
from prometheus_client.parser import text_string_to_metric_families

from deploy.local.mesh_config import CALLEES, OPERATOR_SIDECAR, SERVICES, MeshConfig
from generated import mesh
from services.runtime.telemetry.rpc_spans import SERVER_ERROR_CODES

TIMEOUT_S = 2.0
"""Timeout of each endpoint, in seconds; metrics of endpoints that time out are missing."""

SERVER_ERROR_CODE_NAMES = frozenset(code.name for code in SERVER_ERROR_CODES)
"""Names of gRPC status codes that are server errors."""

REQUEST_COUNT_METRICS = ("http_server_request_duration_seconds_count", "rpc_server_call_duration_seconds_count")
ENVOY_STATS_PATH = (
    r"/stats?filter=^(http\.(edge|ingress|ops)\.downstream_rq_(total|5xx)|http\.edge\.jwt_authn\.jwks_fetch_\w+"
    rf"|cluster\.({'|'.join(CALLEES)})\.(membership_(healthy|total)"
    r"|circuit_breakers\.(default|high)\.(rq|rq_pending)_open)|server\.days_until_first_cert_expiring)$"
)

_ENVOY_STAT_PATTERN = re.compile(r"^([\w.]+): (\d+)$", re.MULTILINE)
_ENVOY_REQUESTS_PATTERN = re.compile(r"http\.\w+\.downstream_rq_(total|5xx)")


@dataclass(frozen=True)
class RequestCounts:
    """Number of requests and of server errors since the process started."""

    total: float = 0
    failed: float = 0


@dataclass(frozen=True)
class OutboxBacklog:
    """Number of events that are committed but not published, and the age of the oldest in seconds."""

    rows: int
    lag_s: float


class MetricSample(NamedTuple):
    """Value of a metric of a service, or of a statistic of its sidecar."""

    service: str
    name: str
    labels: Mapping[str, str]
    value: float


@dataclass
class MetricsSnapshot:
    """Metrics at one time, without those of unavailable endpoints. `taken_at` is a value of `time.monotonic()`."""

    taken_at: float = 0
    traffic: dict[str, RequestCounts] = field(default_factory=dict)
    outboxes: dict[str, OutboxBacklog] = field(default_factory=dict)
    queued_messages: dict[str, int] = field(default_factory=dict)
    dead_letters: dict[str, int] = field(default_factory=dict)
    samples: list[MetricSample] = field(default_factory=list, compare=False)

    def add_service_metrics(self, name: str, text: str) -> None:
        """Add the metrics of a service in Prometheus' text format. Raises ValueError if the text is malformed."""
        requests = failed = 0.0
        outbox: dict[str, float] = {}
        samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
        self.samples += [MetricSample(name, each.name, each.labels, each.value) for each in samples]
        for sample in samples:
            if sample.name in REQUEST_COUNT_METRICS:
                requests += sample.value
                status = sample.labels.get("http_response_status_code", "")
                if status.startswith("5") or sample.labels.get("rpc_response_status_code") in SERVER_ERROR_CODE_NAMES:
                    failed += sample.value
            elif sample.name == f"{mesh.NAME}_queue_messages":
                self.queued_messages[sample.labels["queue"]] = int(sample.value)
            elif sample.name == f"{mesh.NAME}_queue_dead_letters":
                self.dead_letters[sample.labels["queue"]] = int(sample.value)
            elif sample.name.startswith(f"{mesh.NAME}_outbox_"):
                outbox[sample.name] = sample.value
        self.traffic[name] = RequestCounts(requests, failed)
        if len(outbox) == 2:
            self.outboxes[name] = OutboxBacklog(
                int(outbox[f"{mesh.NAME}_outbox_pending_events"]), outbox[f"{mesh.NAME}_outbox_lag_seconds"]
            )

    def add_envoy_stats(self, name: str, text: str) -> None:
        """Add the statistics of a sidecar from Envoy's admin interface."""
        values = [(stat, int(value)) for stat, value in _ENVOY_STAT_PATTERN.findall(text)]
        self.samples += [MetricSample(name, stat, {}, value) for stat, value in values]
        matches = ((_ENVOY_REQUESTS_PATTERN.fullmatch(stat), value) for stat, value in values)
        stats = [(match[1], value) for match, value in matches if match]
        requests, failed = (sum(value for kind, value in stats if kind == each) for each in ("total", "5xx"))
        self.traffic[f"{name}-envoy"] = RequestCounts(requests, failed)


def read_metrics(config: MeshConfig) -> MetricsSnapshot:
    """Read the metrics of all services and sidecars concurrently."""
    snapshot = MetricsSnapshot(taken_at=time.monotonic())
    endpoints: list[tuple[str, Callable[[str, str], None], str]] = [
        (
            name,
            snapshot.add_service_metrics,
            f"{config.bind_address}:{config.get_port(f'{name.upper()}_PROBE_PORT')}/metrics",
        )
        for name in SERVICES
    ]
    envoys = (*SERVICES, OPERATOR_SIDECAR)
    endpoints += [
        (
            name,
            snapshot.add_envoy_stats,
            f"{config.admin_bind_address}:{config.get_port(f'{name.upper()}_ADMIN_PORT')}{ENVOY_STATS_PATH}",
        )
        for name in envoys
    ]
    with httpx.Client(timeout=TIMEOUT_S, trust_env=False) as client, ThreadPoolExecutor(len(endpoints)) as pool:
        texts = pool.map(lambda endpoint: _fetch_text(client, f"http://{endpoint[2]}"), endpoints)
        for (name, add_metrics, _), text in zip(endpoints, texts, strict=True):
            if text is not None:
                with suppress(ValueError):  # malformed: another program responds at this port
                    add_metrics(name, text)
    return snapshot


def _fetch_text(client: httpx.Client, url: str) -> str | None:
    try:
        response = client.get(url)
    except httpx.HTTPError:
        return None
    return response.text if response.is_success else None
