"""Certificates, bootstraps and secrets that the setup container writes to the volumes."""

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.containers import setup
from deploy.local.pki.certificates import CertificateAuthority


@pytest.fixture(scope="module")
def volumes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a folder with the volumes below `volumes` and the secrets below `secrets`, after a first run."""
    folder = tmp_path_factory.mktemp("containers")
    with pytest.MonkeyPatch.context() as patched:
        for name, attribute in (("volumes", "VOLUMES_DIR"), ("secrets", "SECRETS_DIR")):
            (folder / name).mkdir()
            patched.setattr(setup, attribute, folder / name)
        for sidecar in CertificateAuthority(folder / "volumes/authority").sidecars:
            (folder / "volumes" / sidecar).mkdir()  # docker-compose.yml mounts a volume here
        patched.setenv("SANDBOX_URL", "http://sandbox:8090")
        setup.main()
        yield folder


def read_files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", ["orders", "ops"])
def test_sidecar_receives_only_its_own_key(volumes: Path, name: str) -> None:
    files = {path.name for path in (volumes / "volumes" / name / "pki").iterdir()}
    assert files == {"ca.pem", f"{name}.pem", f"{name}.key"}


def test_gateway_sidecar_also_receives_the_edge_certificate(volumes: Path) -> None:
    files = {path.name for path in (volumes / "volumes/gateway/pki").iterdir()}
    assert files == {"ca.pem", "gateway.pem", "gateway.key", "edge.pem", "edge.key"}


def test_key_of_the_authority_stays_in_its_volume(volumes: Path) -> None:
    assert [path.parent.name for path in volumes.rglob("ca.key")] == ["authority"]


def test_bootstrap_uses_the_paths_of_the_containers(volumes: Path) -> None:
    text = (volumes / "volumes/orders/envoy.json").read_text(encoding="utf-8")
    assert json.loads(text)["node"]["id"] == "orders"
    assert "/run/delivery/orders-sds.json" in text
    assert "/run/delivery/pki/orders.key" in (volumes / "volumes/orders/orders-sds.json").read_text(encoding="utf-8")
    assert "/run/delivery/orders.sock" in text
    assert str(volumes) not in text


def test_secrets_are_files_of_their_settings(volumes: Path) -> None:
    files = read_files(volumes / "secrets")
    assert files.keys() == {
        "service-account.json",
        "apns-key.p8",
        "sandbox-signing-key.pem",
        "encryption_key",
        "demo_webhook_secret",
        "sandbox_webhook_secret",
    }
    assert files["demo_webhook_secret"] == files["sandbox_webhook_secret"]
    assert b"http://sandbox:8090/oauth2/token" in files["service-account.json"]


def test_written_files_are_readable_by_their_owner_only(volumes: Path) -> None:
    paths = [path for path in volumes.rglob("*") if path.is_file() and path.suffix != ".pem"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in paths} == {0o600}
    assert stat.S_IMODE((volumes / "volumes/orders/pki").stat().st_mode) == 0o700


def test_second_run_changes_nothing(volumes: Path) -> None:
    before = read_files(volumes)
    setup.main()
    assert read_files(volumes) == before


def test_sandbox_url_is_required(volumes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SANDBOX_URL")
    with pytest.raises(KeyError, match="SANDBOX_URL"):
        setup.main()
