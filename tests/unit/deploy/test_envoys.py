"""Bootstraps are filled in for one machine, whole or not at all."""

import re
import string
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy import render_bootstrap
from deploy.local.infrastructure import envoys
from deploy.local.mesh_config import MeshConfig

NAMES = ["gateway", "orders", "partners", "notifications", "ops"]


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MeshConfig:
    monkeypatch.setenv("DELIVERY_STATE", str(tmp_path))
    monkeypatch.setenv("PORT_OFFSET", "2000")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return MeshConfig()


def read(text: str) -> Any:
    """A bootstrap, whose size takes the loader that is written in Python a second."""
    return yaml.load(text, Loader=yaml.CSafeLoader)


def numbers(node: Any) -> set[int]:
    """Every `port_value` in a bootstrap."""
    match node:
        case dict():
            own = {node["port_value"]} if isinstance(node.get("port_value"), int) else set()
            return own.union(*map(numbers, node.values()))
        case list():
            return set().union(*map(numbers, node))
        case _:
            return set()


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_left_to_fill_in(state: MeshConfig, name: str) -> None:
    text = envoys.write_bootstrap(state, name).read_text()
    assert not string.Template(text).get_identifiers()
    assert read(text)["admin"]


@pytest.mark.parametrize("name", NAMES)
def test_every_port_is_one_of_this_mesh(state: MeshConfig, name: str) -> None:
    known = {number for number, _ in state.ports.values()}
    found = numbers(read(envoys.write_bootstrap(state, name).read_text()))
    assert state.get_port(f"{name.upper()}_ADMIN_PORT") in found
    assert found <= known


def origins(node: Any) -> Iterator[str]:
    """The expressions that the edge matches origins with."""
    match node:
        case {"allow_origin_string_match": list(matchers)}:
            yield from (matcher["safe_regex"]["regex"] for matcher in matchers)
        case dict():
            for value in node.values():
                yield from origins(value)
        case list():
            for value in node:
                yield from origins(value)


@pytest.mark.parametrize(
    "allowed", ["http://localhost:5173,http://localhost:3000", "https://a.example,https://b.example"]
)
def test_the_allowed_origins_match_and_no_others(
    state: MeshConfig, monkeypatch: pytest.MonkeyPatch, allowed: str
) -> None:
    monkeypatch.setenv("ALLOWED_ORIGINS", allowed)
    found = list(origins(read(envoys.write_bootstrap(state, "gateway").read_text())))
    assert found
    for expression in found:
        for origin in allowed.split(","):
            assert re.fullmatch(expression, origin)
            assert not re.fullmatch(expression, origin.replace(".", "x") + "x")


def test_a_placeholder_that_nobody_knows_is_refused(
    state: MeshConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "development").mkdir()
    (tmp_path / "development/odd.yaml").write_text("admin: ${NOBODY_KNOWS}\n")
    monkeypatch.setattr(render_bootstrap, "BOOTSTRAPS_DIR", tmp_path)
    with pytest.raises(KeyError, match="NOBODY_KNOWS"):
        envoys.write_bootstrap(state, "odd")
