"""Cost of an order's life, step by step: the mesh beside a hand-written baseline with the same guarantees.

A round takes every step with many orders and waits after each step until all its effects have happened. The amounts of
idle processes in the same time are subtracted, and measured apart.
"""

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from bench import partner_latency
from bench.mesh import Mesh, run_mesh
from bench.order_life import baseline, costs, effects, rows, table
from bench.order_life.costs import Amounts
from bench.order_life.database_counters import (
    configure_statement_statistics,
    create_observer,
    enable_statement_statistics,
)
from bench.order_life.measurement import Measurement, StepCosts, measure_idle_counts, measure_idle_cpu
from bench.order_life.systems import define_mesh
from bench.results import Row

ORDERS_PER_ROUND = 50
SHORT_IDLE_S = 15
"""Time over which a short comparison measures the cost of idle processes, in seconds."""


@contextmanager
def run_mesh_with_statistics() -> Iterator[Mesh]:
    """Run a mesh with the generated catalog, whose PostgreSQL counts statements."""
    with run_mesh(configure_servers=configure_statement_statistics) as mesh:
        mesh.insert_catalog()
        enable_statement_statistics(mesh)
        create_observer(mesh)
        yield mesh


def define_measurement(mesh: Mesh) -> Measurement:
    """Return the measurement of the mesh."""
    return Measurement(mesh, define_mesh(mesh), partial(effects.count_finished_at_mesh, mesh))


def measure_idle_mesh(mesh: Mesh) -> Amounts:
    """Return the processor time of the mesh alone in a second without operations."""
    with define_measurement(mesh) as life:
        life.wait_until_rest()
        (rates,) = costs.measure_rates([life.read_cpu])
    return rates


@contextmanager
def run_measurements(mesh: Mesh) -> Iterator[list[Measurement]]:
    """Run the baseline beside the mesh, and yield the measurements of both."""
    with (
        baseline.run_baseline(mesh) as baseline_system,
        define_measurement(mesh) as life,
        Measurement(mesh, baseline_system, partial(baseline.count_finished, mesh)) as baseline_life,
    ):
        yield [life, baseline_life]


def compare(mesh: Mesh, round_count: int, order_count: int) -> tuple[dict[str, StepCosts], dict[str, list[StepCosts]]]:
    """Return the counted work and the processor time per round of the mesh and of its baseline.

    A first round, which counts, warms up all processes.
    """
    with run_measurements(mesh) as measurements:
        measure_idle_cpu(measurements)
        measure_idle_counts(measurements)
        counts = {each.system.name: each.count_round(order_count) for each in measurements}
        return counts, _measure_rounds(measurements, round_count, order_count)


def iter_short_comparisons(mesh: Mesh, round_count: int, order_count: int) -> Iterator[dict[str, list[StepCosts]]]:
    """Yield the processor time per round of a mesh without statistics, and of its baseline, after each `round_count`.

    A round before warms up all processes. Each result contains all rounds before it.
    """
    create_observer(mesh)
    with run_measurements(mesh) as measurements:
        for each in measurements:
            each.measure_round(order_count)
        measure_idle_cpu(measurements, SHORT_IDLE_S)
        cpu: dict[str, list[StepCosts]] = {each.system.name: [] for each in measurements}
        while True:
            for name, rounds in _measure_rounds(measurements, round_count, order_count).items():
                cpu[name] += rounds
            yield cpu


def _measure_rounds(
    measurements: Sequence[Measurement], round_count: int, order_count: int
) -> dict[str, list[StepCosts]]:
    """Measure rounds of all systems, interleaved in shuffled order."""
    cpu: dict[str, list[StepCosts]] = {each.system.name: [] for each in measurements}
    for number in range(1, round_count + 1):
        print(f"  round {number} of {round_count}", flush=True)
        for each in secrets.SystemRandom().sample(measurements, len(measurements)):
            cpu[each.system.name].append(each.measure_round(order_count))
    return cpu


def run(mesh: Mesh, round_count: int) -> list[Row]:
    """Measure everything and print the tables."""
    idle = measure_idle_mesh(mesh)
    counts, cpu = compare(mesh, round_count, ORDERS_PER_ROUND)
    result = [
        *rows.build_cpu_goals(cpu["mesh"]),
        *rows.build_ratios(cpu["mesh"], cpu["baseline"]),
        *rows.build_idle_rows(idle),
    ]
    for name, rounds in cpu.items():
        table.print_costs(f"{name}: CPU per operation in ms", rows.compute_medians(rounds), has_sum=True)
        table.print_costs(f"{name}: work per operation", counts[name], has_sum=False)
        result += rows.build_amounts(name, "ms", rounds)
        result += rows.build_amounts(name, "per operation", [counts[name]])
    return result + partner_latency.run(mesh)
