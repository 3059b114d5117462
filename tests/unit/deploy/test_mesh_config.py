"""Folders, ports and the run folder of one machine's mesh."""

import stat
import tempfile
from pathlib import Path

import pytest

from deploy.local.mesh_config import ROOT, MeshConfig

KERNEL_LIMIT = 107
"""Bytes of a unix socket's path."""

LONGEST = "notifications-egress.sock"


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MeshConfig:
    monkeypatch.setenv("DELIVERY_STATE", str(tmp_path))
    monkeypatch.delenv("PORT_OFFSET", raising=False)
    return MeshConfig()


def test_the_contracts_ports_are_the_defaults(state: MeshConfig) -> None:
    fixed = {
        "EDGE_PORT": 8080,
        "EDGE_TLS_PORT": 4443,
        "OPS_PORT": 15000,
        "GATEWAY_ADMIN_PORT": 9901,
        "NOTIFICATIONS_ADMIN_PORT": 9904,
        "ORDERS_INGRESS_PORT": 15002,
        "NOTIFICATIONS_PROBE_PORT": 15024,
        "SANDBOX_PORT": 8090,
        "SMTP_PORT": 1025,
        "TRACES_PORT": 16686,
        "OTLP_PORT": 4317,
    }
    assert {name: state.get_port(name) for name in fixed} == fixed


def test_no_two_things_share_a_port(state: MeshConfig) -> None:
    # JWKS_PORT is where the sandbox's keys are fetched, so it is the sandbox's.
    numbers = [number for name, (number, _) in state.ports.items() if name != "JWKS_PORT"]
    assert len(numbers) == len(set(numbers))


def test_an_offset_shifts_every_port(state: MeshConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT_OFFSET", "2000")
    shifted = MeshConfig()
    assert {name: number for name, (number, _) in shifted.ports.items()} == {
        name: number + 2000 for name, (number, _) in state.ports.items()
    }


def test_a_port_of_its_own_is_taken_as_it_is(state: MeshConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT_OFFSET", "2000")
    monkeypatch.setenv("EDGE_PORT", "8181")
    assert MeshConfig().get_port("EDGE_PORT") == 8181
    assert MeshConfig().edge_url == "http://127.0.0.1:8181"


def test_every_port_says_what_it_is_for(state: MeshConfig) -> None:
    assert all(about for _, about in state.ports.values())


def test_state_lies_beside_the_code_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DELIVERY_STATE", raising=False)
    assert MeshConfig().folder == ROOT / ".local"


def test_the_run_folder_is_its_owners_only(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        monkeypatch.setenv("DELIVERY_STATE", short)
        run = MeshConfig().socket_dir
        assert run == Path(short) / "run"
        assert stat.S_IMODE(run.stat().st_mode) == 0o700


def test_sockets_of_a_deep_state_fit_the_kernels_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path.joinpath(*["a-rather-long-name"] * 6)
    monkeypatch.setenv("DELIVERY_STATE", str(deep))
    monkeypatch.setattr(tempfile, "tempdir", "/tmp")  # noqa: S108 (as on most machines)
    run = MeshConfig().socket_dir
    try:
        assert not run.is_relative_to(deep)
        assert len(bytes(run / LONGEST)) <= KERNEL_LIMIT
        assert stat.S_IMODE(run.stat().st_mode) == 0o700
        assert MeshConfig().socket_dir == run
    finally:
        run.rmdir()
