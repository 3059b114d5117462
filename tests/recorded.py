"""One run of the seven scenarios, recorded: shared by every test that looks at what it left behind."""

import functools
from typing import NamedTuple

from deploy.local.recording import Recorded, drive, record
from deploy.local.scenarios import World
from tests.conftest import Mesh, port


class Run(NamedTuple):
    """The steps with their traces, and the world they were made in, closed."""

    steps: list[Recorded]
    world: World

    def of(self, scenario: str, name: str) -> list[Recorded]:
        """The steps of one name: "POST /api/v1/orders"."""
        return [each for each in self.steps if (each.step.scenario, each.step.name) == (scenario, name)]


def page() -> str:
    """Where the tests' mesh shows its traces."""
    return f"http://127.0.0.1:{port(16686)}"


@functools.cache
def run(mesh: Mesh) -> Run:
    """Drives them twice: what earlier tests have left half open is settled by the first."""
    drive(mesh.edge, mesh.sandbox)
    world = drive(mesh.edge, mesh.sandbox)
    return Run(record(page(), world.steps), world)
