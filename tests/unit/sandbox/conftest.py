"""Fixtures of the sandbox's components, on a database in a temporary folder."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from services.sandbox.fault_injection import FaultInjector
from services.sandbox.identity.accounts import AccountRepository
from services.sandbox.identity.tokens import TokenIssuer
from services.sandbox.rendering import PageRenderer
from services.sandbox.store import SqliteDatabase
from services.sandbox.webhooks import WebhookClient
from tests.unit.sandbox.components import SECRET, CallbackReceiver


@pytest.fixture(scope="session")
def empty_state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of an empty database; copying it is faster than creating the tables."""
    folder = tmp_path_factory.mktemp("sandbox") / "state"
    SqliteDatabase(folder).close()
    return folder


@pytest.fixture
def database(tmp_path: Path, empty_state: Path) -> Iterator[SqliteDatabase]:
    database = SqliteDatabase(shutil.copytree(empty_state, tmp_path / "state"))
    database.execute("PRAGMA synchronous = OFF")  # integration tests kill the process; here, syncing only takes time
    yield database
    database.close()


@pytest.fixture
def fault_injector(database: SqliteDatabase) -> FaultInjector:
    return FaultInjector(database, delay_s=0)


@pytest.fixture(scope="session")
def renderer() -> PageRenderer:
    return PageRenderer()


@pytest.fixture
def callback_receiver() -> CallbackReceiver:
    return CallbackReceiver()


@pytest.fixture
def webhook_client(database: SqliteDatabase, callback_receiver: CallbackReceiver) -> WebhookClient:
    return WebhookClient(database, SECRET, callback_receiver.client)


@pytest.fixture(scope="session")
def signing_key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the PEM file of an RSA key."""
    path = tmp_path_factory.mktemp("keys") / "signing.pem"
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return path


@pytest.fixture(scope="session")
def token_issuer(signing_key_file: Path) -> TokenIssuer:
    return TokenIssuer(signing_key_file, "delivery-local", 3600)


@pytest.fixture
def accounts(database: SqliteDatabase) -> AccountRepository:
    return AccountRepository(database)
