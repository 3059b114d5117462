"""Folders, ports and the socket folder of a local mesh."""

import stat
import tempfile
from pathlib import Path

import pytest

from deploy.local.mesh_config import ROOT, MeshConfig

SOCKET_PATH_LIMIT_BYTES = 107
"""Maximum length of a Unix socket's path on Linux."""

LONGEST_SOCKET_NAME = "notifications-egress.sock"


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MeshConfig:
    monkeypatch.setenv("DELIVERY_STATE", str(tmp_path))
    monkeypatch.delenv("PORT_OFFSET", raising=False)
    return MeshConfig()


def test_ports_have_documented_defaults(config: MeshConfig) -> None:
    expected = {
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
    assert {name: config.get_port(name) for name in expected} == expected


def test_ports_are_unique(config: MeshConfig) -> None:
    # JWKS_PORT is the sandbox's port, since the sandbox publishes the keys.
    numbers = [number for name, (number, _) in config.ports.items() if name != "JWKS_PORT"]
    assert len(numbers) == len(set(numbers))


def test_port_offset_is_added_to_every_port(config: MeshConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT_OFFSET", "2000")
    shifted = MeshConfig()
    assert {name: number for name, (number, _) in shifted.ports.items()} == {
        name: number + 2000 for name, (number, _) in config.ports.items()
    }


def test_explicit_port_ignores_offset(config: MeshConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT_OFFSET", "2000")
    monkeypatch.setenv("EDGE_PORT", "8181")
    assert MeshConfig().get_port("EDGE_PORT") == 8181
    assert MeshConfig().edge_url == "http://127.0.0.1:8181"


def test_every_port_has_a_description(config: MeshConfig) -> None:
    assert all(description for _, description in config.ports.values())


def test_mongodb_url_needs_database_per_service(config: MeshConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    assert config.mongodb_url is None
    monkeypatch.setenv("MONGODB_URL", "")
    assert MeshConfig().mongodb_url is None
    monkeypatch.setenv("MONGODB_URL", "mongodb://app:s3cret@host/{service}?authSource=admin")
    assert MeshConfig().mongodb_url == "mongodb://app:s3cret@host/{service}?authSource=admin"
    monkeypatch.setenv("MONGODB_URL", "mongodb://app:s3cret@host/delivery")
    with pytest.raises(SystemExit, match=r"MONGODB_URL .* \{service\}") as raised:
        _ = MeshConfig().mongodb_url
    assert "s3cret" not in str(raised.value)


def test_state_folder_defaults_to_local_of_the_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DELIVERY_STATE", raising=False)
    assert MeshConfig().folder == ROOT / ".local"


def test_socket_dir_is_accessible_by_owner_only(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        monkeypatch.setenv("DELIVERY_STATE", short)
        socket_dir = MeshConfig().socket_dir
        assert socket_dir == Path(short) / "run"
        assert stat.S_IMODE(socket_dir.stat().st_mode) == 0o700


def test_socket_dir_of_long_state_path_fits_kernel_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path.joinpath(*["a-rather-long-name"] * 6)
    monkeypatch.setenv("DELIVERY_STATE", str(deep))
    monkeypatch.setattr(tempfile, "tempdir", "/tmp")  # noqa: S108 (the default on most machines)
    socket_dir = MeshConfig().socket_dir
    try:
        assert not socket_dir.is_relative_to(deep)
        assert len(bytes(socket_dir / LONGEST_SOCKET_NAME)) <= SOCKET_PATH_LIMIT_BYTES
        assert stat.S_IMODE(socket_dir.stat().st_mode) == 0o700
        assert MeshConfig().socket_dir == socket_dir
    finally:
        socket_dir.rmdir()
