"""Prometheus with the generated configuration, except ports and intervals: scraping, rules and alerts."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from deploy.local.mesh_config import SERVICES
from tests.conftest import PORT_OFFSET, ROOT, Mesh
from tests.contract.test_observability import PROMTOOL
from tests.free_ports import find_free_port
from tests.poison_message import poison_message
from tests.wait import wait_until

OBSERVABILITY = ROOT / "generated/observability"


def shift_target(target: str) -> str:
    """Return the target with the port of the tests' mesh."""
    host, _, port = target.partition(":")
    return f"{host}:{int(port) + PORT_OFFSET}"


def build_config() -> dict[str, Any]:
    """Return the generated configuration with targets of the tests' mesh, scraped every second."""
    config: dict[str, Any] = yaml.load(
        (OBSERVABILITY / "prometheus.yml").read_text(encoding="utf-8"), Loader=yaml.CSafeLoader
    )
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(OBSERVABILITY / "alerts.yml")]
    for job in config["scrape_configs"]:
        for group in job["static_configs"]:
            group["targets"] = [shift_target(target) for target in group["targets"]]
    return config


@pytest.fixture(scope="module")
def prometheus(mesh: Mesh, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Run Prometheus. Yields a client of its API."""
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "prometheus.yml").write_text(yaml.safe_dump(build_config()), encoding="utf-8")
    port = find_free_port()
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

        def is_ready() -> bool:
            assert process.poll() is None, (folder / "log").read_text(encoding="utf-8")
            try:
                return client.get("/query", params={"query": "1"}).is_success
            except httpx.TransportError:
                return False

        wait_until(is_ready, description="Prometheus is ready")
        yield client
    process.terminate()
    process.wait(10)


def query_prometheus(prometheus: httpx.Client, query: str) -> list[dict[str, Any]]:
    """Return the result of a query. Raises AssertionError if the query is invalid."""
    body = prometheus.get("/query", params={"query": query}).json()
    assert body["status"] == "success", body
    result: list[dict[str, Any]] = body["data"]["result"]
    return result


def test_every_scrape_target_is_up(prometheus: httpx.Client) -> None:
    def are_targets_up() -> bool:
        targets = prometheus.get("/targets").json()["data"]["activeTargets"]
        return len(targets) == 2 * len(SERVICES) and all(target["health"] == "up" for target in targets)

    wait_until(are_targets_up, description="every target is up")


def test_rules_are_evaluated_without_errors(prometheus: httpx.Client) -> None:
    def are_rules_evaluated() -> bool:
        groups = prometheus.get("/rules").json()["data"]["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        assert not (errors := [rule["lastError"] for rule in rules if rule.get("lastError")]), errors
        return bool(rules) and all(rule["health"] == "ok" for rule in rules)

    wait_until(are_rules_evaluated, description="every rule is evaluated")


def test_dead_letter_alert_fires_and_resolves(prometheus: httpx.Client) -> None:
    alert = 'ALERTS{alertname="DeadLetters", alertstate="firing", queue="orders.history", service="orders"}'
    with poison_message(f"poison-{time.monotonic_ns()}", "unknown.type"):
        wait_until(lambda: query_prometheus(prometheus, alert), description="alert is firing")
    wait_until(lambda: not query_prometheus(prometheus, alert), description="alert is resolved")


def test_no_other_alert_is_pending(prometheus: httpx.Client) -> None:
    alerts = 'ALERTS{alertname=~".*Down|.*Unavailable|.*Expiring|OutboxLag|QueueBacklog"}'
    try:
        wait_until(lambda: not query_prometheus(prometheus, alerts), description="no alert is pending")
    except TimeoutError as error:
        raise AssertionError([alert["metric"] for alert in query_prometheus(prometheus, alerts)]) from error
