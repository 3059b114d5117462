"""Completeness of the columns that `reencrypt-secrets` covers."""

from types import ModuleType

import pytest
from sqlalchemy import LargeBinary, MetaData

from services.notifications import app as notifications
from services.notifications.adapters.postgres import tables as notifications_tables
from services.orders import app as orders
from services.orders.adapters.postgres import tables as orders_tables
from services.partners import app as partners
from services.partners.adapters.postgres import tables as partners_tables

UNENCRYPTED_COLUMNS = {"outbox.payload", "idempotency_keys.fingerprint", "idempotency_keys.response"}


@pytest.mark.parametrize(
    ("app", "metadata"),
    [
        (orders, orders_tables.metadata),
        (partners, partners_tables.metadata),
        (notifications, notifications_tables.metadata),
    ],
    ids=["orders", "partners", "notifications"],
)
def test_every_binary_column_is_reencrypted_or_listed(app: ModuleType, metadata: MetaData) -> None:
    binary_columns = {
        str(column)
        for table in metadata.tables.values()
        for column in table.columns
        if isinstance(column.type, LargeBinary)
    }
    assert {str(column) for column in app.ENCRYPTED_COLUMNS} == binary_columns - UNENCRYPTED_COLUMNS
