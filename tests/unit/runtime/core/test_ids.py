import re

import pytest

from services.runtime.core import ids
from services.runtime.messaging.dead_letters_cli import build_parser


def test_ids_are_different_and_of_one_form() -> None:
    generated = [ids.generate_id() for _ in range(1000)]
    assert len(set(generated)) == 1000
    assert all(re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]{21}", each) for each in generated)


def test_id_is_no_option_of_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("secrets.token_urlsafe", lambda size: "-" + "a" * 21)
    event_id = ids.generate_id()
    assert build_parser().parse_args(["dead-letters", "drop", "orders.users", event_id]).id == event_id


def test_id_with_hyphen_is_accepted_after_separator() -> None:
    arguments = ["dead-letters", "drop", "orders.users", "--", "-aaa"]
    assert build_parser().parse_args(arguments).id == "-aaa"


def test_derived_id_is_reproducible_and_of_the_same_form() -> None:
    derived = {ids.derive_id(f"c{number}") for number in range(1000)}
    assert derived == {ids.derive_id(f"c{number}") for number in range(1000)}
    assert len(derived) == 1000
    assert all(re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]{21}", each) for each in derived)
