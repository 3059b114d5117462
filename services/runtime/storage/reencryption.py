"""Re-encryption of stored secrets with the current key, so that earlier keys can be removed."""

import logging
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Column, ColumnElement, bindparam, select, tuple_, update

from services.runtime.config.settings import ServiceSettings
from services.runtime.storage.database import Database
from services.runtime.storage.encryption import SecretBox
from services.runtime.storage.statements.statement import Statement

log = logging.getLogger(__name__)

CHECK_INTERVAL_S = 86400
"""Interval between two checks of the stored secrets; the first one is made at the start of the service."""

BATCH_SIZE = 500
"""Maximum number of values that one query reads."""


async def run_reencrypt(settings: ServiceSettings, columns: Sequence[Column[Any]]) -> None:
    """Encrypt every value of the columns with the first key of ENCRYPTION_KEY, and print the number of changes."""
    secret_box = SecretBox(settings.encryption_key.get_secret_value())
    async with Database(settings.database_url.get_secret_value(), max_size=1) as database:
        for column in columns:
            print(f"{column}: {await reencrypt_column(database, column, secret_box)} re-encrypted")


async def check_secrets(database: Database, columns: Sequence[Column[Any]], secret_box: SecretBox) -> int:
    """Log an error for each column with values that no key decrypts, among its first BATCH_SIZE values. Return 0.

    Run at the start of a service, it reports a wrong key before the first callback fails.
    """
    for column in columns:
        first_page, _, _ = _build_statements(column)
        rows = await database.fetch_all(first_page)
        if count := sum(not secret_box.has_key_for(row["encrypted"]) for row in rows):
            log.error(
                "%d of %d values of %s cannot be decrypted: no key of ENCRYPTION_KEY fits; add their key",
                count,
                len(rows),
                column,
            )
    return 0


async def reencrypt_column(database: Database, column: Column[Any], secret_box: SecretBox) -> int:
    """Encrypt the values that another key has encrypted with the first key, and return their number.

    A value that is changed at the same time is left to the service, which encrypts with the first key as well.
    Raises cryptography.fernet.InvalidToken if no key fits.
    """
    first_page, next_page, replace = _build_statements(column)
    replaced = 0
    rows = await database.fetch_all(first_page)
    while rows:
        for row in rows:
            if (value := secret_box.reencrypt(row["encrypted"])) is not None:
                parameters = {**row, "value": value}
                replaced += await database.execute(replace, **{f"{name}_": each for name, each in parameters.items()})
        last_key = {f"{name}_": value for name, value in rows[-1].items() if name != "encrypted"}
        rows = await database.fetch_all(next_page, **last_key)
    return replaced


def _build_statements(column: Column[Any]) -> tuple[Statement, Statement, Statement]:
    """Build the queries of the first page and of the next page by primary key, and the update of one value."""
    key: list[Column[Any]] = list(column.table.primary_key.columns)
    parameters = [bindparam(f"{part.name}_", type_=part.type) for part in key]
    page = select(*key, column.label("encrypted")).where(column.is_not(None)).order_by(*key).limit(BATCH_SIZE)
    matches_row: list[ColumnElement[bool]] = [
        part == parameter for part, parameter in zip(key, parameters, strict=True)
    ]
    replace = (
        update(column.table)
        .where(*matches_row, column == bindparam("encrypted_", type_=column.type))
        .values({column: bindparam("value_", type_=column.type)})
    )
    return Statement(page), Statement(page.where(tuple_(*key) > tuple_(*parameters))), Statement(replace)
