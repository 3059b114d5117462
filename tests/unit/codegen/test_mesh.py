"""Reader of the file of the mesh."""

from pathlib import Path

import pytest

from codegen import mesh
from codegen.contracts import ContractError

MESH = {"sidecars": ["gateway", "notes", "ops"]}


def test_services_are_the_sidecars_without_the_one_for_operators() -> None:
    assert mesh.list_services(MESH) == ["gateway", "notes"]
    assert mesh.list_callees(MESH) == ["notes"]


def test_connections_of_unknown_service_are_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "mesh.yaml"
    file.write_text("sidecars: [gateway, ops]\nconnections: {notes: {}}\n", encoding="utf-8")
    monkeypatch.setattr(mesh, "MESH_FILE", file)
    with pytest.raises(ContractError, match=r"envoy/mesh\.yaml: connections of unknown services: notes"):
        mesh.load_mesh()
