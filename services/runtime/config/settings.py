"""Typed settings from the environment, validated at startup."""

import hmac
import os
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

from pydantic import (
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.runtime.config import encryption_keys, production_checks
from services.runtime.config.urls import BrokerUrl, DatabaseUrl, HttpUrl, OptionalHttpUrl, Origin
from services.runtime.core.pagination import PageTokenSigner

QUOTES = ('"', "'")


class Environment(StrEnum):
    """Environment of the process; production rejects settings that are allowed in development only."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"


def _split_csv(value: object) -> object:
    return tuple(filter(None, value.split(","))) if isinstance(value, str) else value


Origins = Annotated[tuple[str, ...], BeforeValidator(_split_csv)]
"""Comma-separated origins (scheme://host:port)."""

Targets = Annotated[tuple[Origin, ...], BeforeValidator(_split_csv)]
"""Comma-separated origins of servers that a service may call."""

Delays = Annotated[tuple[Annotated[float, Field(ge=0, le=30 * 86400)], ...], BeforeValidator(_split_csv)]
"""Comma-separated delays in seconds, each at most 30 days."""


InboxDays = Annotated[float, Field(ge=2, le=3650, description="retention of consumed event ids, in days")]
"""Days. A message is retried for at most half a day; the rest allows for replays of dead letters."""


class EnvironmentSettings(BaseSettings):
    """Base class of settings. A variable is the upper-case name of its field."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    @field_validator("*", mode="before")
    @classmethod
    def _validate_text(cls, value: object, info: ValidationInfo) -> object:
        """Reject quotes around a value, and empty values of fields that need one."""
        if not isinstance(value, str):
            return value
        if value[:1] in QUOTES or value[-1:] in QUOTES:
            raise ValueError("begins or ends with a quote, which would be part of the value")
        name = str(info.field_name)
        needs_value = cls.model_fields[name].is_required() or cls.model_fields[name].annotation in (Path, Path | None)
        if (
            not value.strip() and needs_value and not name.endswith("_url")
        ):  # URLs have an error message with an example
            raise ValueError("is empty")
        return value


class ServiceSettings(EnvironmentSettings):
    """Settings of every service."""

    environment: Environment = Field(default=Environment.PRODUCTION, description="development or production")
    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="minimum log level")
    service_socket: Path = Field(description="unix socket of the app, reached by its sidecar only")
    database_url: DatabaseUrl = Field(
        description=(
            "postgresql://user:password@host:port/database of this service; the primary of comma-separated hosts"
        )
    )
    broker_url: BrokerUrl = Field(
        description=(
            "amqp://user:password@host:port/vhost, with the user of this service; any node of comma-separated hosts"
        )
    )
    encryption_key: SecretStr = Field(
        description=(
            "comma-separated Fernet keys of stored secrets and page tokens: the first encrypts and signs, "
            "all decrypt and verify"
        )
    )
    migrate_at_start: bool | None = Field(
        default=None, description="apply pending migrations at start; without a value in development only"
    )
    public_url: HttpUrl = Field(default="http://127.0.0.1:8080", description="URL of the edge, without a path")
    trace_percent: float = Field(
        default=1, ge=0, le=100, description="percentage of sampled traces among those that start in this process"
    )
    drain_seconds: float = Field(default=5, ge=0, description="time limit of open requests after SIGTERM")

    @field_validator("encryption_key")
    @classmethod
    def _validate_encryption_key(cls, keys: SecretStr) -> SecretStr:
        encryption_keys.create_fernets(keys.get_secret_value())
        return keys

    @model_validator(mode="after")
    def _validate_for_production(self) -> Self:
        if self.environment is Environment.PRODUCTION and (errors := [*self.iter_production_errors()]):
            raise ValueError("; ".join(errors))
        return self

    def is_migrating_at_start(self) -> bool:
        """Return whether `serve` applies pending migrations."""
        if self.migrate_at_start is None:
            return self.environment is Environment.DEVELOPMENT
        return self.migrate_at_start

    def build_page_token_signer(self) -> PageTokenSigner:
        """Return the signer of page tokens with keys derived from the encryption keys."""
        return PageTokenSigner(encryption_keys.split_keys(self.encryption_key.get_secret_value()))

    def derive_keys(self, purpose: str) -> list[bytes]:
        """Return keys for a purpose, derived from the encryption keys in their order. The first is the current one."""
        keys = encryption_keys.split_keys(self.encryption_key.get_secret_value())
        return [hmac.digest(key.encode(), purpose.encode(), "sha256") for key in keys]

    def iter_production_errors(self) -> Iterator[str]:
        """Yield the reasons that these settings are not allowed in production."""
        yield from production_checks.iter_production_errors(self)
        yield from encryption_keys.iter_production_errors(self.encryption_key.get_secret_value())
        if not production_checks.is_public_url(self.public_url):
            yield "PUBLIC_URL must be a public https URL"


class DemoSettings(EnvironmentSettings):
    """Additional settings of the `demo-data` command."""

    environment: Environment = Environment.PRODUCTION
    sandbox_url: HttpUrl = Field(default="http://127.0.0.1:8090", description="URL of the sandbox's emulated systems")
    sandbox_browser_url: OptionalHttpUrl = Field(
        default="", description="URL of the sandbox's pages for browsers; without it SANDBOX_URL"
    )
    demo_webhook_secret: SecretStr = Field(description="signing secret of every emulated system (whsec_…)")

    @property
    def browser_url(self) -> str:
        """Return the base URL of the sandbox's pages, which browsers open."""
        return self.sandbox_browser_url or self.sandbox_url


class SettingsError(SystemExit):
    """Invalid environment; the message names each variable."""


def load_settings[S: BaseSettings](settings_type: type[S]) -> S:
    """Load settings from the environment, and from the folder SECRETS_DIR those that the environment does not define.

    The folder contains one file per setting, named after it. Raises SettingsError, which exits the process with one
    line per invalid variable and without values.
    """
    folder = os.environ.get("SECRETS_DIR")
    if folder is not None and not Path(folder).is_dir():
        raise SettingsError("invalid environment:\n  SECRETS_DIR: is not a folder")
    try:
        return settings_type(_secrets_dir=folder)
    except ValidationError as error:
        details = error.errors(include_input=False)
        lines = (
            ": ".join(filter(None, (_format_variable_name(item["loc"]), _format_error(item["msg"]))))
            for item in details
        )
        raise SettingsError("invalid environment:\n" + "\n".join(f"  {line}" for line in lines)) from None


def _format_variable_name(location: tuple[int | str, ...]) -> str:
    return "_".join(map(str, location)).upper()


def _format_error(message: str) -> str:
    return message.removeprefix("Value error, ").replace("; ", "\n  ")
