"""Settings of the sandbox and webhook secrets."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from services.sandbox.settings import SandboxSettings, validate_webhook_secret
from tests.unit.sandbox.components import SECRET

REQUIRED: dict[str, Any] = {
    "sandbox_signing_key_file": Path("key.pem"),
    "sandbox_state_dir": Path("state"),
    "sandbox_webhook_secret": SECRET,
}


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SandboxSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize("secret", ["", "whsec_", "c2VjcmV0", "whsec_%%%", "WHSEC_c2VjcmV0"])
def test_invalid_webhook_secret_is_rejected(secret: str) -> None:
    with pytest.raises(ValueError, match=r"webhook secret|padded"):
        validate_webhook_secret(secret)


@pytest.mark.parametrize("secret", [SECRET, SECRET.rstrip("=")])
def test_valid_webhook_secret_is_returned(secret: str) -> None:
    assert validate_webhook_secret(secret) == secret


def test_invalid_secret_is_reported_without_its_value() -> None:
    with pytest.raises(ValidationError, match="must start with whsec_") as raised:
        SandboxSettings(**REQUIRED | {"sandbox_webhook_secret": "hunter2"})
    assert [error["loc"] for error in raised.value.errors()] == [("sandbox_webhook_secret",)]


def test_only_key_state_and_secret_are_required() -> None:
    settings = SandboxSettings(**REQUIRED)
    assert settings.apns_key_file is None
    assert SECRET not in repr(settings)
    for name in REQUIRED:
        with pytest.raises(ValidationError, match=name):
            SandboxSettings(**{key: value for key, value in REQUIRED.items() if key != name})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sandbox_port", 0),
        ("smtp_port", 65536),
        ("public_url", "127.0.0.1:8080"),
        ("firebase_project_id", "Delivery"),
        ("firebase_project_id", "abc"),
        ("sandbox_id_token_seconds", 0),
        ("sandbox_fault_delay_seconds", 601),
    ],
)
def test_setting_out_of_range_is_rejected(name: str, value: object) -> None:
    with pytest.raises(ValidationError, match=name):
        SandboxSettings(**REQUIRED | {name: value})
