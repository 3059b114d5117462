"""The gateway alone, beside FastAPI alone: one worker each, backends that answer at once, the same requests."""

import base64
import json
from collections.abc import Iterator, Mapping, Sequence

import httpx

from bench import compare_mesh
from bench.baseline_processes import UVICORN_COMMAND
from bench.load_generator import Sample, Target, list_process_tree
from bench.paths import FIRST_BASELINE_PORT, STATE_DIR
from bench.processes import ProcessGroup
from bench.results import Row, compute_ratios, informational, require_at_least
from tests.containers.wait import wait_until

BASELINE, GATEWAY, CACHING_GATEWAY = "FastAPI", "gateway", "gateway, as it runs: kept until it changes"
APPS = {
    BASELINE: ("bench.baselines.fastapi_with_stubs:app", {}),
    GATEWAY: ("bench.isolated_gateway_app:app", {}),
    CACHING_GATEWAY: ("bench.isolated_gateway_app:app", {"KEEPS": "1"}),
}
LIST_CATALOG, CHECK_ORDER = "list of 20 partners × 10 products", "validated POST of checkOrder"
MIN_RATIOS = {LIST_CATALOG: 5, CHECK_ORDER: 4}
CONNECTIONS = 16


def run(repeats: int, seconds: int) -> list[Row]:
    """All doors, by both requests; only a list can be kept."""
    payload = {"sub": "somebody", "user_id": "somebody", "role": "customer", "exp": 4_000_000_000}
    header = base64.urlsafe_b64encode(json.dumps(payload).encode()).decode().rstrip("=")
    sent = compare_mesh.write_request_files()
    asked = {
        LIST_CATALOG: {"PATHS": str(sent["warm-peer"])},
        CHECK_ORDER: {"FLOW": str(sent["basket"]), "ONLY_CHECK": "1"},
    }
    rows: list[Row] = []
    with ProcessGroup(STATE_DIR / "doors.log") as processes:
        doors = {}
        for port, (name, (app, told)) in enumerate(APPS.items(), start=FIRST_BASELINE_PORT + 50):
            doors[name] = (port, processes.start(*UVICORN_COMMAND, f"--port={port}", app, **told))
            wait_until(name, lambda port=port: _is_responding(port), 30)  # type: ignore[misc]
        for what, goal in MIN_RATIOS.items():
            contenders = [
                Target(
                    name,
                    f"http://127.0.0.1:{port}",
                    {"TOKEN": "none", "HEADER": header} | asked[what],
                    lambda pid=pid: list_process_tree(pid),  # type: ignore[misc]
                )
                for name, (port, pid) in doors.items()
                if what == LIST_CATALOG or name != CACHING_GATEWAY
            ]
            rows += compare_samples(what, goal, compare_mesh.measure_all(contenders, CONNECTIONS, repeats, seconds))
    return rows


def compare_samples(
    workload: str, min_ratio: float, samples_by_target: Mapping[str, Sequence[Sample]]
) -> Iterator[Row]:
    """Ours by the peer's, and everybody's own."""
    for name, samples in samples_by_target.items():
        named = f"alone: {workload}, {name}"
        if name != BASELINE:
            rates = compute_ratios(samples, samples_by_target[BASELINE], lambda sample: sample.rate)
            yield require_at_least(f"{named}, requests by {BASELINE}'s", min_ratio, rates)
        yield informational(named, [sample.rate for sample in samples], "requests/s")
        yield informational(f"{named}, CPU", [sample.cpu for sample in samples], "ms/request")


def _is_responding(port: int) -> bool:
    try:
        httpx.get(f"http://127.0.0.1:{port}/nothing", trust_env=False)
    except httpx.HTTPError:
        return False
    return True
