"""Comparison of the whole mesh with the baselines, interleaved in an order that is shuffled for each repeat."""

import json
import random
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from bench.baseline_processes import GRPC_ORM, GRPC_RAW, SINGLE_PROCESS, UPPER_BOUNDS, run_baselines
from bench.load_generator import WARMUP_S, Sample, Target, run_load
from bench.mesh import FIRST_PARTNER_ID, Mesh, build_basket
from bench.paths import STATE_DIR
from bench.results import Row, compute_ratios, create_informational_row, require_at_least, require_at_most
from generated.proto.delivery.partners.v1.rpc import LIST_CATALOG
from services.runtime.config.encryption_keys import split_keys
from services.runtime.core import pagination

MESH_NAME = "mesh"
SHARED_SERVERS = ("postgres", "memcached", "rabbitmq", "documents")
"""Processes of the mesh that the baselines use, too."""

COLD_PAGE_COUNT = 50_000
"""Requests for the same page with different tokens: many more than a cache of some hundred pages holds."""

MAX_CATALOG_CPU_MS = 5

COLD_CATALOG, CACHED_CATALOG, ORDER_FLOW = "catalog", "catalog from the gateway's cache", "check, confirm and get order"
PATH_FILE_PREFIXES = {COLD_CATALOG: "cold", CACHED_CATALOG: "warm"}
ROUNDS = (
    (COLD_CATALOG, 16),
    (ORDER_FLOW, 16),
    (CACHED_CATALOG, 16),
    (ORDER_FLOW, 1),
    (ORDER_FLOW, 32),
    (COLD_CATALOG, 32),
    (CACHED_CATALOG, 32),
)
"""Workloads with their numbers of connections, the most significant first."""


def create_page_token(mesh: Mesh, after_id: int) -> str:
    """Return a page token of the catalog, signed as the mesh signs it."""
    signer = pagination.PageTokenSigner(split_keys(mesh.secrets.encryption_key))
    return signer.sign(LIST_CATALOG.path, pagination.encode_page_token([after_id]))


def write_request_files(mesh: Mesh | None) -> dict[str, Path]:
    """Write the requests that wrk sends: one page to repeat, pages with distinct tokens, and a basket.

    Without a mesh, only the requests of the baselines are written.
    """
    afters = random.sample(range(3, FIRST_PARTNER_ID), COLD_PAGE_COUNT)
    texts = {
        "warm-baseline": f"/api/v1/catalog?page_token={FIRST_PARTNER_ID - 1}",
        "cold-baseline": "\n".join(f"/api/v1/catalog?page_token={after}" for after in afters),
        "basket": json.dumps(build_basket()),
    }
    if mesh is not None:
        texts |= {
            "warm-mesh": f"/api/v1/catalog?page_token={create_page_token(mesh, FIRST_PARTNER_ID - 1)}",
            "cold-mesh": "\n".join(f"/api/v1/catalog?page_token={create_page_token(mesh, after)}" for after in afters),
        }
    folder = STATE_DIR / "requests"
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return {name: folder / name for name in texts}


def list_targets(mesh: Mesh, baselines: Mapping[str, tuple[str, list[int]]], workload: str) -> Iterator[Target]:
    """Yield the mesh and the baselines as targets of a workload."""
    request_files, token = write_request_files(mesh), mesh.get_access_token()
    yield Target(
        MESH_NAME,
        mesh.config.edge_url,
        {"TOKEN": token} | _build_wrk_environment(request_files, workload, "mesh"),
        mesh.list_pids,
    )
    for name, (url, pids) in baselines.items():
        environment = {"TOKEN": token} | _build_wrk_environment(request_files, workload, "baseline")
        yield Target(name, url, environment, lambda pids=pids: [*pids, *mesh.list_pids(*SHARED_SERVERS)])  # type: ignore[misc]


def _build_wrk_environment(request_files: Mapping[str, Path], workload: str, side: str) -> dict[str, str]:
    return (
        {"FLOW": str(request_files["basket"])}
        if workload == ORDER_FLOW
        else {"PATHS": str(request_files[f"{PATH_FILE_PREFIXES[workload]}-{side}"])}
    )


def measure_all(
    targets: Sequence[Target], connections: int, repeats: int, seconds: int, *, warms_up_once: bool = False
) -> dict[str, list[Sample]]:
    """Return the samples of each target, one per repeat. A target is warmed up in each repeat, or in the first only."""
    samples: dict[str, list[Sample]] = {target.name: [] for target in targets}
    for repeat in range(repeats):
        warmup_s = 0 if warms_up_once and repeat else WARMUP_S
        order = [*targets]
        secrets.SystemRandom().shuffle(order)
        for target in order:
            samples[target.name].append(run_load(target, connections, seconds, warmup_s))
            print(".", end="", flush=True)
    print(flush=True)
    return samples


def compare_samples(
    samples_by_target: Mapping[str, Sequence[Sample]], label: str, workload: str, connections: int
) -> Iterator[Row]:
    """Yield the goals of the benchmark for a workload, then its measurements without a goal."""
    name_prefix = f"mesh: {label}"
    rates, p99, cpu = (
        {
            name: compute_ratios(samples_by_target[MESH_NAME], samples_by_target[name], read)
            for name in (GRPC_ORM, GRPC_RAW, SINGLE_PROCESS)
            if name in samples_by_target
        }
        for read in (lambda sample: sample.rate, lambda sample: sample.p99, lambda sample: sample.cpu)
    )
    vs_orm = f"vs {GRPC_ORM}"
    if connections == 1:
        yield require_at_least(f"{name_prefix}, requests {vs_orm}", 0.75, rates[GRPC_ORM])
        yield require_at_most(f"{name_prefix}, p99 {vs_orm}", 1.5, p99[GRPC_ORM])
    elif workload == CACHED_CATALOG:
        yield require_at_least(f"{name_prefix}, requests {vs_orm}", 1.8, rates[GRPC_ORM])
        yield require_at_most(f"{name_prefix}, CPU {vs_orm}", 0.7, cpu[GRPC_ORM])
    else:
        min_rate, max_p99, max_cpu = (1.15, 1.0, 0.85) if workload == COLD_CATALOG else (1.0, 1.25, 1.1)
        yield require_at_least(f"{name_prefix}, requests {vs_orm}", min_rate, rates[GRPC_ORM])
        yield require_at_most(f"{name_prefix}, p99 {vs_orm}", max_p99, p99[GRPC_ORM])
        yield require_at_most(f"{name_prefix}, CPU {vs_orm}", max_cpu, cpu[GRPC_ORM])
        min_raw_rate = 1.05 if workload == COLD_CATALOG else 1.25
        yield require_at_least(f"{name_prefix}, requests vs {GRPC_RAW}", min_raw_rate, rates[GRPC_RAW])
        if workload == COLD_CATALOG:
            own_cpu = [sample.cpu for sample in samples_by_target[MESH_NAME]]
            yield require_at_most(f"{name_prefix}, CPU", MAX_CATALOG_CPU_MS, own_cpu, "ms/request")
        else:
            yield require_at_most(f"{name_prefix}, CPU vs {GRPC_RAW}", 0.75, cpu[GRPC_RAW])
    if SINGLE_PROCESS in samples_by_target:
        name = f"{name_prefix}, requests vs {SINGLE_PROCESS}"
        if workload == ORDER_FLOW:
            yield require_at_least(name, 1.0, rates[SINGLE_PROCESS])
        else:
            yield create_informational_row(name, rates[SINGLE_PROCESS], "×")
        yield create_informational_row(f"{name_prefix}, CPU vs {SINGLE_PROCESS}", cpu[SINGLE_PROCESS], "×")
    for name, samples in samples_by_target.items():
        yield create_informational_row(f"{name_prefix}: {name}", [sample.rate for sample in samples], "requests/s")
        yield create_informational_row(f"{name_prefix}: {name}, p99", [sample.p99 for sample in samples], "ms")
        yield create_informational_row(f"{name_prefix}: {name}, CPU", [sample.cpu for sample in samples], "ms/request")


def run(mesh: Mesh, repeats: int, seconds: int, save_rows: Callable[[Sequence[Row]], None]) -> list[Row]:
    """Measure all workloads. Baselines without a goal are measured with 16 connections only.

    `save_rows` is called with all rows so far after each workload.
    """
    rows: list[Row] = []
    with run_baselines(mesh) as baselines:
        validating = {name: baseline for name, baseline in baselines.items() if name not in UPPER_BOUNDS}
        with_goal = {name: baseline for name, baseline in validating.items() if name != SINGLE_PROCESS}
        for workload, connections in ROUNDS:
            label = f"{workload}, {connections} connection{'s' if connections > 1 else ''}"
            print(label, flush=True)
            selected = {(COLD_CATALOG, 16): baselines, (ORDER_FLOW, 16): validating}.get(
                (workload, connections), with_goal
            )
            targets = [*list_targets(mesh, selected, workload)]
            samples = measure_all(targets, connections, repeats, seconds)
            rows += compare_samples(samples, label, workload, connections)
            save_rows(rows)
    return rows
