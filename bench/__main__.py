"""Run the benchmarks: `python -m bench [PART …]`. Writes .local/bench-results/ and docs/performance.md."""

import argparse
import asyncio
import sys
import time
from collections.abc import Callable
from functools import partial

from bench import (
    codec,
    compare_isolated_gateways,
    compare_mesh,
    data_volume,
    footprint,
    gateway_workers,
    notification_burst,
    order_life,
    outbox_relay,
    overload,
    report,
    results,
    sse,
)
from bench.mesh import run_mesh_with_catalog
from bench.processes import stop_on_signals
from bench.provenance import Provenance, read_commit, read_provenance
from bench.results import RESULTS_FILE, ResultsError, Row


def _measure_codec() -> list[Row]:
    return [codec.measure_page(15), asyncio.run(codec.measure_rpc(15, 1500))]


def _compare_mesh() -> list[Row]:
    save_rows = partial(results.save_rows, provenance=read_provenance())
    with run_mesh_with_catalog() as mesh:
        return compare_mesh.run(mesh, repeats=9, seconds=2, save_rows=save_rows)


def _measure_relay() -> list[Row]:
    with run_mesh_with_catalog() as mesh:
        return outbox_relay.run(mesh, repeats=9)


def _measure_order_life() -> list[Row]:
    with order_life.run_mesh_with_statistics() as mesh:
        return order_life.run(mesh, round_count=9)


def _measure_streams() -> list[Row]:
    with run_mesh_with_catalog() as mesh:
        return sse.run(mesh)


def _measure_workers() -> list[Row]:
    with run_mesh_with_catalog() as mesh:
        return gateway_workers.run(mesh, repeats=5, seconds=3)


def _measure_overload() -> list[Row]:
    with run_mesh_with_catalog() as mesh:
        return overload.run(mesh, seconds=15)


BENCHMARKS: dict[str, Callable[[], list[Row]]] = {
    "order-life": _measure_order_life,
    "messages": _measure_codec,
    "gateway": lambda: compare_isolated_gateways.run(repeats=9, seconds=3),
    "mesh": _compare_mesh,
    "workers": _measure_workers,
    "relay": _measure_relay,
    "overload": _measure_overload,
    "streams": _measure_streams,
    "volume": lambda: data_volume.run(200),
    "notifications": lambda: notification_burst.run(2),
    "system": footprint.run,
}
"""Benchmarks by part. The names of their rows begin with the part and a colon."""


def _measure(part: str, provenance: Provenance) -> None:
    """Run one benchmark, save its results and print them."""
    started_at = time.monotonic()
    print(f"== {part}", flush=True)
    rows = BENCHMARKS[part]()
    results.save_rows(rows, provenance.mark_changes(read_commit()), RESULTS_FILE)
    for row in rows:
        value = results.format_value(row.value)
        print(f"  {row.format_status_label():3} {row.name}: {value} {row.unit} {row.goal}", flush=True)
    print(f"== {part}: {time.monotonic() - started_at:.0f} s", flush=True)


def main() -> int:
    """Run the selected benchmarks. Return 0 even if goals are not met, and 1 if the results file cannot be read."""
    parser = argparse.ArgumentParser(prog="bench")
    parser.add_argument("parts", nargs="*", choices=[*BENCHMARKS, "page", []])
    arguments = parser.parse_args()
    stop_on_signals()
    try:
        results.load_results(RESULTS_FILE)
    except ResultsError as error:
        print(error, file=sys.stderr)
        return 1
    if parts := [part for part in arguments.parts or BENCHMARKS if part != "page"]:
        provenance = read_provenance()
        print(f"commit {provenance.commit}, {provenance.environment.describe()}", flush=True)
        for part in parts:
            _measure(part, provenance)
    saved = {part: each for part, each in results.load_results(RESULTS_FILE).items() if part in BENCHMARKS}
    if missing := BENCHMARKS.keys() - saved.keys():
        print(f"{report.REPORT_PATH.name} not written: no results of {', '.join(sorted(missing))}")
    else:
        report.write_report(saved)
    return 0


if __name__ == "__main__":
    sys.exit(main())
