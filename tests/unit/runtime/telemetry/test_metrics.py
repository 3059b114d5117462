"""Counters, bounded labels and observable gauges."""

import timeit
from collections import Counter as Multiset
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.metrics import CallbackOptions

from services.runtime.telemetry.metrics import METER, OTHER, BoundedLabel, Counter, ObservableGauge, setup_metrics


@given(st.lists(st.text(max_size=3)), st.integers(0, 5))
def test_bounded_label_has_at_most_max_values_and_other(names: list[str], max_values: int) -> None:
    label = BoundedLabel(max_values)
    values = {label.normalise(name) for name in names}
    assert len(values - {OTHER}) <= max_values
    assert len(values) <= max_values + 1


def test_bounded_label_accepts_known_values_for_ever() -> None:
    label = BoundedLabel(2)
    assert [label.normalise(value) for value in ("a", "b", "c", "a", "b")] == ["a", "b", OTHER, "a", "b"]


def test_gauge_reports_the_latest_values_with_labels() -> None:
    gauge = ObservableGauge("test.depth", "Test gauge.", "{message}", "queue")
    gauge.set({("a",): 1, ("b",): 2})
    gauge.set({("b",): 3})
    (observation,) = gauge._observe(CallbackOptions())
    assert (observation.value, observation.attributes) == (3, {"queue": "b"})
    gauge.set({})
    assert list(gauge._observe(CallbackOptions())) == []


def test_gauge_value_needs_one_value_per_label() -> None:
    gauge = ObservableGauge("test.pairs", "Test gauge.", "{message}", "queue", "kind")
    gauge.set({("a",): 1})
    with pytest.raises(ValueError, match="zip"):
        list(gauge._observe(CallbackOptions()))


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9)), max_size=20))
def test_counter_has_the_sum_of_each_series(additions: list[tuple[str, int]]) -> None:
    counter = Counter("test.sums", "Test counter.")
    expected: Multiset[str] = Multiset()
    for name, amount in additions:
        counter.add(amount, {"name": name, "kind": 1})
        expected[name] += amount
    observed = {observation.attributes["name"]: observation.value for observation in _observe(counter)}
    assert observed == dict(expected)
    assert all(observation.attributes["kind"] == 1 for observation in _observe(counter))


def test_series_of_a_counter_may_be_added_during_a_scrape() -> None:
    counter = Counter("test.concurrent.additions", "Test counter.")
    counter.initialise_to_zero([{"name": "first"}])
    observations = iter(counter._observe(CallbackOptions()))
    next(observations)
    counter.add(1, {"name": "second"})
    assert list(observations) == []
    assert len(_observe(counter)) == 2


def test_counter_is_exported_as_monotonic_sum_with_zeros() -> None:
    counter = Counter("test.additions", "Test counter.", "{addition}")
    counter.initialise_to_zero([{"name": "never"}, {"name": "twice"}])
    counter.add(2, {"name": "twice"})
    exported = setup_metrics("test", "test").render().decode()
    assert "# TYPE test_additions_total counter" in exported
    assert 'test_additions_total{name="never"} 0.0' in exported
    assert 'test_additions_total{name="twice"} 2.0' in exported


def test_counter_takes_less_than_a_third_of_the_sdks_time() -> None:
    """Measure both alternately in one process, so that load of the machine affects both."""
    setup_metrics("test", "test")
    sdk_counter, counter = METER.create_counter("test.sdk.additions"), Counter("test.own.additions", "Test counter.")
    attributes = {"queue": "other", "event": "other"}
    own_s, sdk_s = (
        min(timeit.repeat(add, number=2000, repeat=7))
        for add in (lambda: counter.add(1, attributes), lambda: sdk_counter.add(1, attributes))
    )
    assert own_s < sdk_s / 3


def _observe(counter: Counter) -> list[Any]:
    return list(counter._observe(CallbackOptions()))
