"""docs/add-an-operation.md, walked: what comes of it, called from outside, beside the test that the page writes."""

from collections.abc import Iterator

import httpx
import pytest
import yaml
from rich.console import Console

from deploy.local.demo import scenarios
from deploy.local.demo.scenarios import ScenarioContext
from tests.docs.conftest import DocRun, run_page

NOTE = {"text": "The bell is broken; knock."}

pytestmark = pytest.mark.timeout(400)  # the walk is the fixture's, and boots a mesh


@pytest.fixture(scope="module")
def doc_run() -> Iterator[DocRun]:
    with run_page("add-an-operation.md") as found:
        yield found


@pytest.fixture(scope="module")
def context(doc_run: DocRun) -> Iterator[ScenarioContext]:
    """A customer with a pending order."""
    with (
        httpx.Client(base_url=doc_run.edge_url, timeout=20, trust_env=False) as edge,
        httpx.Client(base_url=doc_run.sandbox_url, timeout=20, trust_env=False) as sandbox,
    ):
        made = ScenarioContext(edge, sandbox, Console(quiet=True))
        for scenario in (scenarios.register, scenarios.check, scenarios.confirm):
            scenario(made)
        yield made


def test_a_note_passes_the_edge_and_its_event_becomes_history(context: ScenarioContext) -> None:
    path = f"/orders/{context.order_id}"
    assert context.request("POST", f"{path}/notes", 200, user="customer", json=NOTE)["version"] == 2
    page = context.wait_until(
        "the event is consumed",
        lambda: (found := context.request("GET", f"{path}/history", 200, user="customer"))["items"][1:] and found,
    )
    assert [(entry["status"], entry.get("note")) for entry in page["items"]] == [
        ("pending", None),
        ("pending", NOTE["text"]),
    ]


def test_the_contracts_bounds_hold_without_a_line_of_code(context: ScenarioContext) -> None:
    path = f"/orders/{context.order_id}/notes"
    context.request("POST", path, 401, json=NOTE)
    for wrong in ({}, {"text": ""}, {"text": "x" * 501}, NOTE | {"more": 1}):
        context.request("POST", path, 400, user="customer", json=wrong)
    context.request("POST", "/orders/nobodys/notes", 404, user="customer", json=NOTE)
    assert context.edge.get(f"/api/v1{path}").status_code == 405


def test_it_is_published_in_every_form(doc_run: DocRun, context: ScenarioContext) -> None:
    document = context.edge.get("/openapi.json").json()
    assert document["paths"]["/orders/{order_id}/notes"]["post"]["operationId"] == "leaveNote"
    assert "orders.noted" in str(yaml.safe_load(context.edge.get("/asyncapi.yaml").text))
    reference = (doc_run.root / "generated/docs/reference.md").read_text()
    assert "LeaveNote" in reference
    assert "orders.noted" in reference
