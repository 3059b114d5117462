"""The sandbox's small rules, without a process."""

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
def store(tmp_path: Path) -> Iterator[SqliteDatabase]:
    opened = SqliteDatabase(tmp_path / "state")
    yield opened
    opened.close()


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
def test_the_code_is_what_a_person_would_copy(text: str, code: str | None) -> None:
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
def test_money_is_written_without_floats(amount: int, currency: str, text: str) -> None:
    assert format_money(amount, currency) == text


def test_a_fault_runs_out_after_its_count(store: SqliteDatabase) -> None:
    faults = FaultInjector(store, delay_s=0)
    faults.set("bank:visa", BankFaultMode.ERROR, 2)
    assert [faults.consume("bank:visa") for _ in range(3)] == ["error", "error", "none"]
    faults.set("bank:visa", BankFaultMode.SLOW, None)
    assert [faults.consume("bank:visa") for _ in range(3)] == ["slow"] * 3
    assert faults.consume("bank:km") == "none"
    faults.set("bank:visa", BankFaultMode.NONE, 5)
    assert faults.get("bank:visa") == ("none", None)


def test_a_transaction_is_all_or_nothing(store: SqliteDatabase) -> None:
    def twice() -> None:
        with store.transaction():
            for _ in range(2):
                store.insert("secrets", owner="bank:visa", secret="x")

    with pytest.raises(sqlite3.IntegrityError):
        twice()
    assert store.fetch_one("SELECT * FROM secrets") is None


def test_what_grows_is_bounded(store: SqliteDatabase) -> None:
    with store.transaction():
        for number in range(10_010):
            store.insert("mails", address="a@b.test", subject=str(number), text="", html="", received_at="")
    kept = store.fetch_all("SELECT subject FROM mails ORDER BY id")
    assert len(kept) == 10_000
    assert kept[-1]["subject"] == "10009"


@pytest.mark.parametrize("secret", ["", "whsec_", "c2VjcmV0", "whsec_%%%"])
def test_a_secret_must_be_one(secret: str) -> None:
    with pytest.raises(ValueError, match=r"webhook secret|padded"):
        validate_webhook_secret(secret)
