"""Requests of demo scenarios: output, recorded steps, and failures."""

from collections.abc import Callable
from io import StringIO

import httpx
import pytest
from rich.console import Console

from deploy.local.demo import scenario_context
from deploy.local.demo.scenario_context import ScenarioContext, ScenarioFailed, Step, open_context

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
TRACE_ID = TRACE.split("-")[1]


def create_context(handle: Callable[[httpx.Request], httpx.Response]) -> ScenarioContext:
    """Return a context whose clients receive the responses of `handle`."""
    edge, sandbox = (
        httpx.Client(base_url=f"http://{name}.test", transport=httpx.MockTransport(handle))
        for name in ("edge", "sandbox")
    )
    return ScenarioContext(edge, sandbox, Console(file=StringIO(), width=200), "http://traces.test")


def get_output(context: ScenarioContext) -> str:
    assert isinstance(context.console.file, StringIO)
    return context.console.file.getvalue()


def test_request_is_sent_as_user_and_recorded_without_order_id() -> None:
    requests: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(200, json={"status": "paid"}, headers={"traceresponse": TRACE})

    context = create_context(handle)
    context.scenario, context.order_id, context.tokens = "pay", "ord_1", {"customer": "secret"}
    assert context.request("GET", "/orders/ord_1?size=1", 200, user="customer") == {"status": "paid"}
    assert str(requests[0].url) == "http://edge.test/api/v1/orders/ord_1?size=1"
    assert requests[0].headers["authorization"] == "Bearer secret"
    assert context.steps == [Step("pay", "customer", "GET /api/v1/orders/{order_id}", 200, TRACE_ID)]
    assert f"http://traces.test/trace/{TRACE_ID}" in get_output(context)


def test_unexpected_status_raises_with_the_response() -> None:
    context = create_context(lambda _: httpx.Response(503, text="unavailable"))
    with pytest.raises(ScenarioFailed, match="POST /api/v1/checks returned 503, expected 200: unavailable"):
        context.request("POST", "/checks", 200)
    assert "503" in get_output(context)


def test_response_without_trace_and_body_is_not_recorded() -> None:
    context = create_context(lambda _: httpx.Response(204))
    assert context.request("DELETE", "/users/me", 204) is None
    assert context.steps == []


@pytest.mark.parametrize(
    ("body", "statuses"),
    [
        ({"status": 200, "trace_id": "1"}, [200]),
        (
            {"callbacks": [{"status": 200, "trace_id": "1"}, {"status": 0}, {"status": 409, "trace_id": "b"}]},
            [200, 409],
        ),
        ([{"status": 200, "trace_id": "1"}], []),
    ],
)
def test_sandbox_request_records_its_callbacks(body: object, statuses: list[int]) -> None:
    context = create_context(lambda _: httpx.Response(200, json=body))
    context.request_sandbox("POST", "/checkout/visa", 200)
    assert [(step.actor, step.status) for step in context.steps] == [("bank", status) for status in statuses]


def test_wait_until_polls_until_the_probe_is_true() -> None:
    context = create_context(lambda _: httpx.Response(204))
    results = iter([None, 0, "ready"])
    assert context.wait_until("the order is ready", lambda: next(results)) == "ready"
    assert "the order is ready" in get_output(context)


def test_wait_until_raises_after_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scenario_context, "TIMEOUT_S", 0.01)
    context = create_context(lambda _: httpx.Response(204))
    with pytest.raises(ScenarioFailed, match="the order is ready: timeout"):
        context.wait_until("the order is ready", lambda: None)


def test_run_scenario_names_its_steps() -> None:
    def pay(context: ScenarioContext) -> None:
        context.request("POST", "/payments", 200)

    context = create_context(lambda _: httpx.Response(200, headers={"traceresponse": TRACE}))
    context.run_scenario(pay)
    assert [step.scenario for step in context.steps] == ["pay"]


def test_open_context_closes_its_clients() -> None:
    with open_context("http://edge.test", "http://sandbox.test", Console(file=StringIO())) as context:
        assert not context.edge.is_closed
    assert context.edge.is_closed
    assert context.sandbox.is_closed
