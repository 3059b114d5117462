"""Settings come from the environment, typed, and are checked before anything starts."""

import os
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

from cryptography.fernet import Fernet
from pydantic import BeforeValidator, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.runtime.config import production_checks


class Environment(StrEnum):
    """Where the process runs; production refuses what only a developer's machine may have."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"


def _split_csv(value: object) -> object:
    return tuple(filter(None, value.split(","))) if isinstance(value, str) else value


Origins = Annotated[tuple[str, ...], BeforeValidator(_split_csv)]
"""Origins (scheme://host:port), apart by commas."""

Delays = Annotated[tuple[Annotated[float, Field(ge=0, le=30 * 86400)], ...], BeforeValidator(_split_csv)]
"""Seconds, apart by commas; none is longer than 30 days."""


InboxDays = Annotated[float, Field(ge=2, le=3650, description="how long it is kept which events were consumed")]
"""Days. A message is tried for half a day at most; the rest is for dead letters that are sent again."""


class ServiceSettings(BaseSettings):
    """What every service is told. The variables are the fields' names in capitals."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    environment: Environment = Field(default=Environment.PRODUCTION, description="development or production")
    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="the least level logged")
    service_socket: Path = Field(description="the unix socket the app listens on; only its sidecar reaches it")
    database_url: SecretStr = Field(description="postgresql://user:password@host:port/database, the service's own")
    broker_url: SecretStr = Field(description="amqp://user:password@host:port/vhost, the service's own user")
    encryption_key: SecretStr = Field(description="a Fernet key; secrets are stored encrypted with it")
    public_url: str = Field(default="http://127.0.0.1:8080", description="where the edge is, without a path")
    trace_percent: float = Field(
        default=1, ge=0, le=100, description="the share of what begins here, at nobody's request, that is traced"
    )
    drain_seconds: float = Field(default=5, ge=0, description="how long requests may take after SIGTERM")

    @field_validator("encryption_key")
    @classmethod
    def _validate_key(cls, key: SecretStr) -> SecretStr:
        try:
            Fernet(key.get_secret_value())
        except ValueError:
            raise ValueError("is no Fernet key: 32 bytes in URL-safe base64") from None
        return key

    @model_validator(mode="after")
    def _validate_for_production(self) -> Self:
        if self.environment is Environment.PRODUCTION and (wrong := [*self.production_errors()]):
            raise ValueError("; ".join(wrong))
        return self

    def production_errors(self) -> Iterator[str]:
        """What keeps these settings from production."""
        yield from production_checks.production_errors(self)
        if not production_checks.is_public_url(self.public_url):
            yield "PUBLIC_URL must be https, where others reach it"


class DemoSettings(BaseSettings):
    """What `demo-data` is told on top."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    environment: Environment = Environment.PRODUCTION
    sandbox_url: str = Field(default="http://127.0.0.1:8090", description="where the sandbox's banks and partners are")
    demo_webhook_secret: SecretStr = Field(description="whsec_…; what every demo bank and partner signs with")


class SettingsError(SystemExit):
    """The environment is wrong; the message names each variable."""


def load_settings[S: BaseSettings](settings_type: type[S]) -> S:
    """Reads the environment, and the folder SECRETS_DIR for what it does not say: a file per setting, named like it.

    Raises SettingsError, which ends the process with a line per variable and no values.
    """
    folder = os.environ.get("SECRETS_DIR")
    if folder is not None and not Path(folder).is_dir():
        raise SettingsError("the environment is wrong:\n  SECRETS_DIR: is no folder")
    try:
        return settings_type(_secrets_dir=folder)
    except ValidationError as error:
        wrong = error.errors(include_input=False)
        lines = (": ".join(filter(None, (_variable_name(item["loc"]), _format_error(item["msg"])))) for item in wrong)
        raise SettingsError("the environment is wrong:\n" + "\n".join(f"  {line}" for line in lines)) from None


def _variable_name(location: tuple[int | str, ...]) -> str:
    return "_".join(map(str, location)).upper()


def _format_error(message: str) -> str:
    return message.removeprefix("Value error, ").replace("; ", "\n  ")
