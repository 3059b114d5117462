"""The whole mesh against its peers: interleaved, in an order that is shuffled for each repeat."""

import base64
import json
import random
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from bench.baseline_processes import GRPC_ORM, GRPC_RAW, SINGLE_PROCESS, UPPER_BOUNDS, running_baselines
from bench.load_generator import Sample, Target, run_load
from bench.mesh import FIRST_PARTNER_ID, Mesh, build_basket
from bench.paths import STATE_DIR
from bench.results import Row, compute_ratios, informational, require_at_least, require_at_most

MESH_NAME = "mesh"
SHARED_SERVERS = ("postgres", "memcached", "rabbitmq", "documents")
"""Whom peers use, too."""

COLD_PAGE_COUNT = 50_000
"""Requests for the same page by different tokens, which no cache of some hundreds of pages can have seen."""

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
"""What is driven by how many connections, those first that say most."""


def encode_page_token(after_id: int) -> str:
    """A page token of the mesh's."""
    return base64.urlsafe_b64encode(json.dumps([after_id]).encode()).decode().rstrip("=")


def write_request_files() -> dict[str, Path]:
    """What is sent: a page that is asked for again and again, pages that were never asked for, and a basket."""
    afters = random.sample(range(3, FIRST_PARTNER_ID), COLD_PAGE_COUNT)
    texts = {
        "warm-mesh": f"/api/v1/catalog?page_token={encode_page_token(FIRST_PARTNER_ID - 1)}",
        "warm-peer": f"/api/v1/catalog?page_token={FIRST_PARTNER_ID - 1}",
        "cold-mesh": "\n".join(f"/api/v1/catalog?page_token={encode_page_token(after)}" for after in afters),
        "cold-peer": "\n".join(f"/api/v1/catalog?page_token={after}" for after in afters),
        "basket": json.dumps(build_basket()),
    }
    folder = STATE_DIR / "sent"
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text)
    return {name: folder / name for name in texts}


def list_targets(mesh: Mesh, baselines: Mapping[str, tuple[str, list[int]]], workload: str) -> Iterator[Target]:
    """Everybody who does this."""
    sent, bearer = write_request_files(), mesh.get_access_token()
    yield Target(
        MESH_NAME,
        mesh.config.edge_url,
        {"TOKEN": bearer} | _build_wrk_environment(sent, workload, "mesh"),
        mesh.list_pids,
    )
    for name, (url, pids) in baselines.items():
        told = {"TOKEN": bearer} | _build_wrk_environment(sent, workload, "peer")
        yield Target(name, url, told, lambda pids=pids: [*pids, *mesh.list_pids(*SHARED_SERVERS)])  # type: ignore[misc]


def _build_wrk_environment(request_files: Mapping[str, Path], workload: str, side: str) -> dict[str, str]:
    return (
        {"FLOW": str(request_files["basket"])}
        if workload == ORDER_FLOW
        else {"PATHS": str(request_files[f"{PATH_FILE_PREFIXES[workload]}-{side}"])}
    )


def measure_all(targets: Sequence[Target], connections: int, repeats: int, seconds: int) -> dict[str, list[Sample]]:
    """By contender: a sample per repeat."""
    found: dict[str, list[Sample]] = {contender.name: [] for contender in targets}
    for _ in range(repeats):
        order = [*targets]
        secrets.SystemRandom().shuffle(order)
        for contender in order:
            found[contender.name].append(run_load(contender, connections, seconds))
            print(".", end="", flush=True)
    print(flush=True)
    return found


def compare_samples(
    samples_by_target: Mapping[str, Sequence[Sample]], label: str, workload: str, connections: int
) -> Iterator[Row]:
    """What the contract of this bench asks of such a run, and the rest of it."""
    named = f"mesh: {label}"
    rates, p99, cpu = (
        {
            name: compute_ratios(samples_by_target[MESH_NAME], samples_by_target[name], read)
            for name in (GRPC_ORM, GRPC_RAW, SINGLE_PROCESS)
            if name in samples_by_target
        }
        for read in (lambda sample: sample.rate, lambda sample: sample.p99, lambda sample: sample.cpu)
    )
    of_orm = f"by {GRPC_ORM}"
    if connections == 1:
        yield require_at_least(f"{named}, requests {of_orm}", 0.75, rates[GRPC_ORM])
        yield require_at_most(f"{named}, p99 {of_orm}", 1.5, p99[GRPC_ORM])
    elif workload == CACHED_CATALOG:
        yield require_at_least(f"{named}, requests {of_orm}", 1.8, rates[GRPC_ORM])
        yield require_at_most(f"{named}, CPU {of_orm}", 0.7, cpu[GRPC_ORM])
    else:
        most = (1.15, 1.0, 0.85) if workload == COLD_CATALOG else (1.0, 1.25, 1.1)
        yield require_at_least(f"{named}, requests {of_orm}", most[0], rates[GRPC_ORM])
        yield require_at_most(f"{named}, p99 {of_orm}", most[1], p99[GRPC_ORM])
        yield require_at_most(f"{named}, CPU {of_orm}", most[2], cpu[GRPC_ORM])
        yield require_at_least(
            f"{named}, requests by {GRPC_RAW}", 1.05 if workload == COLD_CATALOG else 0.75, rates[GRPC_RAW]
        )
    if SINGLE_PROCESS in samples_by_target:
        yield informational(f"{named}, requests by {SINGLE_PROCESS}", rates[SINGLE_PROCESS], "×")
        yield informational(f"{named}, CPU by {SINGLE_PROCESS}", cpu[SINGLE_PROCESS], "×")
    for name, samples in samples_by_target.items():
        yield informational(f"{named}: {name}", [sample.rate for sample in samples], "requests/s")
        yield informational(f"{named}: {name}, p99", [sample.p99 for sample in samples], "ms")
        yield informational(f"{named}: {name}, CPU", [sample.cpu for sample in samples], "ms/request")


def run(mesh: Mesh, repeats: int, seconds: int, save_rows: Callable[[Sequence[Row]], None]) -> list[Row]:
    """All of it; who has no goal of its own is shown with 16 connections, the ceilings once.

    `keep` is given what is there after each round.
    """
    rows: list[Row] = []
    with running_baselines(mesh) as doors:
        checked = {name: door for name, door in doors.items() if name not in UPPER_BOUNDS}
        few = {name: door for name, door in checked.items() if name != SINGLE_PROCESS}
        for what, connections in ROUNDS:
            about = f"{what}, {connections} connection{'s' if connections > 1 else ''}"
            print(about, flush=True)
            there = {(COLD_CATALOG, 16): doors, (ORDER_FLOW, 16): checked}.get((what, connections), few)
            found = measure_all([*list_targets(mesh, there, what)], connections, repeats, seconds)
            rows += compare_samples(found, about, what, connections)
            save_rows(rows)
    return rows
