"""Reader of the file of the mesh."""

from pathlib import Path

import pytest

from codegen import mesh
from codegen.contracts import ContractError

MESH = {"sidecars": ["gateway", "notes", "ops"]}


def test_services_are_the_sidecars_without_the_one_for_operators() -> None:
    assert mesh.list_services(MESH) == ["gateway", "notes"]
    assert mesh.list_callees(MESH) == ["notes"]


TEXT = "name: notes\ntrust_domain: notes.local\nsidecars: [gateway, ops]\nsettings: {}\n"


def write_mesh(root: Path, text: str) -> Path:
    (root / "envoy").mkdir()
    (root / mesh.MESH_FILE).write_text(text, encoding="utf-8")
    return root


def test_connections_of_unknown_service_are_rejected(tmp_path: Path) -> None:
    root = write_mesh(tmp_path, f"{TEXT}connections: {{notes: {{}}}}\n")
    with pytest.raises(ContractError, match=r"envoy/mesh\.yaml: connections of unknown services: notes"):
        mesh.load_mesh(root)


@pytest.mark.parametrize("name", ["Notes", "my-notes", "1notes", "class", "''", "null", "12", "[notes]"])
def test_name_that_is_no_package_name_is_rejected(tmp_path: Path, name: str) -> None:
    with pytest.raises(ContractError, match=r"envoy/mesh\.yaml: the name .* is not valid"):
        mesh.load_mesh(write_mesh(tmp_path, f"name: {name}\nsidecars: [gateway]\n"))


def test_missing_name_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="the name None is not valid"):
        mesh.load_mesh(write_mesh(tmp_path, "sidecars: [gateway]\n"))


@pytest.mark.parametrize("key", mesh.REQUIRED_KEYS)
def test_missing_key_is_rejected(tmp_path: Path, key: str) -> None:
    text = "".join(line for line in TEXT.splitlines(keepends=True) if not line.startswith(key))
    with pytest.raises(ContractError, match=f"the key {key} is missing"):
        mesh.load_mesh(write_mesh(tmp_path, text))


def test_missing_file_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=r"envoy/mesh\.yaml is missing"):
        mesh.load_mesh(tmp_path)


PORTS = "".join(
    f"  {name}_PORT: {{default: 1, about: a port}}\n" for name in ("OTLP", "GATEWAY_ADMIN", "GATEWAY_PROBE")
)
VALID = TEXT.replace("settings: {}\n", f"settings:\n{PORTS}")


def test_mesh_of_a_gateway_is_read(tmp_path: Path) -> None:
    assert mesh.load_mesh(write_mesh(tmp_path, VALID))["sidecars"] == ["gateway", "ops"]


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("[gateway, ops]", "gateway", "envoy/mesh.yaml:3: Expected `array`, got `str` at sidecars"),
        ("[gateway, ops]", "[gateway, My Svc]", "envoy/mesh.yaml:3: Expected `str` matching regex"),
        ("[gateway, ops]", "[ops]", "the sidecars lack gateway, or one occurs twice"),
        ("[gateway, ops]", "[gateway, ops, ops]", "the sidecars lack gateway, or one occurs twice"),
        ("notes.local", "a b", "envoy/mesh.yaml:2: Expected `str` matching regex"),
        ("settings:", "conections: {}\nsettings:", "contains unknown field `conections`; correct the value"),
        ("settings:", "connections: {gateway: {publc_ports: all}}\nsettings:", "contains unknown field `publc_ports`"),
        ("settings:", "connections: {gateway: {public_ports: [https]}}\nsettings:", "Expected `int`, got `str`"),
        ("  OTLP_PORT: {default: 1, about: a port}\n", "", "the setting OTLP_PORT is missing, or has no default"),
        ("GATEWAY_ADMIN_PORT: {default: 1, ", "GATEWAY_ADMIN_PORT: {", "the setting GATEWAY_ADMIN_PORT is missing"),
        ("settings:", "settings:\n  A: 5", "Expected `object`, got `int`"),
        ("settings:", "settings: [", "correct the YAML syntax"),
    ],
)
def test_invalid_mesh_is_rejected(tmp_path: Path, old: str, new: str, error: str) -> None:
    assert old in VALID
    with pytest.raises(ContractError) as caught:
        mesh.load_mesh(write_mesh(tmp_path, VALID.replace(old, new)))
    assert error in str(caught.value)


def test_placeholder_is_replaced_in_keys_and_values_at_any_depth() -> None:
    tree = {"${MESH}": [{"path": "/run/${MESH}/a.sock"}, 1, None]}
    assert mesh.insert_name(tree, "notes") == {"notes": [{"path": "/run/notes/a.sock"}, 1, None]}
