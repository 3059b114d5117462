"""Local secrets: persistence, file modes and formats."""

import base64
import hashlib
import json
import os
import stat
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from deploy.local.infrastructure import servers
from deploy.local.mesh_config import SERVICES, MeshConfig
from deploy.local.pki.secrets import Secrets, write_private


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MeshConfig:
    monkeypatch.setenv("DELIVERY_STATE", str(tmp_path))
    return MeshConfig()


@pytest.fixture
def secrets(config: MeshConfig) -> Secrets:
    return Secrets(config)


def test_secrets_are_persistent(config: MeshConfig, secrets: Secrets) -> None:
    first = [
        secrets.get_password("postgres-orders"),
        secrets.encryption_key,
        secrets.webhook_secret,
        secrets.signing_key.read_text(encoding="utf-8"),
    ]
    reloaded = Secrets(config)
    assert first == [
        reloaded.get_password("postgres-orders"),
        reloaded.encryption_key,
        reloaded.webhook_secret,
        reloaded.signing_key.read_text(encoding="utf-8"),
    ]


def test_passwords_are_unique(secrets: Secrets) -> None:
    assert len({secrets.get_password(f"postgres-{name}") for name in SERVICES}) == len(SERVICES)


def test_secrets_are_readable_by_owner_only(config: MeshConfig, secrets: Secrets) -> None:
    _ = (
        secrets.get_password("a"),
        secrets.encryption_key,
        secrets.webhook_secret,
        secrets.signing_key,
        secrets.service_account,
    )
    folder = config.folder / "secrets"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert len(modes) == 6
    assert set(modes.values()) == {0o600}, modes


def test_encryption_key_is_a_fernet_key(secrets: Secrets) -> None:
    fernet = Fernet(secrets.encryption_key)
    assert fernet.decrypt(fernet.encrypt(b"secret")) == b"secret"


def test_webhook_secret_has_standard_webhooks_format(secrets: Secrets) -> None:
    prefix, _, key = secrets.webhook_secret.partition("_")
    assert prefix == "whsec"
    assert len(base64.b64decode(key, validate=True)) == 24


def test_signing_key_is_rsa(secrets: Secrets) -> None:
    key = load_pem_private_key(secrets.signing_key.read_bytes(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    assert key.key_size >= 2048


def test_service_account_uses_token_endpoint_of_sandbox(config: MeshConfig, secrets: Secrets) -> None:
    account = json.loads(secrets.service_account.read_text(encoding="utf-8"))
    assert account["type"] == "service_account"
    assert account["project_id"] == "delivery-local"
    assert account["token_uri"] == f"{config.sandbox_url}/oauth2/token"
    assert isinstance(load_pem_private_key(account["private_key"].encode(), None), rsa.RSAPrivateKey)


def test_write_private_replaces_world_readable_file(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("old", encoding="utf-8")
    path.chmod(0o644)
    write_private(path, "new")
    assert path.read_text(encoding="utf-8") == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["key"]


def test_private_file_is_on_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "key"
    synced: list[tuple[int, bool]] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append((os.fstat(descriptor).st_size, path.exists())))
    write_private(path, "new")
    assert synced == [(3, False)]


def test_broker_definitions_contain_password_hashes_only(secrets: Secrets) -> None:
    definitions = json.dumps(servers.build_broker_definitions(secrets))
    for user in json.loads(definitions)["users"]:
        password = secrets.get_password(f"rabbitmq-{user['name']}")
        salt_and_hash = base64.b64decode(user["password_hash"])
        assert salt_and_hash[4:] == hashlib.sha256(salt_and_hash[:4] + password.encode()).digest()
        assert password not in definitions
        assert user["tags"] == ""
