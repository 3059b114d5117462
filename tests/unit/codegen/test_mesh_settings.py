"""Properties of the mesh that the runtime needs."""

from typing import Any

from codegen import mesh_settings
from tests.unit.codegen.sample_contracts import create_contracts


def generate(**changes: Any) -> dict[str, Any]:
    """Return the constants of the generated module."""
    contracts = create_contracts(mesh={"name": "notes", "sidecars": ["gateway"], **changes})
    module: dict[str, Any] = {"__file__": "/repository/generated/mesh.py"}
    exec(str(mesh_settings.generate(contracts)["mesh.py"]), module)  # noqa: S102 (the source is generated)
    return module


def test_name_and_obsolete_queues_are_those_of_the_mesh() -> None:
    module = generate(obsolete_queues=["notes.old"])
    assert (module["NAME"], module["OBSOLETE_QUEUES"]) == ("notes", ("notes.old",))
    assert generate()["OBSOLETE_QUEUES"] == ()


def test_span_parameters_are_those_of_the_specification() -> None:
    assert "order_id" in generate()["SPAN_PARAMETERS"]
    assert generate()["FOLDER"].as_posix() == "/repository/generated"
