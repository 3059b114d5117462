"""Settings with invalid values: one line that names the variable, without a part of the value."""

import base64
import ssl
from pathlib import Path

import pytest

from deploy.local.pki.certificates import CertificateAuthority
from services.gateway.settings import Settings as Gateway
from services.notifications.settings import Settings as Notifications
from services.orders.settings import Settings as Orders
from services.runtime.config.settings import SettingsError, load_settings
from services.runtime.config.urls import list_broker_urls

SECRET = "s3cret-of-the-test"
ENVIRONMENT = {
    "ENVIRONMENT": "development",
    "SERVICE_SOCKET": "/run/delivery/app.sock",
    "DATABASE_URL": f"postgresql://app:{SECRET}@database.test:5432/app",
    "BROKER_URL": f"amqp://app:{SECRET}@broker.test:5672/delivery",
    "DOCUMENTS_URL": f"mongodb://app:{SECRET}@documents.test/app",
    "ENCRYPTION_KEY": base64.urlsafe_b64encode(bytes(32)).decode(),
    "EGRESS_SOCKET": "/run/delivery/egress.sock",
    "HEALTH_SOCKET": "/run/delivery/health.sock",
    "CACHE_ADDRESS": "cache.test:11211",
    "CACHE_USERNAME": "app",
    "CACHE_PASSWORD": SECRET,
    "FIREBASE_PROJECT_ID": "delivery-test",
    "FIREBASE_API_KEY": SECRET,
    "GOOGLE_APPLICATION_CREDENTIALS": "/run/secrets/account.json",
    "STORAGE_BUCKET": "delivery",
    "SMTP_URL": f"smtp://app:{SECRET}@mail.test:587",
}
SETTINGS = (Gateway, Orders, Notifications)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for settings in SETTINGS:
        for name in settings.model_fields:
            monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.delenv("SECRETS_DIR", raising=False)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize(
    "url",
    [
        f"postgres://app:{SECRET}@database.test:5432/app",
        f"postgresql://app:{SECRET}@database.test/app?sslmode=require",
        f"postgresql://app:{SECRET}%40%2F@[::1]/app",
        f"postgresql://app:{SECRET}@one.test:5432,two.test,[::1]:6432/app?target_session_attrs=read-write",
    ],
)
def test_database_url_is_normalised(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    loaded = load_settings(Orders).database_url.get_secret_value()
    assert loaded == "postgresql://" + url.partition("://")[2]


def test_broker_and_cache_accept_several_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"amqp://app:{SECRET}@one.test:5672,two.test/delivery"
    monkeypatch.setenv("BROKER_URL", url)
    monkeypatch.setenv("CACHE_ADDRESS", "one.test:11211,two.test:11212")
    settings = load_settings(Gateway)
    assert list_broker_urls(settings.broker_url.get_secret_value()) == [
        f"amqp://app:{SECRET}@one.test:5672/delivery",
        f"amqp://app:{SECRET}@two.test/delivery",
    ]
    assert settings.build_cache_server().address == "one.test:11211,two.test:11212"


@pytest.mark.parametrize("url", ["amqp://broker.test", "amqps://app@[::1]:5671/a%2Fb?heartbeat=5"])
def test_broker_url_with_one_host_is_unchanged(url: str) -> None:
    assert list_broker_urls(url) == [url]


def test_cache_certificate_is_verified_with_the_ca_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert load_settings(Gateway).build_cache_server().tls_context is None
    CertificateAuthority(tmp_path)
    monkeypatch.setenv("CACHE_CA_FILE", str(tmp_path / "ca.pem"))
    context = load_settings(Gateway).build_cache_server().tls_context
    assert context is not None
    assert (context.check_hostname, context.verify_mode, len(context.get_ca_certs())) == (True, ssl.CERT_REQUIRED, 1)


INVALID_VALUES = {
    "DATABASE_URL": [
        "",
        " ",
        f'"postgresql://app:{SECRET}@database.test/app"',
        f"'postgresql://app:{SECRET}@database.test/app'",
        f"postgresql://app:{SECRET}@database.test",
        f"postgresql://app:{SECRET}@database.test:port/app",
        f"postgresql://app:/{SECRET}@database.test/app",
        f"postgresql://app:x:{SECRET}@[database.test/app",
        f"mysql://app:{SECRET}@database.test/app",
        f"app:{SECRET}@database.test/app",
        f"postgresql://app:{SECRET}@database.test/app?no_such_option=1",
        f"postgresql+psycopg://app:{SECRET}@database.test/app",
        f"postgresql://app:{SECRET}@one.test:5432,two.test:99999/app",
    ],
    "BROKER_URL": [
        "",
        f'"amqp://app:{SECRET}@broker.test/delivery"',
        f"http://app:{SECRET}@broker.test/delivery",
        f"amqp://app:/{SECRET}@broker.test/delivery",
        f"amqp://app:{SECRET}@broker.test:99999/delivery",
        f"amqp://app:{SECRET}@broker.test/delivery?heartbeat=soon",
        "broker.test:5672",
        f"amqp://app:{SECRET}@one.test:5672,two.test:99999/delivery",
        f"amqp://app:{SECRET}@one.test:5672,/delivery",
    ],
    "SMTP_URL": ["", f"'smtp://app:{SECRET}@mail.test'", f"mail.test:{SECRET}", f"smtp://app:/{SECRET}@mail.test"],
    "DOCUMENTS_URL": ["", f'"mongodb://app:{SECRET}@documents.test/app"'],
    "PUBLIC_URL": ["", "delivery.test", "ftp://delivery.test", '"https://delivery.test"'],
    "IDENTITY_URL": ["localhost:8090", "'http://localhost:8090'"],
    "STORAGE_URL": ["localhost:4443"],
    "FCM_URL": ["localhost:8090"],
    "ALLOWED_TARGETS": ["localhost:8090", "*", "http://*", "http://localhost:8090/path", '"http://localhost:8090"'],
    "MAIL_FROM": ["", " ", "nobody", "Delivery <>", "a@delivery.test\nBcc: b", "'no-reply@delivery.test'"],
    "SERVICE_SOCKET": ["", '"/run/app.sock"'],
    "ENCRYPTION_KEY": ["", f'"{ENVIRONMENT["ENCRYPTION_KEY"]}"'],
    "CACHE_ADDRESS": ["", "cache.test", "'cache.test:11211'", "cache.test:99999", "one.test:1,two.test", "one.test:1,"],
    "CACHE_USERNAME": ["", "two words", "app:1"],
    "CACHE_PASSWORD": ["", f"{SECRET} {SECRET}", f"{SECRET}\n"],
    "CACHE_CA_FILE": ["/missing/ca.pem", __file__],
    "STORAGE_BUCKET": ["", "'delivery'"],
    "LOG_LEVEL": ["debug", "'INFO'", ""],
    "TRACE_PERCENT": ["many", "101", "nan", ""],
}
CASES = [(name, value) for name, values in INVALID_VALUES.items() for value in values]


@pytest.mark.parametrize(("name", "value"), CASES)
def test_invalid_value_is_reported_by_name_only(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    settings = next(each for each in SETTINGS if name.lower() in each.model_fields)
    with pytest.raises(SettingsError) as raised:
        load_settings(settings)
    message = str(raised.value)
    first, line, *others = message.splitlines()
    assert (first, others) == ("invalid environment:", [])
    assert line.strip().startswith(name)
    assert SECRET not in message
    assert ENVIRONMENT["ENCRYPTION_KEY"] not in message
