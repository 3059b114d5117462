"""Folders, ports and the socket folder of a local mesh."""

import stat
import tempfile
from pathlib import Path

import pytest

from deploy.local.mesh_config import ROOT, MeshConfig
from services.runtime.config.settings import SettingsError

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
    with pytest.raises(SettingsError, match=r"MONGODB_URL: .* \{service\}") as raised:
        MeshConfig().validate()
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


def test_socket_dir_of_unusual_state_path_needs_no_encoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    config = MeshConfig({"DELIVERY_STATE": "/nonexistent/100% of it"})
    assert config.socket_dir.is_relative_to(tmp_path / "temporary")
    assert config.socket_dir.is_dir()
    config.remove_temporary_socket_dir()
    assert not config.socket_dir.exists()


def test_socket_dir_below_state_folder_is_not_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        config = MeshConfig({"DELIVERY_STATE": short})
        assert config.socket_dir.is_relative_to(short)
        config.remove_temporary_socket_dir()
        assert config.socket_dir.is_dir()


@pytest.mark.parametrize("folder", ["it's", 'a "quote"', "a:b", "back\\slash", "$HOME", "new\nline"])
def test_state_path_with_forbidden_character_is_reported(folder: str) -> None:
    with pytest.raises(SettingsError, match="DELIVERY_STATE: contains a quote") as raised:
        MeshConfig({"DELIVERY_STATE": f"/nonexistent/{folder}"}).validate()
    assert folder not in str(raised.value)


@pytest.mark.parametrize("folder", ["a b", "100%", "%d", "one, two", "#1", "naïve", "(x)", "~"])
def test_state_path_with_unusual_characters_is_valid(folder: str) -> None:
    MeshConfig({"DELIVERY_STATE": f"/nonexistent/{folder}"}).validate()


INVALID_SETTINGS = [
    ("PORT_OFFSET", "99999"),
    ("PORT_OFFSET", "60000"),
    ("PORT_OFFSET", "-1"),
    ("PORT_OFFSET", "2_000"),
    ("PORT_OFFSET", '"2000"'),
    ("EDGE_PORT", "0"),
    ("EDGE_PORT", "65536"),
    ("POSTGRES_PORT", "5432 "),
    ("POSTGRES_PORT", "none"),
    ("TRACE_PERCENT", "101"),
    ("TRUSTED_HOPS", "11"),
    ("TRUSTED_HOPS", "-1"),
    ("RATE_LIMIT_FACTOR", "0"),
    ("RATE_LIMIT_FACTOR", "1.5"),
    ("RATE_LIMIT_FACTOR", "100000"),
    ("TRACE_PERCENT", "many"),
    ("BIND", "localhost"),
    ("BIND", "::1"),
    ("ADMIN_BIND", "::1"),
    ("FIREBASE_PROJECT_ID", "'delivery'"),
    ("ALLOWED_ORIGINS", '"http://localhost:3000"'),
    ("ALLOWED_ORIGINS", "*"),
    ("ALLOWED_ORIGINS", "http://a/b"),
    ("ALLOWED_ORIGINS", "http://a.example, http://b.example"),
    ("ALLOWED_TARGETS", "localhost:1"),
    ("ALLOWED_TARGETS", "http://a.example,b.example"),
    ("EDGE_PORT", "8090"),
    ("SANDBOX_PORT", "8080"),
    ("HSTS_MAX_AGE_S", "x"),
    ("HSTS_MAX_AGE_S", "-1"),
    ("JWKS_HOST", "a b"),
    ("OTLP_HOST", "http://collector.example"),
    ("MONGODB_URL", '"mongodb://app:s3cret@host/{service}"'),
    ("MONGODB_URL", "postgres://app:s3cret@host/{service}"),
    ("MONGODB_URL", "mongodb://app:s3cret@host"),
    ("MONGODB_URL", "mongodb://app:s3cret@host/delivery"),
    ("DELIVERY_STATE", " "),
    ("DELIVERY_STATE", "/nonexistent/state "),
]
VALID_SETTINGS = {
    "ALLOWED_ORIGINS": "http://localhost:3000,https://[::1]:8443",
    "ALLOWED_TARGETS": "http://127.0.0.1:9000",
    "EDGE_PORT": "8081",
    "HSTS_MAX_AGE_S": "0",
    "JWKS_HOST": "::1",
    "OTLP_HOST": "collector-1.example.",
    "MONGODB_URL": "mongodb+srv://{service}:s3cret@host/db-{service}?authSource=admin",
}


@pytest.mark.parametrize(("name", "value"), INVALID_SETTINGS)
def test_invalid_setting_is_named_without_its_value(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=rf"^invalid environment:\n  {name}: [^\n]+$") as raised:
        MeshConfig({name: value}).validate()
    assert not value.strip() or value not in str(raised.value).replace("from 0 to 65535", "").replace(
        "from 1 to 65535", ""
    )


def test_valid_settings_are_accepted() -> None:
    MeshConfig(VALID_SETTINGS).validate()


def test_empty_setting_has_its_default() -> None:
    names = ("DELIVERY_STATE", "PORT_OFFSET", "EDGE_PORT", "POSTGRES_PORT", "TRACE_PERCENT", "BIND")
    config = MeshConfig(dict.fromkeys(names, ""))
    config.validate()
    assert config.folder == ROOT / ".local"
    assert config.edge_url == "http://127.0.0.1:8080"
    assert config.get_setting("TRACE_PERCENT") == "100"


def test_subfolders_are_readable_by_their_owner_only(config: MeshConfig) -> None:
    (config.folder / "logs").mkdir(mode=0o755)
    for name in ("logs", "sandbox"):
        assert stat.S_IMODE(config.ensure_subdirectory(name).stat().st_mode) == 0o700


@pytest.mark.parametrize(("uid", "mode"), [(1000, 0o700), (0, 0o711)])
def test_created_folder_cannot_be_listed_by_others(
    uid: int, mode: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DELIVERY_STATE", str(tmp_path / "state"))
    monkeypatch.setattr("os.geteuid", lambda: uid)
    config = MeshConfig()
    config.create_folder()
    assert stat.S_IMODE(config.folder.stat().st_mode) == mode


def test_existing_folder_is_created_without_changing_its_mode(config: MeshConfig) -> None:
    config.folder.chmod(0o755)
    config.create_folder()
    assert stat.S_IMODE(config.folder.stat().st_mode) == 0o755
