"""Settings of the sandbox, read from environment variables named like the fields in capitals."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr
from standardwebhooks.webhooks import EmptyWebhookSecretError, Webhook

from services.runtime.config.settings import EnvironmentSettings


def validate_webhook_secret(secret: str) -> str:
    """Return the secret. Raises ValueError if it is not a Standard Webhooks secret."""
    if not secret.startswith("whsec_"):
        raise ValueError("a webhook secret must start with whsec_")
    try:
        Webhook(secret)
    except EmptyWebhookSecretError:
        raise ValueError("a webhook secret must contain base64 after whsec_") from None
    return secret


def _validate_secret(secret: SecretStr) -> SecretStr:
    validate_webhook_secret(secret.get_secret_value())
    return secret


class SandboxSettings(EnvironmentSettings):
    """Settings of the sandbox."""

    bind: str = Field(default="127.0.0.1", description="the address that all servers listen on")
    sandbox_port: int = Field(default=8090, ge=1, le=65535, description="the HTTP port")
    smtp_port: int = Field(default=1025, ge=1, le=65535, description="the SMTP port")
    apns_port: int = Field(default=2197, ge=1, le=65535, description="the HTTP/2 port of the APNs emulator")
    apns_key_file: Path | None = Field(
        default=None, description="the .p8 key file of APNs clients; without it the APNs emulator is disabled"
    )
    apns_key_id: str = Field(default="LOCALKEY01", description="id of the APNs key, ten characters")
    apns_team_id: str = Field(default="LOCALTEAM1", description="id of the Apple team, ten characters")
    apns_topic: str = Field(default="test.delivery.app", description="the app that accepts APNs notifications")
    public_url: str = Field(
        default="http://127.0.0.1:8080",
        pattern="^https?://",
        description="base URL of the edge, which receives callbacks",
    )
    firebase_project_id: str = Field(
        default="delivery-local",
        pattern="^[a-z][a-z0-9-]{4,29}$",
        description="Firebase project id; issuer and audience of ID tokens",
    )
    sandbox_signing_key_file: Path = Field(description="PEM file with the RSA private key that signs ID tokens")
    sandbox_state_dir: Path = Field(description="the folder of the SQLite file; created if missing")
    sandbox_webhook_secret: Annotated[SecretStr, AfterValidator(_validate_secret)] = Field(
        description="whsec_…; default secret with which banks and partners sign"
    )
    sandbox_id_token_seconds: int = Field(
        default=3600, ge=1, le=86400, description="lifetime of an ID token, in seconds"
    )
    sandbox_fault_delay_seconds: float = Field(
        default=20, ge=0, le=600, description="response delay of the fault `slow`, in seconds"
    )
