"""Measurement of the steps of an order's life at one system."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Self

from bench.load_generator import LoadError
from bench.mesh import Mesh
from bench.order_life import costs, traffic_counters
from bench.order_life.costs import Amounts, Reading
from bench.order_life.steps import STEPS, Order, create_orders, run_step
from bench.order_life.systems import Observer, System

STATEMENTS, TRANSACTIONS = "SQL statements", "SQL transactions"

type StepCosts = dict[str, Amounts]
"""Amounts of one operation, by step."""


class Measurement:
    """Measures rounds at one system. `count_finished` returns the number of orders with all their effects."""

    def __init__(self, mesh: Mesh, system: System, count_finished: Callable[[Sequence[str]], int]) -> None:
        self._mesh = mesh
        self.system = system
        self._count_finished = count_finished
        self._stack = ExitStack()
        self._tokens = {role: mesh.get_access_token(role) for role in ("customer", "deliverer")}
        self.idle_cpu: Amounts = defaultdict(float)
        self.idle_counts: Amounts = {}

    def __enter__(self) -> Self:
        self._observer = self._stack.enter_context(Observer(self._mesh, self.system))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def wait_until_rest(self) -> None:
        """Wait until no work is pending. Raises TimeoutError or LoadError."""
        self._observer.wait_until_rest()

    def measure_round(self, order_count: int) -> StepCosts:
        """Return the processor time of each step. Raises LoadError if an order lacks an effect at the end."""
        orders, result = create_orders(order_count), {}
        for step in STEPS:
            before = self.read_cpu()
            self._run_step(step, orders)
            result[step] = costs.compute_cost(self.read_cpu().compute_difference(before), self.idle_cpu, order_count)
        self._check_finished(orders)
        return result

    def count_round(self, order_count: int) -> StepCosts:
        """Return the counted work of each step; it also warms up all processes. Raises LoadError as `measure_round`."""
        orders, result = create_orders(order_count), {}
        before = self.read_counts()
        for step in STEPS:
            self._run_step(step, orders)
            after = self.read_counts()
            result[step] = costs.compute_cost(after.compute_difference(before), self.idle_counts, order_count)
            before = after
        self._check_finished(orders)
        return result

    def _run_step(self, step: str, orders: Sequence[Order]) -> None:
        run_step(self.system.api_url, self._mesh.config.sandbox_url, self._tokens, step, orders)
        self._observer.wait_until_rest()

    def _check_finished(self, orders: Sequence[Order]) -> None:
        finished = self._count_finished([order.id for order in orders])
        if finished != len(orders):
            raise LoadError(f"{self.system.name}: {finished} of {len(orders)} orders have all their effects")

    def read_cpu(self) -> Reading:
        """Return the processor time of each group in milliseconds."""
        return costs.read_cpu_ms(self.system.list_groups())

    def read_counts(self) -> Reading:
        """Return the counted work, once all backends of PostgreSQL have reported it."""
        counters = self._observer.counters
        transactions = counters.count_transactions() - self._observer.polls * len(self.system.pending_queries)
        calls = traffic_counters.count_calls(self._mesh) if self.system.has_sidecars else {}
        return costs.create_reading(
            {
                STATEMENTS: counters.count_statements(),
                TRANSACTIONS: transactions,
                **traffic_counters.count_messages(self._mesh),
                **calls,
            }
        )


def measure_idle_cpu(measurements: Sequence[Measurement], duration_s: float = costs.IDLE_S) -> None:
    """Measure the processor time of a second without operations, at all systems together."""
    for measurement in measurements:
        measurement.wait_until_rest()
    rates = costs.measure_rates([measurement.read_cpu for measurement in measurements], duration_s)
    for measurement, idle_cpu in zip(measurements, rates, strict=True):
        measurement.idle_cpu = idle_cpu


def measure_idle_counts(measurements: Sequence[Measurement]) -> None:
    """Measure the counted work of a second without operations, at all systems together."""
    rates = costs.measure_rates([measurement.read_counts for measurement in measurements])
    for measurement, idle_counts in zip(measurements, rates, strict=True):
        measurement.idle_counts = idle_counts
