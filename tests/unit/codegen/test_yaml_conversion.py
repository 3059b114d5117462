"""Limits of YAML documents: depth, digits and expanded aliases."""

from pathlib import Path
from typing import Any

import pytest

from codegen.contracts import ContractError
from codegen.yaml_conversion import MAX_DEPTH, MAX_DIGITS
from codegen.yaml_input import read_document


def read(root: Path, text: str) -> Any:
    path = root / "a.yaml"
    path.write_text(text, encoding="utf-8")
    return read_document(root, path).content


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("a: " + "[" * MAX_DEPTH + "]" * MAX_DEPTH, "a.yaml:1:103: values are nested deeper than 100 levels"),
        ("a: " + "9" * (MAX_DIGITS + 1), "a.yaml:1:4: the number has more than 100 digits; quote it"),
        ("a: 0x" + "f" * 5000, "a.yaml:1:4: the number has more than 100 digits; quote it"),
        (
            "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
            + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 8)),
            "a.yaml:6:5: aliases expand to more than 1000000 nodes; remove some of them",
        ),
    ],
    ids=["depth", "decimal digits", "hexadecimal digits", "aliases"],
)
def test_document_beyond_a_limit_is_an_error(tmp_path: Path, text: str, error: str) -> None:
    with pytest.raises(ContractError) as caught:
        read(tmp_path, text)
    assert any(message.startswith(error) for message in caught.value.messages), caught.value.messages


def test_document_at_the_limits_is_read(tmp_path: Path) -> None:
    depth, digits = MAX_DEPTH - 1, "9" * MAX_DIGITS
    content = read(tmp_path, f"a: {'[' * depth}{']' * depth}\nb: {digits}\nc: &c [1]\nd: [*c, *c]\n")
    assert (content["b"], content["d"]) == (int(digits), [[1], [1]])
