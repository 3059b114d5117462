"""Bounded labels and observable gauges."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.metrics import CallbackOptions

from services.runtime.telemetry.metrics import OTHER, BoundedLabel, ObservableGauge


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
