"""Metrics after the scenarios: expected metrics, labels from the contracts, and metrics used by alerts."""

import json
import re
from collections.abc import Iterator
from contextlib import suppress

import grpc
import httpx
import pytest
import yaml
from rich.console import Console

from codegen import contracts
from codegen.rest.operations import iter_operations
from deploy.local.demo import scenarios
from deploy.local.demo.scenario_context import ScenarioContext
from services.notifications.domain.notifications import Outcome, Provider
from services.orders.domain.orders import OrderStatus
from services.orders.domain.reconciliation import DiscrepancyKind
from services.partners.domain.call_policy import CallKind
from services.partners.domain.call_policy import Outcome as CallOutcome
from services.runtime.messaging.events import EXCHANGE
from services.runtime.messaging.topology import QUEUES, RETRY_QUEUES, get_dead_letter_queue
from services.runtime.telemetry.http_server import METHODS, OTHER_METHOD
from tests import metrics_scraping
from tests.conftest import ROOT, Mesh
from tests.metrics_scraping import EXPECTED_METRICS, PROBE_PORTS, SERVICES, Scrape
from tests.poison_message import poison_message
from tests.wait import wait_until

OBSERVABILITY = ROOT / "generated/observability"
CODE_NAMES = ("db_operation_name", "db_collection_name", "db_response_status_code", "error_type")
"""Labels with names that are defined in code: commands, tables, collections, exception types and status codes."""

BOUNDED_LABELS = ("currency", "server_address", "server_port")
"""Labels with values that no contract lists; the number of their values is limited."""


@pytest.fixture(scope="module")
def dead_letter(mesh: Mesh) -> Iterator[None]:
    """Create a dead letter of orders.history with an unknown event type."""
    with poison_message("poison-for-metrics", "unknown.type"):
        yield


def cancel_paid_order(context: ScenarioContext) -> None:
    """Pay and cancel an order, and wait for the refund."""
    for scenario in (scenarios.register, scenarios.check, scenarios.confirm, scenarios.pay):
        scenario(context)
    context.request("POST", f"/orders/{context.order_id}/cancel", 200, user="customer", json={})
    context.wait_until("refund is completed", lambda: context.get_order()["refund_status"] == "refunded")


def find_missing(scrapes: dict[str, Scrape]) -> dict[str, list[str]]:
    """Return the expected metrics that are missing, by service."""
    missing = {
        service: metrics_scraping.find_missing_metrics(scrapes[service], EXPECTED_METRICS["metrics"][service])
        for service in SERVICES
    }
    return {service: names for service, names in missing.items() if names}


@pytest.fixture(scope="module")
def scraped(mesh: Mesh, dead_letter: None) -> dict[str, Scrape]:
    """Scrape all services after the seven scenarios, a cancelled order and a dead letter."""
    with (
        httpx.Client(base_url=mesh.edge_url, timeout=20, trust_env=False) as edge,
        httpx.Client(base_url=mesh.sandbox_url, timeout=20, trust_env=False) as sandbox,
    ):
        context = ScenarioContext(edge, sandbox, Console(quiet=True))
        for scenario in scenarios.SCENARIOS:
            scenario(context)
        cancel_paid_order(ScenarioContext(edge, sandbox, Console(quiet=True)))
    scrapes: dict[str, Scrape] = {}

    def has_all_metrics() -> bool:
        scrapes.update({service: metrics_scraping.scrape_service(service) for service in SERVICES})
        return not find_missing(scrapes)

    # The tests name the metrics that are still missing after the timeout.
    with suppress(TimeoutError):
        wait_until(has_all_metrics, interval_s=0.1)
    return scrapes


@pytest.mark.parametrize("service", SERVICES)
def test_service_exposes_expected_metrics(scraped: dict[str, Scrape], service: str) -> None:
    assert metrics_scraping.find_missing_metrics(scraped[service], EXPECTED_METRICS["metrics"][service]) == []


@pytest.mark.parametrize("service", SERVICES)
def test_missing_metric_is_reported(scraped: dict[str, Scrape], service: str) -> None:
    for expected in EXPECTED_METRICS["metrics"][service]:
        without = [sample for sample in scraped[service] if sample.name != expected["metric"]]
        missing = metrics_scraping.find_missing_metrics(without, [expected])
        assert any(expected["metric"] in description for description in missing)


def test_labels_are_names_of_contracts(scraped: dict[str, Scrape]) -> None:
    loaded = contracts.load(ROOT)
    events = [event.type for event in loaded.protos.events]
    allowed_values = {
        "operation": {operation.id for operation in iter_operations(loaded, "delivery")} | {"other"},
        "rpc_method": {
            method.path.removeprefix("/") for service in loaded.protos.services for method in service.methods
        },
        "event": {*events, "other"},
        "queue": {*QUEUES, *map(get_dead_letter_queue, QUEUES), *RETRY_QUEUES},
        "outcome": {
            "consumed",
            "retried",
            "waiting",
            "dead",
            *Outcome,
            *CallOutcome,
            "refunded",
            "failed",
            "repaired",
            "reported",
        },
        "kind": {*CallKind, *DiscrepancyKind, "refund", "partner_call", "notification", "code_request"},
        "provider": set(Provider),
        "from": {*OrderStatus, "none"},
        "to": set(OrderStatus),
        "http_request_method": {*METHODS, OTHER_METHOD},
        "http_route": {f"/api/v1{operation.path}" for operation in iter_operations(loaded, "delivery")} | {""},
        "http_response_status_code": {"", *map(str, range(200, 600))},
        "url_scheme": {"http", "https"},
        "rpc_system_name": {"grpc"},
        "rpc_response_status_code": {code.name for code in grpc.StatusCode},
        "messaging_system": {"rabbitmq"},
        "messaging_operation_name": {"publish", "process", "consume"},
        "messaging_operation_type": {"send"},
        "messaging_destination_name": {EXCHANGE, *QUEUES},
        "db_system_name": {"postgresql", "memcached", "mongodb"},
        "db_namespace": {"", *SERVICES},
    }
    for scrape in scraped.values():
        for sample in scrape:
            if sample.name == "target_info":
                continue
            assert sample.labels.keys() <= {*allowed_values, *CODE_NAMES, *BOUNDED_LABELS, "le"}, sample
            assert all(re.fullmatch(r"\w*", sample.labels.get(label, "")) for label in CODE_NAMES), sample
            assert re.fullmatch("[A-Z]{3}|other", sample.labels.get("currency", "USD")), sample
            assert re.fullmatch(r"\d{0,5}", sample.labels.get("server_port", "")), sample
            for label, value in sample.labels.items():
                assert value in allowed_values.get(label, {value}), sample


def test_metrics_of_alerts_and_dashboard_exist(scraped: dict[str, Scrape]) -> None:
    """Labels added by Prometheus, metrics of recording rules, and labels of failed operations are excepted."""
    labels: dict[str, set[str]] = {"up": set()}
    for sample in [
        sample for service in SERVICES for sample in (*scraped[service], *metrics_scraping.scrape_envoy(service))
    ]:
        labels.setdefault(sample.name, set()).update(sample.labels)
    rules = [
        rule
        for group in yaml.load((OBSERVABILITY / "alerts.yml").read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)[
            "groups"
        ]
        for rule in group["rules"]
    ]
    for rule in rules:
        if "record" in rule:
            labels.setdefault(rule["record"], set()).update(rule["labels"])
    panels = json.loads((OBSERVABILITY / "dashboard.json").read_text(encoding="utf-8"))["panels"]
    expressions = [rule["expr"] for rule in rules if "alert" in rule]
    expressions += [target["expr"] for panel in panels for target in panel.get("targets", [])]
    for expression in expressions:
        selectors = list(metrics_scraping.parse_selectors(expression))
        assert selectors, expression
        for name, matched_labels in selectors:
            assert name in labels, f"no metric {name}: {expression}"
            known_labels = labels[name] | {"job", "service", "error_type"}
            assert matched_labels <= known_labels, f"unknown label of {name}: {expression}"


@pytest.mark.parametrize("port", PROBE_PORTS.values())
@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(("POST", path) for path in ("/metrics", "/stats/prometheus", "/healthcheck/fail")),
        *(("HEAD", path) for path in ("/metrics", "/stats/prometheus")),
        *(("GET", path) for path in ("/", "/x", "/stats", "/clusters", "/config_dump")),
    ],
)
def test_probe_port_returns_404_for_other_requests(mesh: Mesh, port: int, method: str, path: str) -> None:
    assert httpx.request(method, f"http://127.0.0.1:{port}{path}", trust_env=False).status_code == 404


@pytest.mark.parametrize("port", PROBE_PORTS.values())
def test_probe_port_serves_the_statistics_of_envoy(mesh: Mesh, port: int) -> None:
    response = httpx.get(f"http://127.0.0.1:{port}/stats/prometheus", trust_env=False)
    assert response.status_code == 200
    assert "envoy_server_live" in response.text


def test_edge_does_not_expose_metrics(mesh: Mesh) -> None:
    assert httpx.get(f"{mesh.edge_url}/metrics", trust_env=False).status_code == 404
