"""Cost of an order's life, step by step: the mesh beside a hand-written baseline with the same guarantees.

A round takes every step with many orders and waits after each step until all its effects have happened. The amounts of
idle processes in the same time are subtracted, and measured apart.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from bench import partner_latency
from bench.mesh import Mesh, run_mesh
from bench.order_life import baseline, costs, effects, rows, table
from bench.order_life.costs import Amounts
from bench.order_life.database_counters import configure_statement_statistics, enable_statement_statistics
from bench.order_life.measurement import Measurement, StepCosts, measure_idle
from bench.order_life.systems import define_mesh
from bench.results import Row

ORDERS_PER_ROUND = 50


@contextmanager
def run_mesh_with_statistics() -> Iterator[Mesh]:
    """Run a mesh with the generated catalog, whose PostgreSQL counts statements."""
    with run_mesh(configure_servers=configure_statement_statistics) as mesh:
        mesh.insert_catalog()
        enable_statement_statistics(mesh)
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


def compare(mesh: Mesh, round_count: int, order_count: int) -> tuple[dict[str, StepCosts], dict[str, list[StepCosts]]]:
    """Return the counted work and the processor time per round of the mesh and of its baseline.

    The rounds are interleaved in shuffled order. A first round, which counts, warms up all processes.
    """
    with (
        baseline.run_baseline(mesh) as baseline_system,
        define_measurement(mesh) as life,
        Measurement(mesh, baseline_system, partial(baseline.count_finished, mesh)) as baseline_life,
    ):
        measurements = [life, baseline_life]
        measure_idle(measurements)
        counts = {each.system.name: each.count_round(order_count) for each in measurements}
        cpu: dict[str, list[StepCosts]] = {name: [] for name in counts}
        for number in range(1, round_count + 1):
            print(f"  round {number} of {round_count}", flush=True)
            secrets.SystemRandom().shuffle(measurements)
            for each in measurements:
                cpu[each.system.name].append(each.measure_round(order_count))
    return counts, cpu


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
