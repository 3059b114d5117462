"""Secrets of a local mesh, created on first use and readable only by their owner."""

import base64
import json
import os
import secrets
from collections.abc import Callable
from pathlib import Path

from cryptography.fernet import Fernet
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from deploy.local.mesh_config import MeshConfig


class Secrets:
    """Secrets stored as files in the mesh's folder `secrets`, with mode 0600."""

    def __init__(self, config: MeshConfig, sandbox_url: str | None = None) -> None:
        self._folder = config.ensure_subdirectory("secrets")
        self._folder.chmod(0o700)
        self._sandbox_url = sandbox_url or config.sandbox_url
        self._project_id = config.get_setting("FIREBASE_PROJECT_ID")

    def _read_or_create(self, name: str, create: Callable[[], str]) -> Path:
        path = self._folder / name
        if not path.exists():
            write_private(path, create())
        return path

    def get_password(self, user: str) -> str:
        """Return the password of a server's user, such as "postgres-orders"."""
        return self._read_or_create(f"{user}.password", lambda: secrets.token_urlsafe(24)).read_text(encoding="utf-8")

    @property
    def encryption_key(self) -> str:
        """Return the key that encrypts secrets at rest."""
        return self._read_or_create("encryption.key", lambda: Fernet.generate_key().decode()).read_text(
            encoding="utf-8"
        )

    @property
    def webhook_secret(self) -> str:
        """Return the webhook signing secret of all demo banks and partners."""
        return self._read_or_create(
            "demo-webhook.secret", lambda: "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()
        ).read_text(encoding="utf-8")

    @property
    def signing_key(self) -> Path:
        """Return the path of the sandbox's signing key for tokens."""
        return self._read_or_create("sandbox-signing-key.pem", _generate_rsa_key)

    @property
    def apns_key(self) -> Path:
        """Return the path of the APNs key, which the sandbox accepts."""
        return self._read_or_create("apns-key.p8", _generate_ec_key)

    @property
    def service_account(self) -> Path:
        """Return the path of the credentials of a Google service account that only the sandbox accepts."""
        account = {
            "type": "service_account",
            "project_id": self._project_id,
            "private_key_id": "local",
            "private_key": self._read_or_create("service-account.pem", _generate_rsa_key).read_text(encoding="utf-8"),
            "client_email": f"local@{self._project_id}.iam.gserviceaccount.com",
            "client_id": "1",
            "token_uri": f"{self._sandbox_url}/oauth2/token",
        }
        path = self._folder / "service-account.json"
        write_private(path, json.dumps(account))
        return path


def _generate_rsa_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def _generate_ec_key() -> str:
    return (
        ec.generate_private_key(ec.SECP256R1())
        .private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        .decode()
    )


def write_private(path: Path, text: str) -> None:
    """Write a file atomically, with mode 0600. After a power failure it is complete or missing."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.touch(0o600)
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
