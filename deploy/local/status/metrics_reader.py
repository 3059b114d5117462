"""What the mesh tells of itself at one moment: traffic, outboxes, queues; from the doors that scrapers use."""

import re
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import httpx

from deploy.local.infrastructure.servers import SERVICES
from deploy.local.mesh_config import MeshConfig
from services.runtime.telemetry.rpc_spans import SERVER_ERROR_CODES

TIMEOUT_S = 2.0
"""How long a door may take; what does not answer in time tells nothing."""

SERVER_ERROR_CODE_NAMES = frozenset(code.name for code in SERVER_ERROR_CODES)
"""The codes of RPCs that failed by the server's fault."""

REQUEST_COUNT_METRICS = ("http_server_request_duration_seconds_count", "rpc_server_call_duration_seconds_count")
ENVOY_STATS_PATH = r"/stats?filter=^http\.(edge|ingress|ops)\.downstream_rq_(total|5xx)$"

_SAMPLE_PATTERN = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)
_LABEL_PATTERN = re.compile(r'(\w+)="([^"]*)"')
_ENVOY_STAT_PATTERN = re.compile(r"^http\.\w+\.downstream_rq_(total|5xx): (\d+)$", re.MULTILINE)


@dataclass(frozen=True)
class RequestCounts:
    """Requests since the process started, and those that failed by its own fault."""

    total: float = 0
    failed: float = 0


@dataclass(frozen=True)
class OutboxBacklog:
    """Events that are committed and not published, and how long the oldest has waited, in seconds."""

    rows: int
    lag_s: float


@dataclass
class MetricsSnapshot:
    """One moment; what could not be read is missing. `at` is on the clock of `time.monotonic()`."""

    taken_at: float = 0
    traffic: dict[str, RequestCounts] = field(default_factory=dict)
    outboxes: dict[str, OutboxBacklog] = field(default_factory=dict)
    queued_messages: dict[str, int] = field(default_factory=dict)
    dead_letters: dict[str, int] = field(default_factory=dict)

    def add_service_metrics(self, name: str, text: str) -> None:
        """Takes what a service tells."""
        requests = failed = 0.0
        outbox: dict[str, float] = {}
        for metric, labels, value in parse_samples(text):
            if metric in REQUEST_COUNT_METRICS:
                requests += value
                status = labels.get("http_response_status_code", "")
                if status.startswith("5") or labels.get("rpc_response_status_code") in SERVER_ERROR_CODE_NAMES:
                    failed += value
            elif metric == "delivery_queue_messages":
                self.queued_messages[labels["queue"]] = int(value)
            elif metric == "delivery_queue_dead_letters":
                self.dead_letters[labels["queue"]] = int(value)
            elif metric.startswith("delivery_outbox_"):
                outbox[metric] = value
        self.traffic[name] = RequestCounts(requests, failed)
        if len(outbox) == 2:
            self.outboxes[name] = OutboxBacklog(
                int(outbox["delivery_outbox_pending_events"]), outbox["delivery_outbox_lag_seconds"]
            )

    def add_envoy_stats(self, name: str, text: str) -> None:
        """Takes what a sidecar tells."""
        found = [(kind, int(value)) for kind, value in _ENVOY_STAT_PATTERN.findall(text)]
        requests, failed = (sum(value for kind, value in found if kind == each) for each in ("total", "5xx"))
        self.traffic[f"{name}-envoy"] = RequestCounts(requests, failed)


def parse_samples(text: str) -> Iterator[tuple[str, Mapping[str, str], float]]:
    """The samples of an exposition."""
    for name, labels, value in _SAMPLE_PATTERN.findall(text):
        yield name, dict(_LABEL_PATTERN.findall(labels)), float(value)


def read_metrics(config: MeshConfig) -> MetricsSnapshot:
    """Asks every door at once."""
    made = MetricsSnapshot(taken_at=time.monotonic())
    doors: list[tuple[str, Callable[[str, str], None], str]] = [
        (name, made.add_service_metrics, f"{config.get_port(f'{name.upper()}_PROBE_PORT')}/metrics")
        for name in SERVICES
    ]
    envoys = (*SERVICES, "ops")
    doors += [
        (name, made.add_envoy_stats, f"{config.get_port(f'{name.upper()}_ADMIN_PORT')}{ENVOY_STATS_PATH}")
        for name in envoys
    ]
    with httpx.Client(timeout=TIMEOUT_S, trust_env=False) as client, ThreadPoolExecutor(len(doors)) as pool:
        texts = pool.map(lambda door: _fetch_text(client, f"http://{config.bind_address}:{door[2]}"), doors)
        for (name, take, _), text in zip(doors, texts, strict=True):
            if text is not None:
                take(name, text)
    return made


def _fetch_text(client: httpx.Client, url: str) -> str | None:
    try:
        answer = client.get(url)
    except httpx.HTTPError:
        return None
    return answer.text if answer.is_success else None
