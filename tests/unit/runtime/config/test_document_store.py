"""Setting DOCUMENTS_URL: accepted URLs, and errors without any part of the URL."""

import pytest

from services.runtime.config.document_store import URL_ERROR, DocumentStoreSettings
from services.runtime.config.settings import SettingsError, load_settings

PASSWORD = "s3cret-word"
VARIABLES = {
    "ENVIRONMENT": "development",
    "SERVICE_SOCKET": "/run/delivery/service.sock",
    "DATABASE_URL": "postgresql://orders@database.example/orders",
    "BROKER_URL": f"amqp://orders:{PASSWORD}@broker.example/delivery",
    "ENCRYPTION_KEY": "pYj6C1Vt0nWb3zQeXkHsLr8uMf2Dg9aTqO7wNcEiBxU=",
}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize(
    "url",
    [
        f"mongodb://orders:{PASSWORD}@127.0.0.1:27117/orders",
        f"mongodb://orders:{PASSWORD}%40%2F@a.example:1,b.example:2,[::1]:3/orders?replicaSet=rs&authSource=admin",
        f"mongodb+srv://orders:{PASSWORD}@documents.example/orders?srvMaxHosts=2",
        "mongodb://documents.example/orders?tls=true&authMechanism=MONGODB-X509",
    ],
)
def test_url_with_database_is_accepted(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("DOCUMENTS_URL", url)
    settings = load_settings(DocumentStoreSettings)
    assert settings.documents_url.get_secret_value() == url
    assert PASSWORD not in repr(settings)


@pytest.mark.parametrize(
    "url",
    [
        "",
        f"mongodb://orders:{PASSWORD}",
        f"mongodb://orders:{PASSWORD}/orders",
        f"mongodb+srv://orders:{PASSWORD}/orders",
        f"mongodb://orders:{PASSWORD}/x@127.0.0.1/orders",
        f"mongodb://orders:{PASSWORD}@x@127.0.0.1/orders",
        f"mongodb://orders:{PASSWORD}@127.0.0.1:port/orders",
        f"mongodb://orders:{PASSWORD}@127.0.0.1",
        f"mongodb://orders:{PASSWORD}@127.0.0.1/?authSource=admin",
        f"postgresql://orders:{PASSWORD}@127.0.0.1/orders",
    ],
)
def test_invalid_url_is_rejected_without_its_password(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("DOCUMENTS_URL", url)
    with pytest.raises(SettingsError) as raised:
        load_settings(DocumentStoreSettings)
    assert str(raised.value) == f"invalid environment:\n  DOCUMENTS_URL: {URL_ERROR}"
