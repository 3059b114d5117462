"""Texts of errors that services add to those of the runtime."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from codegen import messages
from codegen.contracts import ContractError, Contracts
from tests.unit.codegen.sample_contracts import create_contracts

TEXT = """
formats: {price: amount}
names: {de: {status: {lent: verliehen}}}
messages: {de: {is lent: ist verliehen}}
"""


def write_messages(root: Path, text: str) -> Contracts:
    (root / "api-specs").mkdir()
    (root / messages.MESSAGES_FILE).write_text(text, encoding="utf-8")
    return replace(create_contracts(), root=root)


def import_generated(contracts: Contracts) -> dict[str, Any]:
    module: dict[str, Any] = {}
    exec(str(messages.generate(contracts)["messages.py"]), module)  # noqa: S102 (the source is generated)
    return module


def test_texts_are_those_of_the_file(tmp_path: Path) -> None:
    module = import_generated(write_messages(tmp_path, TEXT))
    assert module["FORMATS"] == {"price": "amount"}
    assert module["NAMES"] == {"de": {"status": {"lent": "verliehen"}}}
    assert module["MESSAGES"] == {"de": {"is lent": "ist verliehen"}}


def test_mesh_without_additional_texts_needs_no_file(tmp_path: Path) -> None:
    module = import_generated(replace(create_contracts(), root=tmp_path))
    assert (module["FORMATS"], module["NAMES"], module["MESSAGES"]) == ({}, {}, {})


@pytest.mark.parametrize(
    ("text", "error"),
    [("format: {price: amount}", "the key format is unknown"), ("formats: {price: sum}", "the format sum of price")],
)
def test_unknown_key_or_format_is_rejected(tmp_path: Path, text: str, error: str) -> None:
    with pytest.raises(ContractError, match=f"api-specs/messages.yaml: {error}"):
        messages.generate(write_messages(tmp_path, text))
