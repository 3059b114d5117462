"""Goodput and latency of one mesh against offered load, up to ten times its capacity.

Each connection of wrk sends a request half a second to one and a half seconds after its last response, so that the
number of connections is about the offered load in requests per second. Meanwhile another user reads its profile.
"""

import asyncio
import statistics
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import httpx

from bench.load_generator import Target, run_wrk
from bench.mesh import Mesh
from bench.partner_latency import create_orders
from bench.paths import STATE_DIR
from bench.results import Row, create_informational_row, require_at_least, require_at_most

CONNECTIONS = (50, 100, 200, 400, 1000)
OVERLOAD_FACTORS = (3, 10)
"""Offered loads after those of CONNECTIONS, as multiples of the largest goodput so far."""
PATHS = ("/api/v1/orders", "/api/v1/banks", "/api/v1/orders?page_size=100")
ORDER_COUNT = 100
THINK_TIME_MS = 1000
PROBE_INTERVAL_S, PROBE_TIMEOUT_S = 0.05, 30
RECOVERED_S, RECOVERY_PROBES, RECOVERY_TIMEOUT_S = 0.2, 5, 60
MIN_GOODPUT_SHARE, MAX_P99_MS, MAX_REJECTION_MS, MAX_RECOVERY_S = 0.8, 1000, 100, 2


@dataclass
class Probe:
    """User that reads its profile at intervals while the block runs."""

    mesh: Mesh
    durations_ms: dict[bool, list[float]] = field(default_factory=lambda: {True: [], False: []})
    """Durations of successful requests, and of rejected ones."""

    def __post_init__(self) -> None:
        token = self.mesh.get_access_token("deliverer")
        self._client = httpx.Client(
            base_url=self.mesh.config.edge_url,
            headers={"Authorization": f"Bearer {token}"},
            trust_env=False,
            timeout=PROBE_TIMEOUT_S,
        )
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def read_profile(self) -> tuple[bool, float]:
        """Return whether a request succeeded, and its duration in seconds."""
        started_at = time.monotonic()
        is_success = self._client.get("/api/v1/users/me").is_success
        return is_success, time.monotonic() - started_at

    def _run(self) -> None:
        while not self._stop.wait(PROBE_INTERVAL_S):
            is_success, duration_s = self.read_profile()
            self.durations_ms[is_success].append(1000 * duration_s)


def compute_percentile(values: list[float], percent: int) -> float:
    """Return a percentile; infinity without enough values."""
    return statistics.quantiles(values, n=100)[percent - 1] if len(values) > 1 else float("inf")


def measure_recovery_s(probe: Probe) -> float:
    """Return the seconds until consecutive requests are fast again; at most RECOVERY_TIMEOUT_S."""
    started_at, fast_count = time.monotonic(), 0
    while fast_count < RECOVERY_PROBES and time.monotonic() - started_at < RECOVERY_TIMEOUT_S:
        is_success, duration_s = probe.read_profile()
        fast_count = fast_count + 1 if is_success and duration_s < RECOVERED_S else 0
    return time.monotonic() - started_at


def write_paths() -> Path:
    """Write the file with the requested paths."""
    path = STATE_DIR / "requests/overload"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(PATHS), encoding="utf-8")
    return path


async def _create_orders(mesh: Mesh, token: str) -> None:
    """Create the orders of the user whose lists are requested."""
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=mesh.config.edge_url, headers=headers, trust_env=False, timeout=30) as client:
        await create_orders(client, ORDER_COUNT)


def run(mesh: Mesh, seconds: int) -> list[Row]:
    """Measure the curve, and the recovery after its last point."""
    token = mesh.get_access_token()
    asyncio.run(_create_orders(mesh, token))
    environment = {
        "TOKEN": token,
        "PATHS": str(write_paths()),
        "THINK_TIME_MS": str(THINK_TIME_MS),
    }
    target = Target("mesh", mesh.config.edge_url, environment, mesh.list_pids)
    rows: list[Row] = []
    goodputs: list[float] = []
    probes: list[Probe] = []
    for level in (*CONNECTIONS, *OVERLOAD_FACTORS):
        connections = level if level in CONNECTIONS else round(level * max(goodputs))
        probes.append(Probe(mesh))
        with probes[-1]:
            result = run_wrk(target, connections, seconds)
        goodput = (result["requests"] - result["rejected"]) / result["seconds"]
        goodputs.append(goodput)
        p99_ms = compute_percentile(probes[-1].durations_ms[True], 99)
        label = f"{connections} connections" if level in CONNECTIONS else f"{level} × the capacity"
        name = f"overload: {label}"
        rows += [
            create_informational_row(f"{name}, offered load", [result["requests"] / result["seconds"]], "/s"),
            create_informational_row(f"{name}, goodput", [goodput], "/s"),
            create_informational_row(f"{name}, p99 of another user's profile", [p99_ms], "ms"),
        ]
        print(f"  {label}: {goodput:.0f}/s good, p99 {p99_ms:.0f} ms", flush=True)
    probe = probes[-1]
    recovery_s = measure_recovery_s(probe)
    rejections_ms = probe.durations_ms[False] or [0.0]
    return [
        *rows,
        require_at_least(
            "overload: goodput at the highest load, share of the peak",
            MIN_GOODPUT_SHARE,
            [goodputs[-1] / max(goodputs)],
        ),
        require_at_most(
            "overload: p99 of another user's profile at the highest load",
            MAX_P99_MS,
            [compute_percentile(probe.durations_ms[True], 99)],
            "ms",
        ),
        require_at_most("overload: median duration of a rejection", MAX_REJECTION_MS, rejections_ms, "ms"),
        require_at_most("overload: recovery after the highest load", MAX_RECOVERY_S, [recovery_s], "s"),
    ]
