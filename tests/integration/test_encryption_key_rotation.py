"""Rotation of the encryption key of a service's stored secrets."""

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta

import pytest
from cryptography.fernet import Fernet, InvalidToken
from sqlalchemy import Column, Integer, LargeBinary, MetaData, PrimaryKeyConstraint, Table, Text, insert, select

from generated.problems import Reason
from services.orders.adapters.postgres.tables import banks
from services.runtime.core.clock import now
from services.runtime.core.errors import ApiError
from services.runtime.storage import reencryption
from services.runtime.storage.encryption import SecretBox
from services.runtime.storage.reencryption import reencrypt_column
from services.runtime.storage.statements.statement import Statement
from tests.conftest import ROOT
from tests.integration.fixtures.orders import Orders
from tests.integration.fixtures.servers import Servers

SELECT_BANK_SECRETS = Statement(select(banks.c.id, banks.c.webhook_secret, banks.c.old_secret))
OLD_KEY, NEW_KEY = (Fernet.generate_key().decode() for _ in range(2))

secrets = Table(
    "reencryption_test",
    MetaData(),
    Column("owner", Text),
    Column("number", Integer),
    Column("secret", LargeBinary),
    PrimaryKeyConstraint("owner", "number"),
)
SELECT_SECRETS = Statement(select(secrets).order_by(secrets.c.owner, secrets.c.number))


@pytest.fixture
async def secrets_table(orders: Orders) -> AsyncIterator[None]:
    await orders.execute_sql(
        "CREATE TABLE reencryption_test (owner text, number integer, secret bytea, PRIMARY KEY (owner, number))"
    )
    yield
    await orders.execute_sql("DROP TABLE reencryption_test")


async def insert_secrets(orders: Orders, *values: bytes | None) -> None:
    statement = Statement(insert(secrets))
    for number, value in enumerate(values):
        await orders.database.execute(statement, owner="ab"[number % 2], number=number, secret=value)


async def run_orders(command: str, environment: Mapping[str, str]) -> str:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.orders", command), cwd=ROOT, env=environment, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    return output.decode()


async def test_command_makes_old_key_removable(servers: Servers, orders: Orders) -> None:
    settings = servers.settings("orders")
    old_key = settings["ENCRYPTION_KEY"]
    await orders.execute_sql("UPDATE banks SET webhook_secret = %(secret)s", secret=orders.secret_box.encrypt("secret"))
    await orders.execute_sql("UPDATE banks SET old_secret = NULL, old_secret_until = NULL")
    await orders.execute_sql(
        "UPDATE banks SET old_secret = webhook_secret, old_secret_until = %(until)s WHERE id = 'visa'",
        until=now() + timedelta(hours=1),
    )
    rotated = settings | {"ENCRYPTION_KEY": f"{NEW_KEY},{old_key}"}
    output = await run_orders("reencrypt-secrets", rotated)
    rows = await orders.database.fetch_all(SELECT_BANK_SECRETS)
    assert output.splitlines() == [
        f"banks.webhook_secret: {len(rows)} re-encrypted",
        "banks.old_secret: 1 re-encrypted",
        "banks.older_secrets: 0 re-encrypted",
    ]
    secret_box = SecretBox(NEW_KEY)
    assert {secret_box.decrypt(row["webhook_secret"]) for row in rows} == {"secret"}
    assert [secret_box.decrypt(row["old_secret"]) for row in rows if row["old_secret"]] == ["secret"]
    output = await run_orders("reencrypt-secrets", rotated)
    assert [line.partition(": ")[2] for line in output.splitlines()] == ["0 re-encrypted"] * 3
    await run_orders("reencrypt-secrets", settings | {"ENCRYPTION_KEY": f"{old_key},{NEW_KEY}"})


async def test_callback_with_other_key_is_temporarily_unavailable(orders: Orders) -> None:
    order_id, secret_box = await orders.place_order(), orders.secret_box
    await orders.execute_sql(
        "UPDATE banks SET webhook_secret = %(secret)s WHERE id = 'visa'",
        secret=secret_box.encrypt(orders.webhook_secret),
    )
    orders.secret_box = SecretBox(NEW_KEY)
    with pytest.raises(ApiError) as raised:
        await orders.pay(order_id)
    assert raised.value.reason is Reason.UPSTREAM_UNAVAILABLE
    orders.secret_box = secret_box
    await orders.pay(order_id)


@pytest.mark.usefixtures("secrets_table")
async def test_all_pages_are_reencrypted(orders: Orders, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reencryption, "BATCH_SIZE", 2)
    old, new = SecretBox(OLD_KEY), SecretBox(NEW_KEY)
    await insert_secrets(orders, *(old.encrypt(str(number)) for number in range(5)), None, new.encrypt("6"))
    both = SecretBox(f"{NEW_KEY},{OLD_KEY}")
    assert await reencrypt_column(orders.database, secrets.c.secret, both) == 5
    rows = await orders.database.fetch_all(SELECT_SECRETS)
    decrypted = {row["number"]: row["secret"] and new.decrypt(row["secret"]) for row in rows}
    assert decrypted == {number: None if number == 5 else str(number) for number in range(7)}


@pytest.mark.usefixtures("secrets_table")
async def test_secret_of_unknown_key_is_reported_and_unchanged(orders: Orders) -> None:
    encrypted = SecretBox(OLD_KEY).encrypt("secret")
    await insert_secrets(orders, encrypted)
    with pytest.raises(InvalidToken):
        await reencrypt_column(orders.database, secrets.c.secret, SecretBox(NEW_KEY))
    assert [bytes(row["secret"]) for row in await orders.database.fetch_all(SELECT_SECRETS)] == [encrypted]


@pytest.mark.usefixtures("secrets_table")
async def test_value_that_changes_meanwhile_is_retained(orders: Orders, monkeypatch: pytest.MonkeyPatch) -> None:
    old, both = SecretBox(OLD_KEY), SecretBox(f"{NEW_KEY},{OLD_KEY}")
    await insert_secrets(orders, old.encrypt("secret"))
    execute = orders.database.execute

    async def replace_before(statement: Statement, **values: object) -> int:
        await orders.execute_sql("UPDATE reencryption_test SET secret = %(secret)s", secret=both.encrypt("another"))
        return await execute(statement, **values)

    monkeypatch.setattr(orders.database, "execute", replace_before)
    assert await reencrypt_column(orders.database, secrets.c.secret, both) == 0
    assert [both.decrypt(row["secret"]) for row in await orders.database.fetch_all(SELECT_SECRETS)] == ["another"]
