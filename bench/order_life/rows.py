"""Rows of the cost of an order's life: goals, and the amounts of each step."""

import statistics
from collections.abc import Iterator, Sequence

from bench.order_life.costs import Amounts, compute_own_cpu
from bench.order_life.measurement import StepCosts
from bench.results import Row, create_informational_row, require_at_most

PART = "order-life"
LIFE = "life"
"""Name of the sum of all steps."""

CPU_GOALS_MS = {"check": 3.3, "confirm": 6, "get": 2.8, "pay": 17, "ready": 12, "assign": 9, "deliver": 9, LIFE: 60}
"""Processor time of the mesh by step, without the simulated third parties."""

MAX_RATIO = 0.8
"""Processor time of a life at the mesh, compared with the baseline."""

MAX_IDLE_MS_PER_S = 15


def compute_medians(rounds: Sequence[StepCosts]) -> StepCosts:
    """Return the median of each amount of each step."""
    return {
        step: {name: statistics.median(each[step][name] for each in rounds) for name in amounts}
        for step, amounts in rounds[0].items()
    }


def compute_sums(rounds: Sequence[StepCosts]) -> dict[str, list[float]]:
    """Return the processor time of each step and of the life, one per round, without the simulated third parties."""
    sums = {step: [compute_own_cpu(each[step]) for each in rounds] for step in rounds[0]}
    return {**sums, LIFE: [sum(values) for values in zip(*sums.values(), strict=True)]}


def compute_life_ratio(mesh: Sequence[StepCosts], baseline: Sequence[StepCosts]) -> float:
    """Return the processor time of a life compared with the baseline, from the round in which each step is cheapest.

    Other work on the machine only adds processor time, so the smallest value of a step contains the least of it.
    """
    own, other = (
        sum(min(runs) for step, runs in compute_sums(each).items() if step != LIFE) for each in (mesh, baseline)
    )
    return own / other


def build_cpu_goals(rounds: Sequence[StepCosts]) -> Iterator[Row]:
    """Yield the goals of the mesh's processor time."""
    for step, runs in compute_sums(rounds).items():
        yield require_at_most(f"{PART}: {step}, CPU", CPU_GOALS_MS[step], runs, "ms")


def build_ratios(mesh: Sequence[StepCosts], baseline: Sequence[StepCosts]) -> Iterator[Row]:
    """Yield the processor time of each step and of the life compared with the baseline, paired by round."""
    baseline_sums = compute_sums(baseline)
    for step, runs in compute_sums(mesh).items():
        ratios = [own / other for own, other in zip(runs, baseline_sums[step], strict=True)]
        name = f"{PART}: {step}, CPU vs baseline"
        yield require_at_most(name, MAX_RATIO, ratios) if step == LIFE else create_informational_row(name, ratios, "×")


def build_amounts(system: str, unit: str, rounds: Sequence[StepCosts]) -> Iterator[Row]:
    """Yield every amount of every step."""
    for step, amounts in rounds[0].items():
        for name in amounts:
            runs = [each[step][name] for each in rounds]
            yield create_informational_row(f"{PART}: {system}: {step}: {name}", runs, unit)


def build_idle_rows(rates: Amounts) -> Iterator[Row]:
    """Yield the processor time of the idle mesh."""
    yield require_at_most(f"{PART}: idle mesh, CPU per second", MAX_IDLE_MS_PER_S, [compute_own_cpu(rates)], "ms")
    for group, rate in rates.items():
        yield create_informational_row(f"{PART}: idle: {group}", [rate], "ms/s")
