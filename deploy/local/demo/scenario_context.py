"""Context of the demo scenarios: HTTP clients that print each request and record its traces."""

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import httpx
from rich.console import Console

TIMEOUT_S = 15.0
"""Seconds to wait for an asynchronous effect before the scenario fails."""


class Step(NamedTuple):
    """Request of a scenario and its trace. Example of `name`: "POST /orders/{order_id}/cancel"."""

    scenario: str
    actor: str
    name: str
    status: int
    trace_id: str


class ScenarioFailed(Exception):
    """A scenario had an unexpected result, which the message describes."""


@dataclass
class ScenarioContext:
    """HTTP clients of the edge and the sandbox, and state that scenarios pass to each other."""

    edge: httpx.Client
    sandbox: httpx.Client
    console: Console
    traces_url: str = ""
    """Base URL of the trace viewer, for links to traces in the output; empty for no links."""
    scenario: str = ""
    steps: list[Step] = field(default_factory=list)
    email: str = field(default_factory=lambda: f"ada-{secrets.token_hex(4)}@delivery.test")
    device: str = field(default_factory=lambda: f"phone-{secrets.token_hex(4)}")
    tokens: dict[str, str] = field(default_factory=dict)
    check_id: str = ""
    order_id: str = ""
    checkout: dict[str, Any] = field(default_factory=dict)

    def request(self, method: str, path: str, expected_status: int, *, user: str | None = None, **body: Any) -> Any:
        """Send a request to the edge, print its status, duration and trace, and return the JSON body.

        Raises ScenarioFailed for another status.
        """
        headers = {"authorization": f"Bearer {self.tokens[user]}"} if user else {}
        return self._send_request(
            self.edge, user or "visitor", method, f"/api/v1{path}", expected_status, headers=headers, **body
        )

    def request_sandbox(self, method: str, path: str, expected_status: int, **body: Any) -> Any:
        """Send a request to the sandbox, which makes it act as an external system; otherwise as `request`."""
        actor = "bank" if path.startswith("/checkout") else "partner system"
        return self._send_request(self.sandbox, actor, method, path, expected_status, **body)

    def _send_request(
        self, client: httpx.Client, actor: str, method: str, path: str, expected_status: int, **options: Any
    ) -> Any:
        started_at = time.perf_counter()
        response = client.request(method, path, **options)
        duration_ms = (time.perf_counter() - started_at) * 1000
        name = f"{method} {path.partition('?')[0]}"
        name = name.replace(self.order_id, "{order_id}") if self.order_id else name
        traces = self._extract_traces(client, response)
        steps = [Step(self.scenario, actor, name, status, trace_id) for status, trace_id in traces]
        self.steps += steps
        is_expected = response.status_code == expected_status
        self.console.print(
            f"    [dim]{method:6}[/] {path.split('?', maxsplit=1)[0]:<58} "
            f"[{'green' if is_expected else 'red'}]{response.status_code}[/] [dim]{duration_ms:6.0f} ms[/]",
            highlight=False,
        )
        for step in steps:
            self.console.print(f"           [dim]{self.traces_url}/trace/{step.trace_id}[/]", highlight=False)
        if not is_expected:
            raise ScenarioFailed(
                f"{method} {path} returned {response.status_code}, expected {expected_status}: {response.text[:400]}"
            )
        return response.json() if response.content and "json" in response.headers.get("content-type", "") else None

    def _extract_traces(self, client: httpx.Client, response: httpx.Response) -> list[tuple[int, str]]:
        """Return status and trace id of a response of the edge, or of the callbacks that the sandbox sent."""
        if client is self.edge:
            parts = response.headers.get("traceresponse", "").split("-")
            return [(response.status_code, parts[1])] if len(parts) == 4 else []
        body = response.json() if "json" in response.headers.get("content-type", "") else {}
        callbacks = body.get("callbacks", [body]) if isinstance(body, dict) else []
        return [(callback["status"], callback["trace_id"]) for callback in callbacks if "trace_id" in callback]

    def run_scenario(self, scenario: Callable[["ScenarioContext"], None]) -> None:
        """Run a scenario. Raises ScenarioFailed."""
        self.scenario = scenario.__name__
        scenario(self)

    def wait_until(self, description: str, probe: Callable[[], Any]) -> Any:
        """Poll until the probe returns a true value, and return it. Raises ScenarioFailed after TIMEOUT_S."""
        started_at = time.perf_counter()
        while not (result := probe()):
            if time.perf_counter() - started_at > TIMEOUT_S:
                raise ScenarioFailed(f"{description}: timeout after {TIMEOUT_S:.0f} seconds")
            time.sleep(0.05)
        duration_ms = (time.perf_counter() - started_at) * 1000
        self.console.print(
            f"    [dim]await [/] {description:<58} [green]ok[/]  [dim]{duration_ms:6.0f} ms[/]",
            highlight=False,
        )
        return result

    def get_order(self, user: str = "customer") -> Any:
        """Return the order as a user, without output."""
        headers = {"authorization": f"Bearer {self.tokens[user]}"}
        return self.edge.get(f"/api/v1/orders/{self.order_id}", headers=headers).json()

    def get_from_sandbox(self, path: str) -> Any:
        """Return the JSON body of a sandbox path, without output."""
        return self.sandbox.get(path).json()


@contextmanager
def open_context(edge_url: str, sandbox_url: str, console: Console, traces_url: str = "") -> Iterator[ScenarioContext]:
    """Open the HTTP clients and yield a context without a session; close them at the end."""
    with (
        httpx.Client(base_url=edge_url, timeout=20, trust_env=False) as edge,
        httpx.Client(base_url=sandbox_url, timeout=20, trust_env=False) as sandbox,
    ):
        yield ScenarioContext(edge, sandbox, console, traces_url)
