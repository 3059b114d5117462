"""Evaluation of the output of Compose and of the commands in containers."""

import json
from typing import Any

import pytest
import yaml
from rich.console import Console

from tests.conftest import ROOT
from tests.containers.compose import (
    VERSION_COMMANDS,
    Restarts,
    has_failed,
    is_healthy,
    is_one_shot,
    list_containers,
    parse_reconciliation,
    parse_version,
)
from tests.containers.report import SERVERS
from tests.containers.terminal import ContainerTestError, Terminal

SERVICES = yaml.load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)["services"]


def test_containers_are_listed_by_service() -> None:
    containers = [{"Service": "orders", "State": "running"}, {"Service": "mongo", "State": "exited"}]
    assert list_containers("\n".join(map(json.dumps, containers))) == {each["Service"]: each for each in containers}


@pytest.mark.parametrize(
    ("container", "expected"),
    [
        ({"State": "running", "Health": "healthy"}, True),
        ({"State": "running", "Health": ""}, True),
        ({"State": "running"}, True),
        ({"State": "running", "Health": "starting"}, False),
        ({"State": "running", "Health": "unhealthy"}, False),
        ({"State": "restarting", "Health": ""}, False),
    ],
)
def test_container_is_healthy_if_running_without_failed_check(container: dict[str, str], expected: bool) -> None:
    assert is_healthy(container) is expected


@pytest.mark.parametrize(
    ("container", "expected"),
    [
        ({"Service": "orders", "State": "running", "Health": "healthy"}, False),
        ({"Service": "orders", "State": "running", "Health": "starting"}, True),
        ({"Service": "orders", "State": "exited", "ExitCode": 0}, True),
        ({"Service": "orders-demo", "State": "exited", "ExitCode": 0}, False),
        ({"Service": "orders-demo", "State": "exited", "ExitCode": 1}, True),
        ({"Service": "gateway-envoy", "State": "created", "ExitCode": 0}, False),
    ],
)
def test_failed_container_is_neither_healthy_nor_completed(container: dict[str, Any], expected: bool) -> None:
    assert has_failed(container) is expected


def test_one_shot_services_complete_before_another_starts() -> None:
    awaited = {
        name
        for service in SERVICES.values()
        for name, options in service.get("depends_on", {}).items()
        if options["condition"] == "service_completed_successfully"
    }
    assert awaited == set(filter(is_one_shot, SERVICES))


def test_reconciliation_without_findings_returns_its_orders() -> None:
    assert parse_reconciliation("12 orders reconciled, 0 discrepancies, 0 stuck; 0 overdue events") == 12


@pytest.mark.parametrize(
    "output",
    [
        "no summary",
        "12 orders reconciled, 1 discrepancies, 0 stuck; 0 overdue events",
        "12 orders reconciled, 0 discrepancies, 2 stuck; 0 overdue events",
        "12 orders reconciled, 0 discrepancies, 0 stuck; 3 overdue events",
    ],
)
def test_reconciliation_with_findings_raises_its_output(output: str) -> None:
    with pytest.raises(ContainerTestError, match=output):
        parse_reconciliation(output)


@pytest.mark.parametrize(
    ("output", "version"),
    [
        ("postgres (PostgreSQL) 18.1", "18.1"),
        ("db version v6.0.5\nBuild Info: {}", "6.0.5"),
        ("3.10.8", "3.10.8"),
        ("envoy  version: 0a1b2c/1.40.0/Clean/RELEASE/BoringSSL", "1.40.0"),
        ("none", "unknown version"),
    ],
)
def test_version_is_the_first_number_of_the_output(output: str, version: str) -> None:
    assert parse_version(output) == version


def test_services_of_versions_and_report_exist() -> None:
    assert VERSION_COMMANDS.keys() <= SERVERS.keys() <= SERVICES.keys()


async def test_progress_is_the_fraction_of_restarted_containers(monkeypatch: pytest.MonkeyPatch) -> None:
    restarted: list[tuple[str, float]] = []
    restarts = Restarts(Terminal(Console()), ["orders", "mongo"])
    monkeypatch.setattr(restarts, "_restart", lambda service: restarted.append((service, restarts.progress)))
    await restarts.restart_all()
    assert restarted == [("orders", 0.0), ("mongo", 0.5)]
    assert restarts.progress == 1.0
    assert restarts.progressed.is_set()
