"""What the sandbox is told by its environment; the variables are the fields' names in capitals."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict
from standardwebhooks.webhooks import EmptyWebhookSecretError, Webhook


def validate_webhook_secret(secret: str) -> str:
    """The secret itself, if Standard Webhooks can sign with it. Raises ValueError otherwise."""
    if not secret.startswith("whsec_"):
        raise ValueError("a webhook secret starts with whsec_")
    try:
        Webhook(secret)
    except EmptyWebhookSecretError:
        raise ValueError("a webhook secret holds base64 after whsec_") from None
    return secret


def _validate_secret(secret: SecretStr) -> SecretStr:
    validate_webhook_secret(secret.get_secret_value())
    return secret


class SandboxSettings(BaseSettings):
    """The sandbox's settings."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    bind: str = Field(default="127.0.0.1", description="the address both doors listen on")
    sandbox_port: int = Field(default=8090, ge=1, le=65535, description="the HTTP port")
    smtp_port: int = Field(default=1025, ge=1, le=65535, description="the SMTP port")
    apns_port: int = Field(default=2197, ge=1, le=65535, description="the port of Apple's push service, HTTP/2")
    apns_key_file: Path | None = Field(
        default=None, description="the .p8 file that signs in at Apple's push service; without it that is closed"
    )
    apns_key_id: str = Field(default="LOCALKEY01", description="ten characters that name the key")
    apns_team_id: str = Field(default="LOCALTEAM1", description="ten characters that name the team")
    apns_topic: str = Field(default="test.delivery.app", description="the one app that Apple knows")
    public_url: str = Field(
        default="http://127.0.0.1:8080", pattern="^https?://", description="the edge that callbacks go to"
    )
    firebase_project_id: str = Field(
        default="delivery-local", pattern="^[a-z][a-z0-9-]{4,29}$", description="issuer and audience"
    )
    sandbox_signing_key_file: Path = Field(description="a PEM file with the RSA private key that signs ID tokens")
    sandbox_state_dir: Path = Field(description="the folder of the SQLite file; made when it is not there")
    sandbox_webhook_secret: Annotated[SecretStr, AfterValidator(_validate_secret)] = Field(
        description="whsec_…; what every bank and partner signs with until it is told another"
    )
    sandbox_id_token_seconds: int = Field(default=3600, ge=1, le=86400, description="how long an ID token is valid")
    sandbox_fault_delay_seconds: float = Field(
        default=20, ge=0, le=600, description="how long an answer takes under the fault `slow`"
    )
