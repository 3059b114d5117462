"""Markdown tables of the cost of an order's life, from the saved rows."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from bench.order_life.costs import compute_own_cpu, format_amount
from bench.order_life.rows import LIFE, PART
from bench.order_life.steps import STEPS
from bench.order_life.systems import THIRD_PARTIES
from bench.results import Row, format_value

CPU_UNIT, COUNT_UNIT = "ms", "per operation"
SYSTEMS = ("mesh", "baseline")
HEADER = f"| | {' | '.join([*STEPS, LIFE])} |\n|{' --- |' * (len(STEPS) + 2)}\n"


def is_amount(row: Row) -> bool:
    """Return whether the row is one amount of one step, which only the tables of this module show."""
    return row.part == PART and row.name.count(": ") == 3


def collect_costs(rows: Iterable[Row], system: str, unit: str) -> dict[str, dict[str, float]]:
    """Return the amounts of a system in a unit, by step."""
    costs: dict[str, dict[str, float]] = {}
    for row in rows:
        if is_amount(row) and row.unit == unit:
            _, name, step, amount = row.name.split(": ")
            if name == system:
                costs.setdefault(step, {})[amount] = row.value
    return {step: costs[step] for step in STEPS if step in costs}


def _render_line(label: str, values: Sequence[float]) -> str:
    return f"| {' | '.join([label, *map(format_amount, [*values, sum(values)])])} |\n"


def _render_costs(costs: Mapping[str, Mapping[str, float]], *, has_sum: bool) -> Iterator[str]:
    """Yield a table with a line per amount, the largest first, and a column per step."""
    names = sorted(next(iter(costs.values())), key=lambda name: -sum(amounts[name] for amounts in costs.values()))
    yield HEADER
    for name in names:
        if name != THIRD_PARTIES:
            yield _render_line(name, [amounts[name] for amounts in costs.values()])
    if has_sum:
        yield _render_line("**sum**", [compute_own_cpu(amounts) for amounts in costs.values()])
        yield _render_line(THIRD_PARTIES, [amounts[THIRD_PARTIES] for amounts in costs.values()])
    yield "\n"


def render_costs(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the tables of processor time and of counted work of both systems."""
    for system in SYSTEMS:
        if cpu := collect_costs(rows, system, CPU_UNIT):
            yield f"CPU time of the {system} in milliseconds per operation:\n\n"
            yield from _render_costs(cpu, has_sum=True)
        if counts := collect_costs(rows, system, COUNT_UNIT):
            yield f"Work of the {system} per operation:\n\n"
            yield from _render_costs(counts, has_sum=False)


def render_headline(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the processor time of each step at both systems, and its ratio."""
    yield HEADER
    for system in SYSTEMS:
        costs = collect_costs(rows, system, CPU_UNIT)
        yield _render_line(f"{system}, CPU in ms", [compute_own_cpu(amounts) for amounts in costs.values()])
    ratios = {row.name: format_value(row.value) for row in rows}
    cells = [f"{ratios[f'{PART}: {step}, CPU vs baseline']} ×" for step in (*STEPS, LIFE)]
    yield f"| mesh vs baseline | {' | '.join(cells)} |\n"
