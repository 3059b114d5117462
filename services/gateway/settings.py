"""Settings of the gateway."""

import re
import ssl
from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, field_validator, model_validator

from services.runtime.config.production_checks import EMULATED
from services.runtime.config.urls import HostsAndPorts, OptionalHttpUrl
from services.runtime.storage.memcached import MemcachedServer
from services.runtime.storage.object_storage import StorageSettings

ROOT = Path(__file__).parents[2]

_VAPID_PUBLIC_KEY = re.compile(r"B[A-P][A-Za-z0-9_-]{85}")
"""Uncompressed point of the curve P-256 in base64url."""


class Settings(StorageSettings):
    """Environment variables of the gateway."""

    egress_socket: Path = Field(description="the sidecar's unix socket for calls to other services")
    health_socket: Path = Field(description="the unix socket of the gRPC health service")
    cache_address: HostsAndPorts = Field(
        description="host:port of Memcached; the entries are distributed over comma-separated nodes"
    )
    cache_username: str = Field(pattern=r"^[^\s:]+$", description="user of Memcached")
    cache_password: SecretStr = Field(min_length=1, description="password of the user of Memcached")
    cache_ca_file: Path | None = Field(
        default=None, description="file with the CA certificates of Memcached; without it connections are not encrypted"
    )
    firebase_project_id: str = Field(description="the Firebase project of the accounts")
    firebase_api_key: SecretStr = Field(description="the project's web API key")
    google_application_credentials: str = Field(description="path of the service account's key file")
    identity_url: OptionalHttpUrl = Field(
        default="",
        json_schema_extra=EMULATED,
        description="base URL of an emulator of Google's identity hosts; empty for Google itself",
    )
    swagger_ui_folder: Path = Field(
        default=ROOT / "node_modules/swagger-ui-dist", description="the folder of the npm package swagger-ui-dist"
    )
    apps_folder: Path = Field(default=ROOT / "dist/apps", description="the folder of the built web apps")
    firebase_web_app_id: str = Field(
        default="", description="id of the Firebase web app, for push notifications in browsers; empty without these"
    )
    firebase_sender_id: str = Field(default="", description="Firebase sender id (messagingSenderId) of the web app")
    firebase_vapid_key: str = Field(default="", description="Firebase public key of web push (vapidKey) of the web app")
    device_emulator_url: OptionalHttpUrl = Field(
        default="",
        json_schema_extra=EMULATED,
        description="URL of the sandbox's devices, which emulate push notifications in browsers",
    )
    trace_viewer_url: OptionalHttpUrl = Field(
        default="",
        description="URL of a search for traces for links of the console, to which the id of an order is added",
    )
    validate_responses: bool = Field(
        default=False,
        description="validate each response against the contract before it is sent; for development",
    )
    trusted_hops: int = Field(
        default=0, ge=0, le=10, description="trusted proxies in front of the edge that append to X-Forwarded-For"
    )
    max_event_streams_per_user: int = Field(default=50, ge=1, description="concurrent event streams of one user")
    max_uploads_per_user: int = Field(default=4, ge=1, description="concurrent uploads of one user")
    upload_memory_mib: int = Field(
        default=48, ge=8, description="maximum memory of all bodies of uploads in a process, in MiB"
    )
    failed_attempts_per_account_and_address: int = Field(
        default=10, ge=1, description="failed attempts per account and client address in a window"
    )
    failed_attempts_per_account: int = Field(default=100, ge=1, description="failed attempts per account in a window")
    failed_attempts_per_address: int = Field(
        default=300, ge=1, description="failed attempts per client address in a window"
    )
    failed_attempts_window_seconds: int = Field(default=900, ge=1, description="length of the window in seconds")

    @field_validator("cache_password")
    @classmethod
    def _validate_cache_password(cls, password: SecretStr) -> SecretStr:
        if re.search(r"\s", password.get_secret_value()):
            raise ValueError("contains whitespace, which Memcached's authentication does not support")
        return password

    @field_validator("cache_ca_file")
    @classmethod
    def _validate_cache_ca_file(cls, path: Path | None) -> Path | None:
        try:
            ssl.create_default_context(cafile=path)
        except OSError as error:
            raise ValueError("is no readable file with CA certificates") from error
        return path

    @field_validator("firebase_vapid_key")
    @classmethod
    def _validate_firebase_vapid_key(cls, key: str) -> str:
        """Reject other keys, since the gateway publishes this one. The private key has another length."""
        if key and not _VAPID_PUBLIC_KEY.fullmatch(key):
            raise ValueError("is no public VAPID key, which has 87 characters in base64url and begins with B")
        return key

    @model_validator(mode="after")
    def _check_firebase_web_app(self) -> Self:
        values = (self.firebase_web_app_id, self.firebase_sender_id, self.firebase_vapid_key)
        if any(values) and not all(values):
            raise ValueError("FIREBASE_WEB_APP_ID, FIREBASE_SENDER_ID and FIREBASE_VAPID_KEY must be set together")
        return self

    def build_cache_server(self) -> MemcachedServer:
        """Return the address and the credentials of Memcached, and how its certificate is verified."""
        tls_context = None if self.cache_ca_file is None else ssl.create_default_context(cafile=self.cache_ca_file)
        password = self.cache_password.get_secret_value()
        return MemcachedServer(self.cache_address, self.cache_username, password, tls_context)
