"""Computation and rendering of the cost of an order's life."""

import os
import time

import pytest

from bench.load_generator import measure_cpu_s
from bench.order_life import markdown, rows, traffic_counters
from bench.order_life.costs import Reading, compute_cost, compute_own_cpu, format_amount
from bench.order_life.effects import count_finished
from bench.order_life.steps import STEPS
from bench.order_life.systems import THIRD_PARTIES
from bench.results import Row

MESH = [{step: {"orders": 4.0, THIRD_PARTIES: 50.0} for step in STEPS}]
BASELINE = [{step: {"FastAPI": 5.0, THIRD_PARTIES: 50.0} for step in STEPS}]


def build_rows() -> list[Row]:
    """Return the rows of the mesh and the baseline."""
    return [
        *rows.build_ratios(MESH, BASELINE),
        *rows.build_amounts("mesh", "ms", MESH),
        *rows.build_amounts("baseline", "ms", BASELINE),
    ]


def test_cost_of_an_operation_excludes_idle_amounts() -> None:
    before, after = Reading(100, {"orders": 1000}), Reading(102, {"orders": 1520})
    difference = after.compute_difference(before)
    assert compute_cost(difference, {"orders": 10}, operations=50) == {"orders": 10}


def test_own_cpu_excludes_simulated_third_parties() -> None:
    assert compute_own_cpu({"orders": 3, "edge": 1, THIRD_PARTIES: 9}) == 4


def test_goals_are_those_of_each_step_and_of_the_life() -> None:
    goals = {row.name: row for row in rows.build_cpu_goals(MESH)}
    assert goals["order-life: check, CPU"].met is False
    assert goals["order-life: pay, CPU"].met is True
    assert goals["order-life: life, CPU"].value == 4 * len(STEPS)


def test_ratios_are_paired_by_round_and_only_the_life_has_a_goal() -> None:
    second = [{step: {"orders": 10.0, THIRD_PARTIES: 0.0} for step in STEPS}]
    ratios = {row.name: row for row in rows.build_ratios([*MESH, *second], [*BASELINE, *second])}
    assert ratios["order-life: pay, CPU vs baseline"].runs == [0.8, 1]
    assert ratios["order-life: pay, CPU vs baseline"].met is None
    assert ratios["order-life: life, CPU vs baseline"].met is False


def test_life_ratio_compares_the_minima_of_each_step() -> None:
    rounds = [
        {step: {"orders": 4.0 if (step == "pay") is is_slow else 9.0} for step in STEPS} for is_slow in (True, False)
    ]
    assert rows.compute_life_ratio(rounds, BASELINE) == pytest.approx(0.8)
    assert rows.compute_life_ratio(MESH, [*BASELINE, *rounds]) == pytest.approx(1)


def test_tables_contain_groups_sums_and_third_parties_apart() -> None:
    text = "".join(markdown.render_costs(build_rows()))
    assert f"| orders |{' 4.0 |' * len(STEPS)} 28.0 |" in text
    assert f"| **sum** |{' 4.0 |' * len(STEPS)} 28.0 |" in text
    assert f"| {THIRD_PARTIES} |{' 50.0 |' * len(STEPS)} 350.0 |" in text


def test_negative_amount_is_shown_and_zero_has_no_sign() -> None:
    assert [format_amount(value) for value in (-0.25, -0.01, 0.04, 5.26)] == ["-0.2", "0.0", "0.0", "5.3"]


def test_headline_contains_both_systems_and_their_ratio() -> None:
    text = "".join(markdown.render_headline(build_rows()))
    assert text.count("28.0 |") == 1
    assert text.count("35.0 |") == 1
    assert text.endswith(f"| mesh vs baseline |{' 0.8 × |' * (len(STEPS) + 1)}\n")


def test_broker_counters_are_summed_over_protocols_and_queue_types() -> None:
    text = "[{messages_delivered_total,5},{messages_received_total,7},\n {messages_delivered_total,2}]"
    assert traffic_counters.parse_broker_counters(text) == {
        "AMQP messages published": 7,
        "AMQP messages delivered": 7,
    }


@pytest.mark.parametrize(("delivered", "history", "sent"), [(2, 15, 12), (3, 14, 12), (3, 15, 11)])
def test_order_without_one_of_its_effects_is_not_finished(delivered: int, history: int, sent: int) -> None:
    assert count_finished(3, 15, 12) == 3
    assert count_finished(delivered, history, sent) == 2


def test_cpu_time_of_a_process_is_that_of_its_own_clock() -> None:
    end = time.process_time() + 0.02
    while time.process_time() < end:
        pass
    own, measured = time.process_time(), measure_cpu_s([os.getpid()])
    times = os.times()
    assert measured - times.children_user - times.children_system == pytest.approx(own, abs=0.02)
