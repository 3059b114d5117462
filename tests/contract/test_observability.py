"""Every alert is shown to fire, and leads to a chapter that helps; Prometheus understands all that it is asked."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from codegen import contracts
from codegen.rest.operations import operations
from tests.conftest import ROOT
from tests.contract.alert_cases import CASES, NEVER, Case

GENERATED = ROOT / "generated/observability"
PROMTOOL = shutil.which("promtool") or str(ROOT / ".local/prometheus/usr/bin/promtool")
"""`deploy/local/setup.sh prometheus` puts it there."""

RULES: dict[str, Any] = yaml.safe_load((GENERATED / "alerts.yml").read_text())
ALERTS = {rule["alert"]: rule for group in RULES["groups"] for rule in group["rules"] if "alert" in rule}
CHAPTERS = dict(
    re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", (ROOT / "docs/runbook.md").read_text(), re.MULTILINE | re.DOTALL)
)


def promtool(*arguments: str | Path) -> None:
    """Says what it said when it is not content."""
    done = subprocess.run([PROMTOOL, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


FIRING: list[dict[str, Any]] = [{"labels": "{}", "value": 1}]
SILENT: list[dict[str, Any]] = []


def asked(name: str, series: dict[str, str], minutes: dict[int, list[dict[str, Any]]]) -> dict[str, Any]:
    """How a test of promtool says when an alarm is raised and when it is not."""
    questions = [
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
        "promql_expr_test": questions,
    }


def run(folder: Path, tests: list[dict[str, Any]]) -> None:
    path = folder / "tests.yml"
    rules = {"rule_files": [str(GENERATED / "alerts.yml")], "evaluation_interval": "1m"}
    path.write_text(yaml.safe_dump(rules | {"tests": tests}))
    promtool("test", "rules", path)


def test_there_is_a_case_for_every_alert() -> None:
    assert CASES.keys() == ALERTS.keys()


def test_every_alert_fires_when_it_should_and_not_before(tmp_path: Path) -> None:
    run(
        tmp_path,
        [asked(name, case.series, {case.silent: SILENT, case.fires: FIRING}) for name, case in CASES.items()],
    )


def test_what_is_as_it_should_be_raises_no_alarm(tmp_path: Path) -> None:
    run(tmp_path, [asked(name, series, dict.fromkeys((10, 40, 55), SILENT)) for name, series in NEVER.items()])


def test_an_alert_that_does_not_fire_is_noticed(tmp_path: Path) -> None:
    case: Case = CASES["DeadLetters"]
    with pytest.raises(AssertionError, match="DeadLetters"):
        run(tmp_path, [asked("DeadLetters", case.series, {case.silent: FIRING})])


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_leads_to_a_chapter_that_says_where_to_look_and_what_to_do(name: str) -> None:
    page, _, anchor = ALERTS[name]["annotations"]["runbook_url"].partition("#")
    assert page == "docs/runbook.md"
    chapter = {heading.lower(): text for heading, text in CHAPTERS.items()}[anchor]
    meaning, envoy, command = re.split(r"^(?=Envoy: |Command: )", chapter, flags=re.MULTILINE)
    assert len(meaning.strip()) > 40
    pages = re.findall(r"990\d(/[^`]*)", envoy)
    assert pages or "not involved" in envoy
    allowed = ("/ready", "/stats", "/clusters", "/config_dump", "/healthcheck/", "/drain_listeners")
    assert all(path.startswith(allowed) for path in pages), "the admin answers for these pages only"
    goals = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    commands = re.findall(r"`make ([a-z-]+)", command)
    assert commands
    assert set(commands) <= set(goals)


def test_no_chapter_is_about_nothing() -> None:
    assert CHAPTERS.keys() == ALERTS.keys()


def test_prometheus_understands_its_configuration() -> None:
    promtool("check", "config", GENERATED / "prometheus.yml")


def test_prometheus_understands_the_dashboard(tmp_path: Path) -> None:
    board = json.loads((GENERATED / "dashboard.json").read_text())
    asked = [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]
    assert len(asked) > 50
    rules = [
        {"record": f"dashboard:{number}", "expr": expr.replace("$__rate_interval", "1m")}
        for number, expr in enumerate(asked)
    ]
    path = tmp_path / "dashboard.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    promtool("check", "rules", path)


def test_no_panels_of_the_dashboard_share_a_place_or_a_number() -> None:
    panels = json.loads((GENERATED / "dashboard.json").read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not taken & cells, panel["title"]
        taken |= cells


def test_the_dashboard_shows_every_operation_method_and_queue() -> None:
    source = contracts.load(ROOT)
    text = (GENERATED / "dashboard.json").read_text()
    methods = [method.path.removeprefix("/") for service in source.protos.services for method in service.methods]
    queues = [queue for event in source.protos.events for queue in event.queues]
    for name in (*(operation.id for operation in operations(source, "delivery")), *methods, *queues):
        assert re.search(rf"(?<=[\"|]){re.escape(name)}(?=[\\|])", text), name
