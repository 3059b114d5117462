"""Settings that production rejects, for each service."""

import os
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from services.orders.app import load_demo_data, serve
from services.orders.settings import Settings as Orders
from services.runtime.config.settings import ServiceSettings, SettingsError, load_settings
from services.runtime.process import cli
from tests.service_settings import SETTINGS

SECRET = "a-production-secret"
KEY = "pYj6C1Vt0nWb3zQeXkHsLr8uMf2Dg9aTqO7wNcEiBxU="
VALID_SETTINGS = {
    "SERVICE_SOCKET": "/run/delivery/service.sock",
    "DATABASE_URL": f"postgresql://orders:{SECRET}@database.example/orders",
    "BROKER_URL": f"amqps://orders:{SECRET}@broker.example/delivery",
    "DOCUMENTS_URL": f"mongodb+srv://orders:{SECRET}@documents.example/orders",
    "ENCRYPTION_KEY": KEY,
    "PUBLIC_URL": "https://delivery.example",
    "EGRESS_SOCKET": "/run/delivery/egress.sock",
    "HEALTH_SOCKET": "/run/delivery/health.sock",
    "CACHE_ADDRESS": "cache.example:11211",
    "CACHE_USERNAME": "gateway",
    "CACHE_PASSWORD": SECRET,
    "FIREBASE_PROJECT_ID": "delivery",
    "FIREBASE_API_KEY": "AIza-a-key-of-the-project",
    "GOOGLE_APPLICATION_CREDENTIALS": "/run/secrets/account.json",
    "STORAGE_BUCKET": "pictures",
    "SMTP_URL": f"smtps://delivery:{SECRET}@mail.example",
    "MAIL_FROM": "Delivery <no-reply@delivery.example>",
}
REJECTED_BY_ALL = {
    "PUBLIC_URL": [
        "http://127.0.0.1:8080",
        "https://localhost",
        "http://delivery.example",
        "https://sandbox:8090",
        "https://gateway",
    ],
    "DATABASE_URL": ["postgresql://app:local@postgres/orders"],
    "BROKER_URL": ["amqp://guest:guest@rabbitmq/"],
    "FIREBASE_AUTH_EMULATOR_HOST": ["127.0.0.1:9099"],
    "STORAGE_EMULATOR_HOST": ["http://127.0.0.1:24443"],
    "DEMO_WEBHOOK_SECRET": ["whsec_c2VjcmV0"],
    "SANDBOX_URL": ["http://127.0.0.1:8090"],
    "SANDBOX_BROWSER_URL": ["http://127.0.0.1:8090"],
}
"""Values that every service rejects in production."""

REJECTED_BY_SERVICE = {
    "gateway": {
        "IDENTITY_URL": ["http://127.0.0.1:8090"],
        "STORAGE_URL": ["http://127.0.0.1:24443"],
        "FIREBASE_PROJECT_ID": ["delivery-local"],
        "FIREBASE_API_KEY": ["local"],
        "CACHE_PASSWORD": ["local"],
    },
    "orders": {
        "ALLOWED_TARGETS": ["http://127.0.0.1:8090"],
        "RETURN_URL_ORIGINS": [
            "http://localhost:5173",
            "http://app.example",
            "https://app.example,https://sandbox:8090",
        ],
    },
    "partners": {"ALLOWED_TARGETS": ["http://127.0.0.1:8090"]},
    "notifications": {
        "FCM_URL": ["http://127.0.0.1:8090"],
        "APNS_URL": ["http://127.0.0.1:2197"],
        "SMTP_URL": [
            "smtp://127.0.0.1:1025",
            "smtp://localhost",
            "smtp://a:b@mail.example",
            "smtp://sandbox:1025",
            "smtp://sandbox.delivery.svc",
        ],
        "APNS_KEY_ID": ["LOCALKEY01"],
        "APNS_TEAM_ID": ["LOCALTEAM1"],
        "APNS_TOPIC": ["test.delivery.app"],
        "MAIL_FROM": ["Delivery <no-reply@delivery.test>"],
        "OPERATORS_EMAIL": ["operators@delivery.test"],
        "LEASE_SECONDS": ["3.5", "54.9"],
    },
}
CASES = [
    pytest.param(service, name, value, id=f"{service}-{name}-{number}")
    for service in SETTINGS
    for name, values in (REJECTED_BY_ALL | REJECTED_BY_SERVICE.get(service, {})).items()
    for number, value in enumerate(values)
]


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "ENVIRONMENT",
        *REJECTED_BY_ALL,
        *(name for rejected in REJECTED_BY_SERVICE.values() for name in rejected),
    ):
        monkeypatch.delenv(name, raising=False)
    for name, value in VALID_SETTINGS.items():
        monkeypatch.setenv(name, value)
    # pika creates an SSL context for each `amqps` URL, which reads the certificates of all authorities in 20 ms.
    monkeypatch.setenv("SSL_CERT_FILE", os.devnull)
    monkeypatch.setenv("SSL_CERT_DIR", os.devnull)


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_production_accepts_real_settings(settings: type[ServiceSettings]) -> None:
    assert load_settings(settings).environment == "production"


@pytest.mark.parametrize(("service", "name", "value"), CASES)
def test_production_rejects_development_value(
    monkeypatch: pytest.MonkeyPatch, service: str, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=name) as raised:
        load_settings(SETTINGS[service])
    assert value not in str(raised.value)
    monkeypatch.setenv("ENVIRONMENT", "development")
    load_settings(SETTINGS[service])


def test_invalid_settings_are_reported_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUBLIC_URL", "http://127.0.0.1:8080")
    monkeypatch.setenv("STORAGE_URL", "http://127.0.0.1:24443")
    with pytest.raises(SettingsError) as raised:
        load_settings(SETTINGS["gateway"])
    assert str(raised.value).splitlines() == [
        "invalid environment:",
        "  STORAGE_URL is for development",
        "  PUBLIC_URL must be a public https URL",
    ]


@pytest.mark.parametrize(
    ("service", "name"), [("gateway", "STORAGE_BUCKET"), ("orders", "DOCUMENTS_URL"), ("notifications", "SMTP_URL")]
)
def test_missing_setting_is_named(monkeypatch: pytest.MonkeyPatch, service: str, name: str) -> None:
    monkeypatch.delenv(name)
    with pytest.raises(SettingsError, match=name):
        load_settings(SETTINGS[service])


@pytest.mark.parametrize("key", ["", "key", "A" * 44, "3q2-7w==", "ключ"])
@pytest.mark.parametrize("number", [1, 2])
def test_invalid_encryption_key_is_rejected_in_development(
    monkeypatch: pytest.MonkeyPatch, number: int, key: str
) -> None:
    keys = [KEY, KEY]
    keys[number - 1] = key
    monkeypatch.setenv("ENCRYPTION_KEY", ",".join(keys))
    monkeypatch.setenv("ENVIRONMENT", "development")
    with pytest.raises(SettingsError, match=f"ENCRYPTION_KEY: key {number} is not a Fernet key") as raised:
        load_settings(Orders)
    assert KEY not in str(raised.value)


def test_several_encryption_keys_are_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = f"{KEY}, {Fernet.generate_key().decode()}"
    monkeypatch.setenv("ENCRYPTION_KEY", keys)
    assert load_settings(Orders).encryption_key.get_secret_value() == keys


def test_repeated_encryption_key_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENCRYPTION_KEY", f"{KEY},{Fernet.generate_key().decode()},{KEY}")
    with pytest.raises(SettingsError, match="ENCRYPTION_KEY: a key is repeated"):
        load_settings(Orders)


def test_every_encryption_key_must_be_random_in_production(monkeypatch: pytest.MonkeyPatch) -> None:
    placeholder = "3q2-7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
    monkeypatch.setenv("ENCRYPTION_KEY", f"{KEY},{placeholder}")
    with pytest.raises(SettingsError, match="ENCRYPTION_KEY: key 2 is not random") as raised:
        load_settings(Orders)
    assert placeholder not in str(raised.value)
    monkeypatch.setenv("ENVIRONMENT", "development")
    load_settings(Orders)


def test_secret_is_loaded_from_file_unless_in_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("DATABASE_URL")
    monkeypatch.setenv("SECRETS_DIR", str(tmp_path))
    with pytest.raises(SettingsError, match="DATABASE_URL"):
        load_settings(Orders)
    (tmp_path / "database_url").write_text(VALID_SETTINGS["DATABASE_URL"] + "\n", encoding="utf-8")
    (tmp_path / "broker_url").write_text("amqps://another.example", encoding="utf-8")
    settings = load_settings(Orders)
    assert settings.database_url.get_secret_value() == VALID_SETTINGS["DATABASE_URL"]
    assert settings.broker_url.get_secret_value() == VALID_SETTINGS["BROKER_URL"], "the environment takes precedence"


def test_missing_secrets_folder_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SECRETS_DIR", str(tmp_path / "missing"))
    with pytest.raises(SettingsError, match="SECRETS_DIR: is not a folder"):
        load_settings(Orders)


def test_demo_data_command_is_rejected_in_production(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["services.orders", "demo-data"])
    with pytest.raises(SystemExit, match="demo data is not allowed in production"):
        cli.main("orders", Orders, serve, load_demo_data)
