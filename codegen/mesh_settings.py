"""Generator of the properties of the mesh that the runtime needs: `mesh.py`."""

from codegen.contracts import Contracts, Files
from codegen.events.broker_definitions import OBSOLETE_QUEUES_KEY
from codegen.mesh import MESH_FILE
from codegen.observability.objectives import SPECIFICATION, get_specification


def generate(contracts: Contracts) -> Files:
    """Generate `mesh.py`."""
    obsolete_queues = tuple(contracts.mesh.get(OBSOLETE_QUEUES_KEY, ()))
    span_parameters = sorted(get_specification(contracts).span_parameters)
    return {
        "mesh.py": f'''"""Written by `make generate` from {MESH_FILE} and {SPECIFICATION}. Do not edit."""

from pathlib import Path

NAME = {contracts.name!r}
"""Name of the mesh: prefix of its metrics, and name of its virtual host."""

OBSOLETE_QUEUES: tuple[str, ...] = {obsolete_queues!r}
"""Queues of earlier releases that no consumer uses; their service deletes them."""

SPAN_PARAMETERS: frozenset[str] = frozenset({span_parameters!r})
"""Path parameters recorded as span attributes, to search traces by. None of them identifies a user."""

FOLDER = Path(__file__).parent
"""Folder of the generated files."""
'''
    }
