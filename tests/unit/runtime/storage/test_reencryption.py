"""Completeness of the columns that `reencrypt-secrets` covers, and the check of stored secrets."""

import logging
from importlib import import_module
from typing import Any

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import LargeBinary, MetaData

from deploy.local.mesh_config import CALLEES
from services.orders.adapters.postgres.tables import banks
from services.runtime.storage.encryption import SecretBox
from services.runtime.storage.reencryption import check_secrets

UNENCRYPTED_COLUMNS = {
    "callbacks.fingerprint",
    "device_owners.token_hash",
    "outbox.payload",
    "ready_callbacks.fingerprint",
    "idempotency_keys.fingerprint",
    "idempotency_keys.response",
}


@pytest.mark.parametrize("service", CALLEES)
def test_every_binary_column_is_reencrypted_or_listed(service: str) -> None:
    app = import_module(f"services.{service}.app")
    metadata: MetaData = import_module(f"services.{service}.adapters.postgres.tables").metadata
    binary_columns = {
        str(column)
        for table in metadata.tables.values()
        for column in table.columns
        if isinstance(column.type, LargeBinary)
    }
    assert {str(column) for column in app.ENCRYPTED_COLUMNS} == binary_columns - UNENCRYPTED_COLUMNS


class FakeDatabase:
    """Database that returns the same secrets for every column."""

    def __init__(self, *encrypted: bytes) -> None:
        self.encrypted = encrypted

    async def fetch_all(self, statement: Any) -> list[dict[str, bytes]]:
        return [{"encrypted": each} for each in self.encrypted]


@pytest.mark.parametrize(("has_key", "logged"), [(True, []), (False, ["1 of 2 values of banks.webhook_secret"])])
async def test_secrets_of_unknown_key_are_logged(
    has_key: bool, logged: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    old_key, new_key = (Fernet.generate_key().decode() for _ in range(2))
    database = FakeDatabase(SecretBox(old_key).encrypt("a"), SecretBox(new_key).encrypt("b"))
    secret_box = SecretBox(f"{new_key},{old_key}" if has_key else new_key)
    with caplog.at_level(logging.ERROR):
        assert await check_secrets(database, [banks.c.webhook_secret], secret_box) == 0  # type: ignore[arg-type]
    assert [message.partition(" cannot")[0] for message in caplog.messages] == logged
