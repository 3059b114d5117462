"""Where pictures go is what the settings say, and in production that is Google."""

from pathlib import Path

import pytest

from services.runtime.objects import EMULATOR, Objects, StorageSettings
from services.runtime.settings import SettingsError, load

NEEDED = {
    "SERVICE_SOCKET": "s",
    "DATABASE_URL": "postgresql://h/d",
    "BROKER_URL": "amqp://h/v",
    "ENCRYPTION_KEY": "k",
    "STORAGE_BUCKET": "b",
}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in NEEDED.items():
        monkeypatch.setenv(name, value)
    for name in ("ENVIRONMENT", "STORAGE_URL", EMULATOR):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("name", ["STORAGE_URL", EMULATOR])
def test_production_refuses_the_emulator(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    assert load(StorageSettings).storage_bucket == "b"
    monkeypatch.setenv(name, "http://127.0.0.1:4443")
    with pytest.raises(SettingsError, match=name):
        load(StorageSettings)
    monkeypatch.setenv("ENVIRONMENT", "development")
    assert load(StorageSettings).service_socket == Path("s")


def test_the_sdk_does_not_go_elsewhere_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(EMULATOR, "http://127.0.0.1:4443")
    with pytest.raises(ValueError, match=EMULATOR):
        Objects("b")
    objects = Objects("b", "http://127.0.0.1:4444")
    assert objects._client.api_endpoint == "http://127.0.0.1:4444"
    objects.close()
