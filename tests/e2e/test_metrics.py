"""What the matrix wants is told after the scenarios; labels are the contracts' names; alerts ask for what there is."""

import json
import re
import time
from collections.abc import Iterator

import grpc
import httpx
import pytest
import yaml
from rich.console import Console

from codegen import contracts
from codegen.rest.operations import operations
from deploy.local.demo import scenarios
from deploy.local.demo.scenarios import ScenarioContext
from services.notifications.domain.notifications import Outcome, Provider
from services.orders.domain.orders import OrderStatus
from services.orders.domain.reconciliation import DiscrepancyKind
from services.partners.domain.call_policy import CallKind
from services.partners.domain.call_policy import Outcome as Answered
from services.runtime.messaging.topology import QUEUES, RETRY_QUEUES
from tests import metrics_scraping
from tests.conftest import ROOT, Mesh
from tests.metrics_scraping import EXPECTED_METRICS, PROBE_PORTS, SERVICES, Scrape
from tests.poison_message import poison_message
from tests.wait import TIMEOUT_S

OBSERVABILITY = ROOT / "generated/observability"


@pytest.fixture(scope="module")
def poison(mesh: Mesh) -> Iterator[None]:
    """A dead letter of orders.history, of a type that nobody knows."""
    with poison_message("poison-for-metrics", "nobody.knows"):
        yield


def cancelled(world: ScenarioContext) -> None:
    """An order is paid and cancelled, and its money goes back."""
    for scenario in (scenarios.register, scenarios.check, scenarios.confirm, scenarios.pay):
        scenario(world)
    world.request("POST", f"/orders/{world.order_id}/cancel", 200, user="customer", json={})
    world.wait_until("the money is back", lambda: world.get_order()["refund_status"] == "refunded")


def lacking(told: dict[str, Scrape]) -> dict[str, list[str]]:
    """By service, what the matrix wants and nobody tells."""
    found = {
        service: metrics_scraping.find_missing_metrics(told[service], EXPECTED_METRICS["metrics"][service])
        for service in SERVICES
    }
    return {service: names for service, names in found.items() if names}


@pytest.fixture(scope="module")
def scraped(mesh: Mesh, poison: None) -> dict[str, Scrape]:
    """What every service tells after the seven scenarios, a cancelled order and a message that nobody can read."""
    with (
        httpx.Client(base_url=mesh.edge_url, timeout=20, trust_env=False) as edge,
        httpx.Client(base_url=mesh.sandbox_url, timeout=20, trust_env=False) as outside,
    ):
        world = ScenarioContext(edge, outside, Console(quiet=True))
        for scenario in scenarios.SCENARIOS:
            scenario(world)
        cancelled(ScenarioContext(edge, outside, Console(quiet=True)))
    end = time.monotonic() + TIMEOUT_S
    while (
        lacking(told := {service: metrics_scraping.scrape_service(service) for service in SERVICES})
        and time.monotonic() < end
    ):
        time.sleep(0.1)
    return told


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_tells_what_the_matrix_says(scraped: dict[str, Scrape], service: str) -> None:
    assert metrics_scraping.find_missing_metrics(scraped[service], EXPECTED_METRICS["metrics"][service]) == []


@pytest.mark.parametrize("service", SERVICES)
def test_a_metric_that_is_removed_is_missed(scraped: dict[str, Scrape], service: str) -> None:
    for wanted in EXPECTED_METRICS["metrics"][service]:
        without = [sample for sample in scraped[service] if sample.name != wanted["metric"]]
        assert any(wanted["metric"] in each for each in metrics_scraping.find_missing_metrics(without, [wanted]))


def test_labels_are_names_of_the_contracts(scraped: dict[str, Scrape]) -> None:
    source = contracts.load(ROOT)
    events = [event.type for event in source.protos.events]
    known = {
        "operation": {operation.id for operation in operations(source, "delivery")} | {"other"},
        "rpc_method": {m.path.removeprefix("/") for service in source.protos.services for m in service.methods},
        "event": {*events, "other"},
        "queue": {*QUEUES, *RETRY_QUEUES},
        "outcome": {
            "consumed",
            "retried",
            "waiting",
            "dead",
            *Outcome,
            *Answered,
            "refunded",
            "failed",
            "repaired",
            "reported",
        },
        "kind": {*CallKind, *DiscrepancyKind},
        "provider": set(Provider),
        "from": {*OrderStatus, "none"},
        "to": set(OrderStatus),
        "http_response_status_code": {"499", *map(str, range(200, 600))},
        "rpc_response_status_code": {code.name for code in grpc.StatusCode},
    }
    for scrape in scraped.values():
        for sample in scrape:
            if sample.name == "target_info":
                continue
            assert sample.labels.keys() <= {*known, "le", "currency"}, sample
            assert re.fullmatch("[A-Z]{3}|other", sample.labels.get("currency", "USD")), sample
            for label, value in sample.labels.items():
                assert value in known.get(label, {value}), sample


def test_what_alerts_and_the_dashboard_ask_for_is_there(scraped: dict[str, Scrape]) -> None:
    """But for labels that Prometheus adds, and metrics that rules record."""
    labels: dict[str, set[str]] = {"up": set()}
    for sample in [
        each for service in SERVICES for each in (*scraped[service], *metrics_scraping.scrape_envoy(service))
    ]:
        labels.setdefault(sample.name, set()).update(sample.labels)
    rules = [
        rule
        for group in yaml.safe_load((OBSERVABILITY / "alerts.yml").read_text())["groups"]
        for rule in group["rules"]
    ]
    for rule in rules:
        if "record" in rule:
            labels.setdefault(rule["record"], set()).update(rule["labels"])
    panels = json.loads((OBSERVABILITY / "dashboard.json").read_text())["panels"]
    asked = [rule["expr"] for rule in rules if "alert" in rule]
    asked += [target["expr"] for panel in panels for target in panel.get("targets", [])]
    for expr in asked:
        found = list(metrics_scraping.parse_selectors(expr))
        assert found, expr
        for name, matched in found:
            assert name in labels, f"nobody tells {name}: {expr}"
            assert matched <= labels[name] | {"job", "service"}, f"{name} has no such label: {expr}"


@pytest.mark.parametrize("number", PROBE_PORTS.values())
@pytest.mark.parametrize(("method", "path"), [("POST", "/metrics"), ("HEAD", "/metrics"), ("GET", "/"), ("GET", "/x")])
def test_the_probe_door_has_nothing_else(mesh: Mesh, number: int, method: str, path: str) -> None:
    assert httpx.request(method, f"http://127.0.0.1:{number}{path}", trust_env=False).status_code == 404


def test_metrics_are_not_to_be_had_at_the_edge(mesh: Mesh) -> None:
    assert httpx.get(f"{mesh.edge_url}/metrics", trust_env=False).status_code == 404
