"""Result of docs/add-an-operation.md, tested through the edge in addition to the test that the page adds."""

import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest
import yaml
from rich.console import Console

from deploy.local.demo import scenarios
from deploy.local.demo.scenario_context import ScenarioContext
from deploy.local.infrastructure.services import build_base_environment, build_service_environment
from deploy.local.mesh_config import MeshConfig
from deploy.local.pki.secrets import Secrets
from tests.docs.conftest import DocRun, run_page

NOTE = {"text": "The bell is broken; knock."}

pytestmark = pytest.mark.timeout(400)  # the fixture runs the page, which starts a mesh


@pytest.fixture(scope="module")
def doc_run() -> Iterator[DocRun]:
    with run_page("add-an-operation.md") as doc_run:
        yield doc_run


@pytest.fixture(scope="module")
def context(doc_run: DocRun) -> Iterator[ScenarioContext]:
    """A scenario context with a customer and a pending order."""
    with (
        httpx.Client(base_url=doc_run.edge_url, timeout=20, trust_env=False) as edge,
        httpx.Client(base_url=doc_run.sandbox_url, timeout=20, trust_env=False) as sandbox,
    ):
        context = ScenarioContext(edge, sandbox, Console(quiet=True))
        for scenario in (scenarios.register, scenarios.check, scenarios.confirm):
            scenario(context)
        yield context


def test_added_operation_works_end_to_end(context: ScenarioContext) -> None:
    path = f"/orders/{context.order_id}"
    assert context.request("POST", f"{path}/notes", 200, user="customer", json=NOTE)["version"] == 2
    page = context.wait_until(
        "event is consumed",
        lambda: (page := context.request("GET", f"{path}/history", 200, user="customer"))["items"][1:] and page,
    )
    assert [(entry["status"], entry.get("note")) for entry in page["items"]] == [
        ("pending", None),
        ("pending", NOTE["text"]),
    ]


def test_order_with_note_has_no_discrepancy(doc_run: DocRun, context: ScenarioContext) -> None:
    config = MeshConfig(doc_run.environment | {"DELIVERY_STATE": str(doc_run.root / ".local/test")})
    environment = (
        build_base_environment(config)
        | dict(build_service_environment(config, Secrets(config), "orders"))
        | {"RECONCILE_QUIET_PERIOD_SECONDS": "0"}
    )
    command = [sys.executable, "-m", "services.orders", "reconcile"]
    completed = subprocess.run(
        command,
        cwd=doc_run.root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        encoding="utf-8",
    )
    assert completed.returncode == 0, completed.stderr
    assert " 0 discrepancies" in completed.stdout
    assert "skipped" not in completed.stdout


def test_added_operation_is_validated_by_contract(context: ScenarioContext) -> None:
    path = f"/orders/{context.order_id}/notes"
    context.request("POST", path, 401, json=NOTE)
    for invalid in ({}, {"text": ""}, {"text": "x" * 501}, NOTE | {"unknown": 1}):
        context.request("POST", path, 400, user="customer", json=invalid)
    context.request("POST", "/orders/no-such-order/notes", 404, user="customer", json=NOTE)
    assert context.edge.get(f"/api/v1{path}").status_code == 405


def test_added_operation_is_published(doc_run: DocRun, context: ScenarioContext) -> None:
    document = context.edge.get("/openapi.json").json()
    assert document["paths"]["/orders/{order_id}/notes"]["post"]["operationId"] == "leaveNote"
    assert "orders.noted" in str(yaml.load(context.edge.get("/asyncapi.yaml").text, Loader=yaml.CSafeLoader))
    reference = (doc_run.root / "generated/docs/reference.md").read_text(encoding="utf-8")
    assert "LeaveNote" in reference
    assert "orders.noted" in reference
