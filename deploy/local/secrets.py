"""Secrets of one machine, made once and kept for their owner only."""

import base64
import json
import os
import secrets
from collections.abc import Callable
from pathlib import Path

from cryptography.fernet import Fernet
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from deploy.local.state import State


class Secrets:
    """Files below `<state>/secrets`, mode 0600."""

    def __init__(self, state: State, sandbox: str | None = None) -> None:
        self._folder = state.sub("secrets")
        self._folder.chmod(0o700)
        self._sandbox = sandbox or state.sandbox
        self._project = state.setting("FIREBASE_PROJECT_ID")

    def _kept(self, name: str, make: Callable[[], str]) -> Path:
        path = self._folder / name
        if not path.exists():
            write_private(path, make())
        return path

    def password(self, of: str) -> str:
        """A password of a user of some server."""
        return self._kept(f"{of}.password", lambda: secrets.token_urlsafe(24)).read_text()

    @property
    def encryption_key(self) -> str:
        """Encrypts secrets at rest."""
        return self._kept("encryption.key", lambda: Fernet.generate_key().decode()).read_text()

    @property
    def webhook_secret(self) -> str:
        """What every demo bank and partner signs with."""
        return self._kept(
            "demo-webhook.secret", lambda: "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()
        ).read_text()

    @property
    def signing_key(self) -> Path:
        """The sandbox's key for tokens."""
        return self._kept("sandbox-signing-key.pem", _rsa_key)

    @property
    def apns_key(self) -> Path:
        """What signs in at Apple, which is the sandbox."""
        return self._kept("apns-key.p8", _elliptic_key)

    @property
    def service_account(self) -> Path:
        """A Google service account that exists nowhere but in the sandbox."""
        account = {
            "type": "service_account",
            "project_id": self._project,
            "private_key_id": "local",
            "private_key": self._kept("service-account.pem", _rsa_key).read_text(),
            "client_email": f"local@{self._project}.iam.gserviceaccount.com",
            "client_id": "1",
            "token_uri": f"{self._sandbox}/oauth2/token",
        }
        path = self._folder / "service-account.json"
        write_private(path, json.dumps(account))
        return path


def _rsa_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def _elliptic_key() -> str:
    return (
        ec.generate_private_key(ec.SECP256R1())
        .private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        .decode()
    )


def write_private(path: Path, text: str) -> None:
    """Writes a file that only its owner can read, whole or not at all."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.touch(0o600)
    fresh.write_text(text)
    fresh.replace(path)
