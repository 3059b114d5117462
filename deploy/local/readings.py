"""What the mesh tells of itself at one moment: traffic, outboxes, queues; from the doors that scrapers use."""

import re
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import httpx

from deploy.local.servers import SERVICES
from deploy.local.state import State
from services.runtime.spans import SERVER_FAULTS

TIMEOUT_S = 2.0
"""How long a door may take; what does not answer in time tells nothing."""

FAULTS = frozenset(code.name for code in SERVER_FAULTS)
"""The codes of RPCs that failed by the server's fault."""

SERVED = ("http_server_request_duration_seconds_count", "rpc_server_call_duration_seconds_count")
ENVOY_STATS = r"/stats?filter=^http\.(edge|ingress|ops)\.downstream_rq_(total|5xx)$"

_LINE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')
_STAT = re.compile(r"^http\.\w+\.downstream_rq_(total|5xx): (\d+)$", re.MULTILINE)


@dataclass(frozen=True)
class Traffic:
    """Requests since the process started, and those that failed by its own fault."""

    requests: float = 0
    failed: float = 0


@dataclass(frozen=True)
class Outbox:
    """Events that are committed and not published, and how long the oldest has waited, in seconds."""

    rows: int
    lag_s: float


@dataclass
class Readings:
    """One moment; what could not be read is missing. `at` is on the clock of `time.monotonic()`."""

    at: float = 0
    traffic: dict[str, Traffic] = field(default_factory=dict)
    outboxes: dict[str, Outbox] = field(default_factory=dict)
    waiting: dict[str, int] = field(default_factory=dict)
    dead: dict[str, int] = field(default_factory=dict)

    def service(self, name: str, text: str) -> None:
        """Takes what a service tells."""
        requests = failed = 0.0
        outbox: dict[str, float] = {}
        for metric, labels, value in samples(text):
            if metric in SERVED:
                requests += value
                status = labels.get("http_response_status_code", "")
                if status.startswith("5") or labels.get("rpc_response_status_code") in FAULTS:
                    failed += value
            elif metric == "delivery_queue_messages":
                self.waiting[labels["queue"]] = int(value)
            elif metric == "delivery_queue_dead_letters":
                self.dead[labels["queue"]] = int(value)
            elif metric.startswith("delivery_outbox_"):
                outbox[metric] = value
        self.traffic[name] = Traffic(requests, failed)
        if len(outbox) == 2:
            self.outboxes[name] = Outbox(int(outbox["delivery_outbox_rows"]), outbox["delivery_outbox_lag_seconds"])

    def envoy(self, name: str, text: str) -> None:
        """Takes what a sidecar tells."""
        found = [(kind, int(value)) for kind, value in _STAT.findall(text)]
        requests, failed = (sum(value for kind, value in found if kind == each) for each in ("total", "5xx"))
        self.traffic[f"{name}-envoy"] = Traffic(requests, failed)


def samples(text: str) -> Iterator[tuple[str, Mapping[str, str], float]]:
    """The samples of an exposition."""
    for name, labels, value in _LINE.findall(text):
        yield name, dict(_LABEL.findall(labels)), float(value)


def read(state: State) -> Readings:
    """Asks every door at once."""
    made = Readings(at=time.monotonic())
    doors: list[tuple[str, Callable[[str, str], None], str]] = [
        (name, made.service, f"{state.port(f'{name.upper()}_PROBE_PORT')}/metrics") for name in SERVICES
    ]
    envoys = (*SERVICES, "ops")
    doors += [(name, made.envoy, f"{state.port(f'{name.upper()}_ADMIN_PORT')}{ENVOY_STATS}") for name in envoys]
    with httpx.Client(timeout=TIMEOUT_S, trust_env=False) as client, ThreadPoolExecutor(len(doors)) as pool:
        texts = pool.map(lambda door: _text(client, f"http://{state.bind}:{door[2]}"), doors)
        for (name, take, _), text in zip(doors, texts, strict=True):
            if text is not None:
                take(name, text)
    return made


def _text(client: httpx.Client, url: str) -> str | None:
    try:
        answer = client.get(url)
    except httpx.HTTPError:
        return None
    return answer.text if answer.is_success else None
