"""Secrets of the local overlay; their completeness is tested with the overlay in tests/contract/test_kubernetes.py."""

import json
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from deploy.kubernetes import secrets
from deploy.local.mesh_config import SERVICES


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which the secrets exist."""
    folder = tmp_path_factory.mktemp("kubernetes")
    list(secrets.build_secrets(folder))
    return folder


@pytest.fixture
def built(folder: Path) -> dict[str, dict[str, str]]:
    return dict(secrets.build_secrets(folder))


def test_each_service_has_settings_files_and_a_certificate(built: dict[str, dict[str, str]]) -> None:
    names = {f"{service}{suffix}" for service in SERVICES for suffix in ("", "-files", "-pki")}
    assert built.keys() == names | {"gateway-edge", "sandbox-files"}


@pytest.mark.parametrize("service", SERVICES)
def test_urls_name_the_user_and_database_of_the_service(built: dict[str, dict[str, str]], service: str) -> None:
    assert built[service]["DATABASE_URL"] == f"postgresql://{service}:local@postgres/{service}"
    assert built[service]["DOCUMENTS_URL"].startswith("mongodb://")
    assert f"/{service}" in built[service]["DOCUMENTS_URL"]


def test_services_and_sandbox_share_the_webhook_secret(built: dict[str, dict[str, str]]) -> None:
    shared = {built[service]["DEMO_WEBHOOK_SECRET"] for service in SERVICES}
    assert shared == {built["sandbox-files"]["sandbox_webhook_secret"]}


@pytest.mark.parametrize("name", [*(f"{service}-pki" for service in SERVICES), "gateway-edge"])
def test_certificate_has_the_keys_of_cert_manager(built: dict[str, dict[str, str]], name: str) -> None:
    data = built[name]
    assert data.keys() == {"tls.crt", "tls.key", "ca.crt"}
    certificate = x509.load_pem_x509_certificate(data["tls.crt"].encode())
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(data["ca.crt"].encode()))
    key = load_pem_private_key(data["tls.key"].encode(), None)
    assert key.public_key() == certificate.public_key()


def test_service_account_uses_the_sandbox_of_the_cluster(built: dict[str, dict[str, str]]) -> None:
    account = json.loads(built["gateway-files"]["service-account.json"])
    assert account["token_uri"] == "http://sandbox:8090/oauth2/token"


def test_only_the_sandbox_has_the_signing_key(built: dict[str, dict[str, str]]) -> None:
    holders = {name for name, data in built.items() if "sandbox-signing-key.pem" in data}
    assert holders == {"sandbox-files"}


def test_secrets_are_reused(folder: Path, built: dict[str, dict[str, str]]) -> None:
    assert dict(secrets.build_secrets(folder)) == built


def test_command_prints_objects_for_kubectl(
    folder: Path, built: dict[str, dict[str, str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DELIVERY_STATE", str(folder))
    secrets.main()
    objects = list(yaml.load_all(capsys.readouterr().out, Loader=yaml.CSafeLoader))
    assert {(each["apiVersion"], each["kind"]) for each in objects} == {("v1", "Secret")}
    assert {each["metadata"]["name"]: each["stringData"] for each in objects} == built


def test_missing_certificate_raises_file_not_found(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"orders\.pem"):
        secrets.read_certificate(tmp_path, "orders")
