"""Tables of the cost of an order's life, for the terminal."""

from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

from bench.order_life.costs import Amounts, compute_own_cpu, format_amount
from bench.order_life.systems import THIRD_PARTIES

WIDTH = 120
"""Width of the tables in characters."""


def print_costs(title: str, costs_by_step: Mapping[str, Amounts], *, has_sum: bool) -> None:
    """Print a row per amount and a column per step, with the sum of the steps."""
    table = Table(title=title)
    table.add_column("", no_wrap=True)
    for step in (*costs_by_step, "life"):
        table.add_column(step, justify="right", no_wrap=True)

    def add_row(name: str, values: list[float], style: str = "") -> None:
        table.add_row(name, *map(format_amount, [*values, sum(values)]), style=style)

    names = [*next(iter(costs_by_step.values()))]
    for name in names:
        if name != THIRD_PARTIES:
            add_row(name, [amounts[name] for amounts in costs_by_step.values()])
    if has_sum:
        table.add_section()
        add_row("sum", [compute_own_cpu(amounts) for amounts in costs_by_step.values()], "bold")
        add_row(THIRD_PARTIES, [amounts[THIRD_PARTIES] for amounts in costs_by_step.values()], "dim")
    Console(width=WIDTH).print(table)
