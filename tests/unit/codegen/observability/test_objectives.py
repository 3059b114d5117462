"""Objectives of the specification, and their recording rules; tests/contract runs the expressions with promtool."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from codegen.errors import ContractError
from codegen.observability.objectives import (
    REQUIRED_KEYS,
    SPECIFICATION,
    BurnRate,
    get_specification,
    iter_recording_rules,
    load_specification,
    to_seconds,
)
from tests.conftest import ROOT
from tests.unit.codegen.sample_contracts import create_contracts

RULES = {(rule["record"], rule["labels"]["slo"]): rule["expr"] for rule in iter_recording_rules(create_contracts())}
CONTENT = yaml.load((ROOT / SPECIFICATION).read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)


def write_specification(folder: Path, **changes: object) -> Path:
    path = folder / "observability.yaml"
    path.write_text(yaml.safe_dump(CONTENT | changes), encoding="utf-8")
    return path


def test_burn_rates_are_those_of_the_sre_workbook() -> None:
    burn_rates = get_specification(create_contracts()).burn_rates
    assert burn_rates["fast"] == (BurnRate(14.4, "1h", "5m"), BurnRate(6, "6h", "30m"))
    assert burn_rates["slow"] == (BurnRate(3, "1d", "2h"), BurnRate(1, "3d", "6h"))


def test_condition_compares_both_windows_with_the_burnt_budget() -> None:
    condition = BurnRate(14.4, "1h", "5m").render_condition("availability", 0.001)
    assert condition.count(" > 0.0144 and ") == 2
    assert 'ratio_rate1h{slo="availability"}' in condition
    assert 'ratio_rate5m{slo="availability"}' in condition
    assert condition.endswith("* 300 > 3)")


@pytest.mark.parametrize("objective", ["availability", "latency"])
def test_every_window_of_an_alert_is_recorded(objective: str) -> None:
    windows = get_specification(create_contracts()).list_windows()
    assert windows == ["5m", "30m", "1h", "2h", "6h", "1d", "3d"]
    for window in windows:
        for metric in ("slo_requests:rate", "slo_failed_requests:rate", "slo_errors:ratio_rate"):
            assert (f"delivery:{metric}{window}", objective) in RULES


def test_long_windows_are_averages_of_the_shortest() -> None:
    assert (
        RULES["delivery:slo_requests:rate3d", "latency"]
        == 'avg_over_time(delivery:slo_requests:rate5m{slo="latency"}[3d])'
    )


def test_latency_excludes_event_streams() -> None:
    for metric in ("requests", "failed_requests"):
        assert 'operation!~"watchNote"' in RULES[f"delivery:slo_{metric}:rate5m", "latency"]


@pytest.mark.parametrize(("window", "seconds"), [("5m", 300), ("6h", 21_600), ("3d", 259_200)])
def test_window_is_converted_to_seconds(window: str, seconds: int) -> None:
    assert to_seconds(window) == seconds


@pytest.mark.parametrize("target", [0, 100, 999])
def test_target_outside_percentages_is_rejected(tmp_path: Path, target: int) -> None:
    objectives = CONTENT["objectives"] | {"availability": {"target": target}}
    with pytest.raises(ContractError, match="availability"):
        load_specification(write_specification(tmp_path, objectives=objectives))


@pytest.mark.parametrize("key", REQUIRED_KEYS)
def test_missing_key_is_rejected(tmp_path: Path, key: str) -> None:
    path = tmp_path / "observability.yaml"
    path.write_text(yaml.safe_dump({name: each for name, each in CONTENT.items() if name != key}), encoding="utf-8")
    with pytest.raises(ContractError, match=f"the key {key} is missing"):
        load_specification(path)


def test_relative_runbook_url_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="runbook_url"):
        load_specification(write_specification(tmp_path, runbook_url="docs/runbook.md"))


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        (
            {"objectives": CONTENT["objectives"] | {"beauty": {"target": 5}}},
            "objectives are not availability and latency",
        ),
        ({"objectives": {"latency": CONTENT["objectives"]["latency"]}}, "objectives are not availability and latency"),
        (
            {"objectives": CONTENT["objectives"] | {"latency": {"target": 99}}},
            "the objective latency lacks `threshold`",
        ),
        ({"burn_rates": {"quick": CONTENT["burn_rates"]["fast"]}}, "burn_rates are not fast and slow"),
        (
            {"burn_rates": {"fast": [], "slow": [{"rate": 1, "long_window": "1 hour", "short_window": "5m"}]}},
            "matching regex",
        ),
        ({"alerts": {"a": [{"name": "X"}]}}, "Object missing required field `expr`"),
        ({"dashboard": {"a": [{"title": "T", "unit": "s"}]}}, "the panel T has neither `series` nor `by` and `expr`"),
        ({"span_parameters": "id"}, "Expected `array`, got `str` at span_parameters"),
    ],
)
def test_invalid_specification_is_rejected(tmp_path: Path, changes: dict[str, Any], error: str) -> None:
    with pytest.raises(ContractError) as caught:
        load_specification(write_specification(tmp_path, **changes))
    assert error in str(caught.value)
