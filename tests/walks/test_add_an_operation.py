"""docs/add-an-operation.md, walked: what comes of it, called from outside, beside the test that the page writes."""

from collections.abc import Iterator

import httpx
import pytest
import yaml
from rich.console import Console

from deploy.local import scenarios
from deploy.local.scenarios import World
from tests.walks.conftest import Walk, walk

NOTE = {"text": "The bell is broken; knock."}

pytestmark = pytest.mark.timeout(400)  # the walk is the fixture's, and boots a mesh


@pytest.fixture(scope="module")
def walked() -> Iterator[Walk]:
    with walk("add-an-operation.md") as found:
        yield found


@pytest.fixture(scope="module")
def world(walked: Walk) -> Iterator[World]:
    """A customer with a pending order."""
    with (
        httpx.Client(base_url=walked.edge, timeout=20, trust_env=False) as edge,
        httpx.Client(base_url=walked.sandbox, timeout=20, trust_env=False) as sandbox,
    ):
        made = World(edge, sandbox, Console(quiet=True))
        for scenario in (scenarios.register, scenarios.check, scenarios.confirm):
            scenario(made)
        yield made


def test_a_note_passes_the_edge_and_its_event_becomes_history(world: World) -> None:
    path = f"/orders/{world.order_id}"
    assert world.call("POST", f"{path}/notes", 200, who="customer", json=NOTE)["version"] == 2
    page = world.until(
        "the event is consumed",
        lambda: (found := world.call("GET", f"{path}/history", 200, who="customer"))["items"][1:] and found,
    )
    assert [(entry["status"], entry.get("note")) for entry in page["items"]] == [
        ("pending", None),
        ("pending", NOTE["text"]),
    ]


def test_the_contracts_bounds_hold_without_a_line_of_code(world: World) -> None:
    path = f"/orders/{world.order_id}/notes"
    world.call("POST", path, 401, json=NOTE)
    for wrong in ({}, {"text": ""}, {"text": "x" * 501}, NOTE | {"more": 1}):
        world.call("POST", path, 400, who="customer", json=wrong)
    world.call("POST", "/orders/nobodys/notes", 404, who="customer", json=NOTE)
    assert world.edge.get(f"/api/v1{path}").status_code == 405


def test_it_is_published_in_every_form(walked: Walk, world: World) -> None:
    document = world.edge.get("/openapi.json").json()
    assert document["paths"]["/orders/{order_id}/notes"]["post"]["operationId"] == "leaveNote"
    assert "orders.noted" in str(yaml.safe_load(world.edge.get("/asyncapi.yaml").text))
    reference = (walked.root / "generated/docs/reference.md").read_text()
    assert "LeaveNote" in reference
    assert "orders.noted" in reference
