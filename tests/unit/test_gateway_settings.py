"""What production does not start with."""

import pytest

from services.gateway.app import Settings
from services.runtime.settings import SettingsError, load

TOLD = {
    "ENVIRONMENT": "production",
    "SERVICE_SOCKET": "/run/gateway.sock",
    "EGRESS_SOCKET": "/run/egress.sock",
    "HEALTH_SOCKET": "/run/health.sock",
    "DATABASE_URL": "postgresql://gateway@db/gateway",
    "BROKER_URL": "amqp://gateway@broker/delivery",
    "ENCRYPTION_KEY": "key",
    "CACHE_ADDRESS": "cache:11211",
    "FIREBASE_PROJECT_ID": "delivery",
    "FIREBASE_API_KEY": "key",
    "GOOGLE_APPLICATION_CREDENTIALS": "/run/secrets/account.json",
    "STORAGE_BUCKET": "pictures",
}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in TOLD.items():
        monkeypatch.setenv(name, value)


def test_production_starts_with_google() -> None:
    assert load(Settings).identity_url == ""


@pytest.mark.parametrize(
    "name", ["IDENTITY_URL", "FIREBASE_AUTH_EMULATOR_HOST", "STORAGE_URL", "STORAGE_EMULATOR_HOST"]
)
def test_production_does_not_start_with_what_is_played(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "http://127.0.0.1:8090")
    with pytest.raises(SettingsError, match=name):
        load(Settings)
    monkeypatch.setenv("ENVIRONMENT", "development")
    load(Settings)


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STORAGE_BUCKET")
    with pytest.raises(SettingsError, match="STORAGE_BUCKET"):
        load(Settings)
