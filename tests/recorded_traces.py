"""One run of the seven scenarios, recorded: shared by every test that looks at what it left behind."""

import functools
from typing import NamedTuple

from deploy.local.demo.scenarios import ScenarioContext
from deploy.local.demo.trace_recorder import RecordedTrace, collect_traces, run_scenarios
from tests.conftest import Mesh, shift_port


class RecordedRun(NamedTuple):
    """The steps with their traces, and the world they were made in, closed."""

    traces: list[RecordedTrace]
    context: ScenarioContext

    def find_traces(self, scenario: str, name: str) -> list[RecordedTrace]:
        """The steps of one name: "POST /api/v1/orders"."""
        return [each for each in self.traces if (each.step.scenario, each.step.name) == (scenario, name)]


def get_traces_url() -> str:
    """Where the tests' mesh shows its traces."""
    return f"http://127.0.0.1:{shift_port(16686)}"


@functools.cache
def record_run(mesh: Mesh) -> RecordedRun:
    """Drives them twice: what earlier tests have left half open is settled by the first."""
    run_scenarios(mesh.edge_url, mesh.sandbox_url)
    world = run_scenarios(mesh.edge_url, mesh.sandbox_url)
    return RecordedRun(collect_traces(get_traces_url(), world.steps), world)
