"""A recorded run of the seven scenarios, shared by all tests of its traces."""

import functools
from typing import NamedTuple

from deploy.local.demo.scenario_context import ScenarioContext
from deploy.local.demo.trace_recorder import RecordedTrace, collect_traces, run_scenarios
from tests.conftest import Mesh, shift_port


class RecordedRun(NamedTuple):
    """Traces of the steps, and the scenario context with closed clients."""

    traces: list[RecordedTrace]
    context: ScenarioContext

    def find_traces(self, scenario: str, name: str) -> list[RecordedTrace]:
        """Return the traces of the steps with a name, for example "POST /api/v1/orders"."""
        return [trace for trace in self.traces if (trace.step.scenario, trace.step.name) == (scenario, name)]


def get_traces_url() -> str:
    """Return the URL of the trace viewer of the tests' mesh."""
    return f"http://127.0.0.1:{shift_port(16686)}"


@functools.cache
def record_run(mesh: Mesh) -> RecordedRun:
    """Run the scenarios twice and record the second run. The first completes unfinished work of earlier tests."""
    run_scenarios(mesh.edge_url, mesh.sandbox_url)
    context = run_scenarios(mesh.edge_url, mesh.sandbox_url)
    return RecordedRun(collect_traces(get_traces_url(), context.steps), context)
