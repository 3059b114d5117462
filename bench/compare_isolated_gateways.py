"""Comparison of the gateway with FastAPI in isolation: one worker each, stub backends, the same requests."""

import base64
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import httpx

from bench import compare_mesh
from bench.baseline_processes import UVICORN_COMMAND
from bench.load_generator import Sample, Target, list_process_tree
from bench.paths import FIRST_BASELINE_PORT, STATE_DIR
from bench.processes import ProcessGroup
from bench.results import Row, compute_ratio_of_minima, compute_ratios, create_informational_row, require_at_least
from tests.wait import wait_until

BASELINE, GATEWAY, CACHING_GATEWAY = "FastAPI", "gateway", "gateway with response cache"
GATEWAY_ARGUMENTS = ("bench.isolated_gateway_app:app", "--http=services.runtime.sidecar.http1_protocol:Http1Protocol")
APPS = {
    BASELINE: (("bench.baselines.fastapi_with_stubs:app",), {}),
    GATEWAY: (GATEWAY_ARGUMENTS, {}),
    CACHING_GATEWAY: (GATEWAY_ARGUMENTS, {"RESPONSE_CACHE": "1"}),
}
LIST_CATALOG, CHECK_ORDER = "list of 20 partners × 10 products", "validated POST of checkOrder"
MIN_RATIO, MIN_CACHED_RATIO = 3, 5
UNSAMPLED_TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
"""Trace context that the edge adds to 99 of 100 requests."""

CONNECTIONS = 16


def run(repeats: int, seconds: int) -> list[Row]:
    """Measure every gateway with both requests."""
    samples = measure(repeats, seconds)
    return [row for workload, by_target in samples.items() for row in compare_samples(workload, by_target)]


def measure(repeats: int, seconds: int, *, warms_up_once: bool = False) -> dict[str, dict[str, list[Sample]]]:
    """Return the samples of each request by target, one per repeat. Only the list can be cached."""
    payload = {"sub": "user-1", "user_id": "user-1", "role": "customer", "exp": 4_000_000_000}
    header = base64.urlsafe_b64encode(json.dumps(payload).encode()).decode().rstrip("=")
    request_files = compare_mesh.write_request_files(None)
    wrk_environments = {
        LIST_CATALOG: {"PATHS": str(request_files["warm-baseline"])},
        CHECK_ORDER: {"FLOW": str(request_files["basket"]), "ONLY_CHECK": "1"},
    }
    samples: dict[str, dict[str, list[Sample]]] = {}
    with ProcessGroup(STATE_DIR / "gateways.log") as processes:
        gateways = {}
        for port, (name, (arguments, environment)) in enumerate(APPS.items(), start=FIRST_BASELINE_PORT + 50):
            gateways[name] = (port, processes.start(*UVICORN_COMMAND, f"--port={port}", *arguments, **environment))
            wait_until(lambda port=port: _is_responding(port), 30, description=name)  # type: ignore[misc]
        for workload, environment in wrk_environments.items():
            targets = [
                Target(
                    name,
                    f"http://127.0.0.1:{port}",
                    {"TOKEN": "none", "HEADER": header, "TRACEPARENT": UNSAMPLED_TRACEPARENT} | environment,
                    lambda pid=pid: list_process_tree(pid),  # type: ignore[misc]
                )
                for name, (port, pid) in gateways.items()
                if workload == LIST_CATALOG or name != CACHING_GATEWAY
            ]
            samples[workload] = compare_mesh.measure_all(
                targets, CONNECTIONS, repeats, seconds, warms_up_once=warms_up_once
            )
    return samples


def iter_short_comparisons(repeats: int, seconds: int) -> Iterator[dict[tuple[str, str], float]]:
    """Yield, after each measurement, the ratios of the smallest processor times of all measurements up to then."""
    cpu: dict[tuple[str, str], list[float]] = defaultdict(list)
    while True:
        for workload, by_target in measure(repeats, seconds, warms_up_once=True).items():
            for name, samples in by_target.items():
                cpu[workload, name] += [sample.cpu for sample in samples]
        yield compute_cpu_ratios(cpu)


def compute_cpu_ratios(cpu: Mapping[tuple[str, str], Sequence[float]]) -> dict[tuple[str, str], float]:
    """Return, by request and gateway, the smallest processor time compared with the smallest one of the baseline."""
    return {
        (workload, name): compute_ratio_of_minima(runs, cpu[workload, BASELINE])
        for (workload, name), runs in cpu.items()
        if name != BASELINE
    }


def compare_samples(workload: str, samples_by_target: Mapping[str, Sequence[Sample]]) -> Iterator[Row]:
    """Yield the ratios of the gateways to the baseline, and the measurements of each target."""
    for name, samples in samples_by_target.items():
        label = f"gateway: {workload}, {name}"
        if name != BASELINE:
            rates = compute_ratios(samples, samples_by_target[BASELINE], lambda sample: sample.rate)
            min_ratio = MIN_CACHED_RATIO if name == CACHING_GATEWAY else MIN_RATIO
            yield require_at_least(f"{label}, requests vs {BASELINE}", min_ratio, rates)
        yield create_informational_row(label, [sample.rate for sample in samples], "requests/s")
        yield create_informational_row(f"{label}, CPU", [sample.cpu for sample in samples], "ms/request")


def _is_responding(port: int) -> bool:
    try:
        httpx.get(f"http://127.0.0.1:{port}/nothing", trust_env=False)
    except httpx.HTTPError:
        return False
    return True
