"""Alert rules with their runbook sections, Prometheus configuration and dashboard."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from codegen import contracts
from codegen.observability.objectives import BurnRate, get_specification, to_seconds
from codegen.rest.operations import iter_operations
from services.runtime.telemetry.histograms import BUCKET_BOUNDS_S
from tests.conftest import ROOT
from tests.contract.alert_cases import CASES, INACTIVE_SERIES, Case, fail_at_the_edge, slow_down_requests

GENERATED = ROOT / "generated/observability"
PROMTOOL = shutil.which("promtool") or str(ROOT / ".local/prometheus/usr/bin/promtool")
"""Installed by `deploy/local/setup.sh prometheus`."""

SPECIFICATION = get_specification(contracts.load_compiled(ROOT))
RULES: dict[str, Any] = yaml.load((GENERATED / "alerts.yml").read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
ALERTS = {rule["alert"]: rule for group in RULES["groups"] for rule in group["rules"] if "alert" in rule}
RUNBOOK_SECTIONS = dict(
    re.findall(
        r"^## (\w+)\n(.*?)(?=^## |\Z)", (ROOT / "docs/runbook.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
)


def promtool(*arguments: str | Path) -> None:
    """Run promtool; a failure is an assertion error with its output."""
    result = subprocess.run(
        [PROMTOOL, *map(str, arguments)], capture_output=True, text=True, check=False, encoding="utf-8"
    )
    assert result.returncode == 0, f"{result.stdout}\n{result.stderr}"


FIRING: list[dict[str, Any]] = [{"labels": "{}", "value": 1}]
INACTIVE: list[dict[str, Any]] = []


def promtool_test(name: str, series: dict[str, str], minutes: dict[int, list[dict[str, Any]]]) -> dict[str, Any]:
    """Return a promtool test of the state of an alert at the given minutes."""
    expression_tests = [
        {
            "expr": f'count(ALERTS{{alertname="{name}", alertstate="firing"}})',
            "eval_time": f"{minute}m",
            "exp_samples": samples,
        }
        for minute, samples in minutes.items()
    ]
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": expression_tests,
    }


def run_promtool_tests(
    folder: Path,
    tests: list[dict[str, Any]],
    rules_file: Path = GENERATED / "alerts.yml",
    evaluation_interval: str = "1m",
) -> None:
    """Run promtool tests of a rules file. Raises AssertionError if one fails."""
    path = folder / "tests.yml"
    groups = yaml.load(rules_file.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)["groups"]
    rules = {
        "rule_files": [str(rules_file)],
        "evaluation_interval": evaluation_interval,
        # Otherwise an alert may be evaluated before the recording rules that it reads.
        "group_eval_order": [group["name"] for group in groups],
    }
    path.write_text(yaml.safe_dump(rules | {"tests": tests}), encoding="utf-8")
    promtool("test", "rules", path)


def test_every_alert_has_a_case() -> None:
    assert CASES.keys() == ALERTS.keys()


def test_alert_fires_only_while_its_condition_holds(tmp_path: Path) -> None:
    run_promtool_tests(
        tmp_path,
        [
            promtool_test(name, case.series, {case.inactive_minute: INACTIVE, case.firing_minute: FIRING})
            for name, case in CASES.items()
        ],
    )


def test_healthy_metrics_raise_no_alert(tmp_path: Path) -> None:
    run_promtool_tests(
        tmp_path,
        [
            promtool_test(name, series, dict.fromkeys((10, 40, 55), INACTIVE))
            for name, series in INACTIVE_SERIES.items()
        ],
    )


def test_alert_that_does_not_fire_fails_the_test(tmp_path: Path) -> None:
    case: Case = CASES["DeadLetters"]
    with pytest.raises(AssertionError, match="DeadLetters"):
        run_promtool_tests(tmp_path, [promtool_test("DeadLetters", case.series, {case.inactive_minute: FIRING})])


REQUESTS_PER_MINUTE = 10_000
HEALTHY_MINUTES = 3 * 24 * 60
"""Duration of the longest window, so that every window is full when the errors start."""

RECOVERY_MINUTES = 8 * 60

BURN_RATES = [
    pytest.param(objective, speed, burn_rate, id=f"{objective}-{burn_rate.long_window}")
    for objective in SPECIFICATION.targets
    for speed, burn_rates in SPECIFICATION.burn_rates.items()
    for burn_rate in burn_rates
]


def build_series(objective: str, error_ratio: float, minutes: int) -> dict[str, str]:
    """Return series without errors for HEALTHY_MINUTES, then with an error ratio, then without errors again."""
    errors = round(REQUESTS_PER_MINUTE * error_ratio)
    successes = REQUESTS_PER_MINUTE - errors
    end = HEALTHY_MINUTES + minutes + RECOVERY_MINUTES
    if objective == "availability":
        failed = f"0x{HEALTHY_MINUTES} 0+{errors}x{minutes} {errors * minutes}x{RECOVERY_MINUTES}"
        return fail_at_the_edge(f"0+{REQUESTS_PER_MINUTE}x{end}", failed)
    start = REQUESTS_PER_MINUTE * HEALTHY_MINUTES
    fast = (
        f"0+{REQUESTS_PER_MINUTE}x{HEALTHY_MINUTES} {start}+{successes}x{minutes}"
        f" {start + successes * minutes}+{REQUESTS_PER_MINUTE}x{RECOVERY_MINUTES}"
    )
    return slow_down_requests(f"0+{REQUESTS_PER_MINUTE}x{end}", fast)


@pytest.mark.parametrize(("objective", "speed", "burn_rate"), BURN_RATES)
def test_burn_rate_alert_fires_after_its_share_of_the_long_window(
    tmp_path: Path, objective: str, speed: str, burn_rate: BurnRate
) -> None:
    """The error ratio is 1.25 times that of the burn rate: it exceeds the average after 80 percent of the window.

    That is below the ratio of all faster burn rates. The alert ends when the errors have left all short windows.
    """
    long_minutes = to_seconds(burn_rate.long_window) // 60
    end = HEALTHY_MINUTES + round(1.25 * long_minutes)
    recovery = max(to_seconds(each.short_window) // 60 for each in SPECIFICATION.burn_rates[speed])
    interval = 5 if long_minutes < 24 * 60 else 30
    minutes = {
        HEALTHY_MINUTES + round(0.7 * long_minutes): INACTIVE,
        HEALTHY_MINUTES + round(1.2 * long_minutes): FIRING,
        end + recovery + 30: INACTIVE,
    }
    error_ratio = 1.25 * burn_rate.rate * SPECIFICATION.get_budget(objective)
    test = promtool_test(
        f"Edge{objective.title()}{speed.title()}Burn",
        build_series(objective, error_ratio, end - HEALTHY_MINUTES),
        {minute // interval * interval: samples for minute, samples in minutes.items()},
    )
    rules = {"groups": [group for group in RULES["groups"] if group["name"] in ("objectives", "burn-rates")]}
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(rules), encoding="utf-8")
    run_promtool_tests(tmp_path, [test], tmp_path / "rules.yml", f"{interval}m")


def test_latency_threshold_is_a_bucket_bound() -> None:
    assert SPECIFICATION.latency_threshold_s in BUCKET_BOUNDS_S


@pytest.mark.parametrize("name", ALERTS)
def test_alert_runbook_section_has_envoy_page_and_command(name: str) -> None:
    page, _, anchor = ALERTS[name]["annotations"]["runbook_url"].partition("#")
    assert page == SPECIFICATION.runbook_url
    section = {heading.lower(): text for heading, text in RUNBOOK_SECTIONS.items()}[anchor]
    meaning, envoy, command = re.split(r"^(?=Envoy: |Command: )", section, flags=re.MULTILINE)
    assert len(meaning.strip()) > 40
    pages = re.findall(r"990\d(/[^`]*)", envoy)
    assert pages or "not involved" in envoy
    allowed = ("/ready", "/stats", "/clusters", "/config_dump", "/healthcheck/", "/drain_listeners")
    assert all(path.startswith(allowed) for path in pages), "the admin interface permits only these paths"
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    commands = re.findall(r"`make ([a-z-]+)", command)
    assert commands
    assert set(commands) <= set(targets)


def test_runbook_sections_match_alerts() -> None:
    assert RUNBOOK_SECTIONS.keys() == ALERTS.keys()


def test_prometheus_configuration_is_valid() -> None:
    promtool("check", "config", GENERATED / "prometheus.yml")


def test_dashboard_expressions_are_valid(tmp_path: Path) -> None:
    dashboard = json.loads((GENERATED / "dashboard.json").read_text(encoding="utf-8"))
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    assert len(expressions) > 50
    rules = [
        {"record": f"dashboard:{number}", "expr": expr.replace("$__rate_interval", "1m")}
        for number, expr in enumerate(expressions)
    ]
    path = tmp_path / "dashboard.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}), encoding="utf-8")
    promtool("check", "rules", path)


def test_dashboard_panels_have_unique_ids_and_positions() -> None:
    panels = json.loads((GENERATED / "dashboard.json").read_text(encoding="utf-8"))["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    occupied: set[tuple[int, int]] = set()
    for panel in panels:
        grid = panel["gridPos"]
        assert grid["x"] + grid["w"] <= 24
        columns, rows = range(grid["x"], grid["x"] + grid["w"]), range(grid["y"], grid["y"] + grid["h"])
        cells = {(x, y) for x in columns for y in rows}
        assert not occupied & cells, panel["title"]
        occupied |= cells


def test_dashboard_shows_every_operation_method_and_queue() -> None:
    source = contracts.load(ROOT)
    text = (GENERATED / "dashboard.json").read_text(encoding="utf-8")
    methods = [method.path.removeprefix("/") for service in source.protos.services for method in service.methods]
    queues = [queue for event in source.protos.events for queue in event.queues]
    for name in (*(operation.id for operation in iter_operations(source, "delivery")), *methods, *queues):
        assert re.search(rf"(?<=[\"|]){re.escape(name)}(?=[\\|])", text), name
