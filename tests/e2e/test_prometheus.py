"""Prometheus itself, with our configuration but for ports and pace: it understands every door, and raises the alarm."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.conftest import PORT_OFFSET, ROOT, Mesh
from tests.contract.test_observability import PROMTOOL
from tests.envoys import find_free_ports
from tests.poison_message import poison_message
from tests.wait import wait_until

OBSERVABILITY = ROOT / "generated/observability"


def shifted(target: str) -> str:
    """Where the tests' mesh has the door."""
    host, _, number = target.partition(":")
    return f"{host}:{int(number) + PORT_OFFSET}"


def configuration() -> dict[str, Any]:
    """Ours, every second, at the tests' mesh."""
    made: dict[str, Any] = yaml.safe_load((OBSERVABILITY / "prometheus.yml").read_text())
    made["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    made["rule_files"] = [str(OBSERVABILITY / "alerts.yml")]
    for job in made["scrape_configs"]:
        for group in job["static_configs"]:
            group["targets"] = [shifted(target) for target in group["targets"]]
    return made


@pytest.fixture(scope="module")
def prometheus(mesh: Mesh, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of its API."""
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration()))
    (port,) = find_free_ports(1)
    options = {
        "config.file": folder / "prometheus.yml",
        "storage.tsdb.path": folder / "data",
        "web.listen-address": f"127.0.0.1:{port}",
        "log.level": "warn",
    }
    command = [
        str(Path(PROMTOOL).with_name("prometheus")),
        *(f"--{name}={value}" for name, value in options.items()),
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1", trust_env=False, timeout=10) as client:

        def ready() -> bool:
            assert process.poll() is None, (folder / "log").read_text()
            try:
                return client.get("/query", params={"query": "1"}).is_success
            except httpx.TransportError:
                return False

        wait_until("Prometheus answers", ready)
        yield client
    process.terminate()
    process.wait(10)


def ask(prometheus: httpx.Client, query: str) -> list[dict[str, Any]]:
    """What it knows now. Raises AssertionError when it does not understand."""
    answer = prometheus.get("/query", params={"query": query}).json()
    assert answer["status"] == "success", answer
    found: list[dict[str, Any]] = answer["data"]["result"]
    return found


def test_every_door_is_understood(prometheus: httpx.Client) -> None:
    def scraped() -> bool:
        targets = prometheus.get("/targets").json()["data"]["activeTargets"]
        return len(targets) == 8 and all(each["health"] == "up" for each in targets)

    wait_until("every target is up", scraped)


def test_rules_are_evaluated_without_a_mishap(prometheus: httpx.Client) -> None:
    def evaluated() -> bool:
        groups = prometheus.get("/rules").json()["data"]["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        assert not (wrong := [rule["lastError"] for rule in rules if rule.get("lastError")]), wrong
        return bool(rules) and all(rule["health"] == "ok" for rule in rules)

    wait_until("every rule was evaluated", evaluated)


def test_a_dead_letter_raises_its_alarm_and_takes_it_back(prometheus: httpx.Client) -> None:
    alarm = 'ALERTS{alertname="DeadLetters", alertstate="firing", queue="orders.history", service="orders"}'
    with poison_message(f"poison-{time.monotonic_ns()}", "nobody.knows"):
        wait_until("the alarm is raised", lambda: ask(prometheus, alarm))
    wait_until("the alarm is over", lambda: not ask(prometheus, alarm))


def test_nothing_else_is_amiss(prometheus: httpx.Client) -> None:
    amiss = 'ALERTS{alertname=~".*Down|.*Away|.*Expiring|OutboxLag|QueueBacklog"}'
    wait_until("no alarm is even pending", lambda: not ask(prometheus, amiss))
