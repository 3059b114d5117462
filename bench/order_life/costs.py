"""Cost of each step of an order's life: processor time by group of processes, and counted work."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from bench.load_generator import measure_cpu_s
from bench.order_life.systems import THIRD_PARTIES, Groups

IDLE_S = 20
"""Time over which the cost of idle processes is measured by default, in seconds."""

type Amounts = Mapping[str, float]
"""Processor time in milliseconds by group, or amounts of counted work by kind."""


class Reading(NamedTuple):
    """Totals at one time, in monotonic seconds."""

    at: float
    amounts: Amounts

    def compute_difference(self, earlier: "Reading") -> "Reading":
        """Return the difference to an earlier reading; its time is the duration."""
        return Reading(
            self.at - earlier.at, {name: value - earlier.amounts[name] for name, value in self.amounts.items()}
        )


def create_reading(amounts: Amounts) -> Reading:
    """Return a reading of the present time."""
    return Reading(time.monotonic(), amounts)


def read_cpu_ms(groups: Groups) -> Reading:
    """Return the processor time of each group in milliseconds."""
    return create_reading({group: 1000 * measure_cpu_s(pids) for group, pids in groups.items()})


def measure_rates(readers: Sequence[Callable[[], Reading]], duration_s: float = IDLE_S) -> list[Amounts]:
    """Return the amounts per second of each reader while no step is taken."""
    before = [read() for read in readers]
    time.sleep(duration_s)
    differences = [read().compute_difference(earlier) for read, earlier in zip(readers, before, strict=True)]
    return [{name: value / difference.at for name, value in difference.amounts.items()} for difference in differences]


def compute_cost(difference: Reading, idle_rates: Amounts, operations: int) -> Amounts:
    """Return the amounts of one operation, without those of the same time without operations."""
    return {name: (value - idle_rates[name] * difference.at) / operations for name, value in difference.amounts.items()}


def compute_own_cpu(amounts: Amounts) -> float:
    """Return the processor time of a system, without the simulated third parties."""
    return sum(value for group, value in amounts.items() if group != THIRD_PARTIES)


def format_amount(value: float) -> str:
    """Return the amount with one decimal. A small negative amount is noise of the subtraction of idle amounts."""
    return f"{round(value, 1) + 0:.1f}"
