"""Secrets are made once, kept for their owner only, and of the form their readers want."""

import base64
import hashlib
import json
import stat
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from deploy.local.infrastructure import servers
from deploy.local.mesh_config import MeshConfig
from deploy.local.pki.secrets import Secrets, write_private


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MeshConfig:
    monkeypatch.setenv("DELIVERY_STATE", str(tmp_path))
    return MeshConfig()


@pytest.fixture
def made(state: MeshConfig) -> Secrets:
    return Secrets(state)


def test_they_survive_a_restart(state: MeshConfig, made: Secrets) -> None:
    first = [made.password("postgres-orders"), made.encryption_key, made.webhook_secret, made.signing_key.read_text()]
    again = Secrets(state)
    assert first == [
        again.password("postgres-orders"),
        again.encryption_key,
        again.webhook_secret,
        again.signing_key.read_text(),
    ]


def test_no_two_are_alike(made: Secrets) -> None:
    assert len({made.password(f"postgres-{name}") for name in servers.SERVICES}) == len(servers.SERVICES)


def test_only_their_owner_reads_them(state: MeshConfig, made: Secrets) -> None:
    _ = made.password("a"), made.encryption_key, made.webhook_secret, made.signing_key, made.service_account
    folder = state.folder / "secrets"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert len(modes) == 6
    assert set(modes.values()) == {0o600}, modes


def test_the_encryption_key_encrypts(made: Secrets) -> None:
    vault = Fernet(made.encryption_key)
    assert vault.decrypt(vault.encrypt(b"secret")) == b"secret"


def test_the_webhook_secret_has_the_standards_form(made: Secrets) -> None:
    prefix, _, key = made.webhook_secret.partition("_")
    assert prefix == "whsec"
    assert len(base64.b64decode(key, validate=True)) == 24


def test_tokens_are_signed_by_an_rsa_key(made: Secrets) -> None:
    key = load_pem_private_key(made.signing_key.read_bytes(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    assert key.key_size >= 2048


def test_the_service_account_asks_the_sandbox_for_tokens(state: MeshConfig, made: Secrets) -> None:
    account = json.loads(made.service_account.read_text())
    assert account["type"] == "service_account"
    assert account["project_id"] == "delivery-local"
    assert account["token_uri"] == f"{state.sandbox_url}/oauth2/token"
    assert isinstance(load_pem_private_key(account["private_key"].encode(), None), rsa.RSAPrivateKey)


def test_a_private_file_replaces_one_that_others_could_read(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, "new")
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [found.name for found in tmp_path.iterdir()] == ["key"]


def test_the_broker_is_given_hashes_of_what_services_log_in_with(made: Secrets) -> None:
    given = json.dumps(servers._build_broker_definitions(made))
    for user in json.loads(given)["users"]:
        password = made.password(f"rabbitmq-{user['name']}")
        salt_and_hash = base64.b64decode(user["password_hash"])
        assert salt_and_hash[4:] == hashlib.sha256(salt_and_hash[:4] + password.encode()).digest()
        assert password not in given
        assert user["tags"] == ""
