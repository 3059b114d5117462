"""Sandbox: code extraction, money format, fault injection, database and secrets."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.sandbox.fault_injection import BankFaultMode, FaultInjector
from services.sandbox.mail.mailbox import find_code
from services.sandbox.rendering import format_money
from services.sandbox.settings import validate_webhook_secret
from services.sandbox.store import SqliteDatabase


@pytest.fixture
def database(tmp_path: Path) -> Iterator[SqliteDatabase]:
    sqlite_database = SqliteDatabase(tmp_path / "state")
    yield sqlite_database
    sqlite_database.close()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Welcome.\n\nYour code: Zx9-42_aB7\n", "Zx9-42_aB7"),
        ("Dein Code:\r\n  4821-ab\r\n", "4821-ab"),
        ("Your code is: 12345678.", "12345678"),
        ("Follow https://x.test/a?mode=verifyEmail&oobCode=Ab-1_9&lang=en\n\nCode: other", "Ab-1_9"),
        ("Here it is:\n\n   8421973\n\nDelivery", "8421973"),
        ("Here it is:\n\nabcdefghijklmnopqrstuvwx\n", "abcdefghijklmnopqrstuvwx"),
        ("The code expires in an hour.\n\nDelivery\n", None),
        ("", None),
    ],
)
def test_code_is_extracted_from_mail(text: str, code: str | None) -> None:
    assert find_code(text) == code


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        (0, "USD", "0.00 USD"),
        (5, "USD", "0.05 USD"),
        (1234, "EUR", "12.34 EUR"),
        (1234, "JPY", "1234 JPY"),
        (5, "KWD", "0.005 KWD"),
        (2**53 - 1, "USD", "90071992547409.91 USD"),
    ],
)
def test_format_money_is_exact(amount: int, currency: str, text: str) -> None:
    assert format_money(amount, currency) == text


def test_fault_expires_after_its_count(database: SqliteDatabase) -> None:
    fault_injector = FaultInjector(database, delay_s=0)
    fault_injector.set("bank:visa", BankFaultMode.ERROR, 2)
    assert [fault_injector.consume("bank:visa") for _ in range(3)] == ["error", "error", "none"]
    fault_injector.set("bank:visa", BankFaultMode.SLOW, None)
    assert [fault_injector.consume("bank:visa") for _ in range(3)] == ["slow"] * 3
    assert fault_injector.consume("bank:km") == "none"
    fault_injector.set("bank:visa", BankFaultMode.NONE, 5)
    assert fault_injector.get("bank:visa") == ("none", None)


def test_transaction_rolls_back_on_error(database: SqliteDatabase) -> None:
    def insert_duplicate() -> None:
        with database.transaction():
            for _ in range(2):
                database.insert("secrets", owner="bank:visa", secret="x")

    with pytest.raises(sqlite3.IntegrityError):
        insert_duplicate()
    assert database.fetch_one("SELECT * FROM secrets") is None


def test_mails_table_size_is_bounded(database: SqliteDatabase) -> None:
    with database.transaction():
        for number in range(10_010):
            database.insert("mails", address="a@b.test", subject=str(number), text="", html="", received_at="")
    mails = database.fetch_all("SELECT subject FROM mails ORDER BY id")
    assert len(mails) == 10_000
    assert mails[-1]["subject"] == "10009"


@pytest.mark.parametrize("secret", ["", "whsec_", "c2VjcmV0", "whsec_%%%"])
def test_invalid_webhook_secret_is_rejected(secret: str) -> None:
    with pytest.raises(ValueError, match=r"webhook secret|padded"):
        validate_webhook_secret(secret)
