"""Rendering of bootstraps for the local mesh."""

import json
import re
import string
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy import render_bootstrap
from deploy.local.infrastructure import envoys
from deploy.local.mesh_config import OPERATOR_SIDECAR, SERVICES, MeshConfig

NAMES = [*SERVICES, OPERATOR_SIDECAR]


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MeshConfig:
    monkeypatch.setenv("DELIVERY_STATE", str(tmp_path))
    monkeypatch.setenv("PORT_OFFSET", "2000")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return MeshConfig()


def find_ports(node: Any) -> set[int]:
    """Return all values of `port_value` in a bootstrap."""
    match node:
        case dict():
            ports = {int(node["port_value"])} if "port_value" in node else set()
            return ports.union(*map(find_ports, node.values()))
        case list():
            return set().union(*map(find_ports, node))
        case _:
            return set()


@pytest.mark.parametrize("name", NAMES)
def test_bootstrap_has_only_ports_of_the_mesh_and_no_placeholders(config: MeshConfig, name: str) -> None:
    text = envoys.write_bootstrap(config, name).read_text(encoding="utf-8")
    assert not string.Template(text).get_identifiers()
    mesh_ports = {number for number, _ in config.ports.values()}
    bootstrap = json.loads(text)
    bootstrap_ports = find_ports(bootstrap)
    assert bootstrap["admin"]
    assert config.get_port(f"{name.upper()}_ADMIN_PORT") in bootstrap_ports
    assert bootstrap_ports <= mesh_ports


def find_addresses(node: Any) -> Iterator[tuple[str, int]]:
    """Yield address and port of every listener in a bootstrap."""
    for listener in node["static_resources"]["listeners"]:
        socket_address = listener["address"].get("socket_address")
        if socket_address:
            yield socket_address["address"], int(socket_address["port_value"])


@pytest.mark.parametrize("name", NAMES)
def test_admin_interface_listens_on_admin_bind(config: MeshConfig, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("BIND", "0.0.0.0")  # noqa: S104 (nothing listens)
    monkeypatch.setenv("ADMIN_BIND", "127.0.0.2")
    bootstrap = json.loads(envoys.write_bootstrap(config, name).read_text(encoding="utf-8"))
    admin_port = config.get_port(f"{name.upper()}_ADMIN_PORT")
    addresses = {port: address for address, port in find_addresses(bootstrap)}
    assert addresses.pop(admin_port) == "127.0.0.2"
    assert set(addresses.values()) == {"0.0.0.0"}  # noqa: S104 (nothing listens)
    with envoys.open_admin_client(config, name) as client:
        assert client.base_url == f"http://127.0.0.2:{admin_port}"


def find_origin_patterns(node: Any) -> Iterator[str]:
    """Yield the regular expressions of allowed origins."""
    match node:
        case {"allow_origin_string_match": list(matchers)}:
            yield from (matcher["safe_regex"]["regex"] for matcher in matchers)
        case dict():
            for value in node.values():
                yield from find_origin_patterns(value)
        case list():
            for value in node:
                yield from find_origin_patterns(value)


def test_only_allowed_origins_match(config: MeshConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    allowed = "http://localhost:5173,http://localhost:3000,https://a.example,https://b.example"
    monkeypatch.setenv("ALLOWED_ORIGINS", allowed)
    patterns = list(
        find_origin_patterns(json.loads(envoys.write_bootstrap(config, "gateway").read_text(encoding="utf-8")))
    )
    assert patterns
    for pattern in patterns:
        for origin in allowed.split(","):
            assert re.fullmatch(pattern, origin)
            assert not re.fullmatch(pattern, origin.replace(".", "x") + "x")


def test_unknown_placeholder_raises_key_error(
    config: MeshConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "development").mkdir()
    (tmp_path / "development/unknown.json").write_text('{"admin": "${UNKNOWN_SETTING}"}', encoding="utf-8")
    monkeypatch.setattr(render_bootstrap, "BOOTSTRAPS_DIR", tmp_path)
    with pytest.raises(KeyError, match="UNKNOWN_SETTING"):
        envoys.write_bootstrap(config, "unknown")
