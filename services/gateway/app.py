"""Puts the gateway together."""

from pathlib import Path

from pydantic import Field, SecretStr

from services.runtime.settings import ServiceSettings

SPEC = Path(__file__).parents[2] / "generated/openapi/delivery.json"


class Settings(ServiceSettings):
    """What the gateway is told."""

    health_socket: Path = Field(description="the unix socket that answers for the process's health, by gRPC")
    cache_address: str = Field(pattern="^.+:[0-9]+$", description="host:port of Memcached")
    firebase_project_id: str = Field(description="the Firebase project that accounts live in")
    firebase_api_key: SecretStr = Field(description="the project's web API key")
    google_application_credentials: str = Field(description="path of the service account's key file")
    identity_url: str = Field(
        default="", description="where Google's identity hosts are played; empty for Google itself"
    )
