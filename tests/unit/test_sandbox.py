"""The sandbox's small rules, without a process."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.sandbox.faults import Faults, SystemMode
from services.sandbox.mailbox import find_code
from services.sandbox.pages import money
from services.sandbox.settings import check_webhook_secret
from services.sandbox.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "state")
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
    assert money(amount, currency) == text


def test_a_fault_runs_out_after_its_count(store: Store) -> None:
    faults = Faults(store, slow_seconds=0)
    faults.set("bank:visa", SystemMode.ERROR, 2)
    assert [faults.take("bank:visa") for _ in range(3)] == ["error", "error", "none"]
    faults.set("bank:visa", SystemMode.SLOW, None)
    assert [faults.take("bank:visa") for _ in range(3)] == ["slow"] * 3
    assert faults.take("bank:km") == "none"
    faults.set("bank:visa", SystemMode.NONE, 5)
    assert faults.get("bank:visa") == ("none", None)


def test_a_transaction_is_all_or_nothing(store: Store) -> None:
    def twice() -> None:
        with store.transaction():
            for _ in range(2):
                store.insert("secrets", owner="bank:visa", secret="x")

    with pytest.raises(sqlite3.IntegrityError):
        twice()
    assert store.one("SELECT * FROM secrets") is None


def test_what_grows_is_bounded(store: Store) -> None:
    with store.transaction():
        for number in range(10_010):
            store.insert("mails", address="a@b.test", subject=str(number), text="", html="", received_at="")
    kept = store.all("SELECT subject FROM mails ORDER BY id")
    assert len(kept) == 10_000
    assert kept[-1]["subject"] == "10009"


@pytest.mark.parametrize("secret", ["", "whsec_", "c2VjcmV0", "whsec_%%%"])
def test_a_secret_must_be_one(secret: str) -> None:
    with pytest.raises(ValueError, match=r"webhook secret|padded"):
        check_webhook_secret(secret)
