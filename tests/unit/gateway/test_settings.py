"""Settings of the Firebase web app, which the gateway publishes to browsers."""

import pytest

from services.gateway.settings import Settings
from services.runtime.config.settings import SettingsError, load_settings

VALUES = {
    "ENVIRONMENT": "development",
    "SERVICE_SOCKET": "/run/delivery/service.sock",
    "DATABASE_URL": "postgresql://gateway:secret@database.example/gateway",
    "BROKER_URL": "amqps://gateway:secret@broker.example/delivery",
    "ENCRYPTION_KEY": "pYj6C1Vt0nWb3zQeXkHsLr8uMf2Dg9aTqO7wNcEiBxU=",
    "EGRESS_SOCKET": "/run/delivery/egress.sock",
    "HEALTH_SOCKET": "/run/delivery/health.sock",
    "CACHE_ADDRESS": "cache.example:11211",
    "CACHE_USERNAME": "gateway",
    "CACHE_PASSWORD": "secret",
    "FIREBASE_PROJECT_ID": "delivery",
    "FIREBASE_API_KEY": "key",
    "GOOGLE_APPLICATION_CREDENTIALS": "/run/secrets/account.json",
    "STORAGE_BUCKET": "pictures",
}
PUBLIC_KEY = f"BN{'x-_9' * 21}A"
WEB_APP = {
    "FIREBASE_WEB_APP_ID": "1:123456789012:web:0123456789abcdef",
    "FIREBASE_SENDER_ID": "123456789012",
    "FIREBASE_VAPID_KEY": PUBLIC_KEY,
}


def load(monkeypatch: pytest.MonkeyPatch, values: dict[str, str]) -> Settings:
    for name, value in (VALUES | values).items():
        monkeypatch.setenv(name, value)
    return load_settings(Settings)


@pytest.mark.parametrize("values", [WEB_APP, {}])
def test_web_app_is_configured_or_absent(monkeypatch: pytest.MonkeyPatch, values: dict[str, str]) -> None:
    assert load(monkeypatch, values).firebase_vapid_key == values.get("FIREBASE_VAPID_KEY", "")


@pytest.mark.parametrize("missing", WEB_APP)
def test_incomplete_web_app_is_rejected(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    with pytest.raises(SettingsError, match="must be set together"):
        load(monkeypatch, {name: value for name, value in WEB_APP.items() if name != missing})


@pytest.mark.parametrize("key", ["x" * 43, PUBLIC_KEY[:-1], f"{PUBLIC_KEY}=", f"A{PUBLIC_KEY[1:]}"])
def test_other_key_than_the_public_one_is_rejected(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    with pytest.raises(SettingsError, match="FIREBASE_VAPID_KEY") as raised:
        load(monkeypatch, WEB_APP | {"FIREBASE_VAPID_KEY": key})
    assert key not in str(raised.value)
