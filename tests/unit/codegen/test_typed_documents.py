"""YAML files of a fixed structure: each error has the line of the value."""

from pathlib import Path

import pytest
from msgspec import Struct

from codegen.contracts import ContractError
from codegen.typed_documents import convert_document, read_mapping


class Entry(Struct):
    name: str
    ports: list[int] = []


class Content(Struct):
    entries: dict[str, Entry]


def read(root: Path, text: str) -> Content:
    (root / "file.yaml").write_text(text, encoding="utf-8")
    return convert_document(read_mapping(root, "file.yaml"), Content)


def test_values_are_those_of_yaml_1_2(tmp_path: Path) -> None:
    content = read(tmp_path, "entries:\n  no: {name: yes, ports: [0o10]}\n")
    assert content == Content({"no": Entry("yes", [8])})


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (
            "entries:\n  a: {name: 5}\n",
            "file.yaml:1: Expected `str`, got `int` at entries[...].name; correct the value",
        ),
        ("a: 1\nentries: 5\n", "file.yaml:2: Expected `object`, got `int` at entries; correct the value"),
        ("a: 1\n", "file.yaml:1: Object missing required field `entries`; correct the value"),
        ("- a\n", "file.yaml:1: the content is no mapping; write keys with values"),
        ("", "file.yaml:1:1: the file has no content"),
        ("a: [\n", "file.yaml:2:1: did not find expected node content while parsing a flow node"),
        ("a: 1\na: 2\n", "file.yaml:2:1: the key 'a' is a duplicate of line 1"),
    ],
)
def test_wrong_content_is_an_error_with_its_line(tmp_path: Path, text: str, error: str) -> None:
    with pytest.raises(ContractError) as caught:
        read(tmp_path, text)
    assert str(caught.value).startswith(error)


def test_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=r"file\.yaml is missing"):
        read_mapping(tmp_path, "file.yaml")
