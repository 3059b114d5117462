"""YAML and JSON input: values of YAML 1.2, positions, and errors with their place."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from codegen.errors import ContractError, ContractErrors
from codegen.yaml_input import (
    Document,
    build_pointer,
    check_references,
    list_references,
    list_yaml_files,
    read_document,
    split_pointer,
)

type Json = bool | int | float | str | list[Json] | dict[str, Json] | None


def read(folder: Path, text: str | bytes, name: str = "a.yaml") -> Document:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_document(folder, path)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("NO", "NO"),
        ("on", "on"),
        ("y", "y"),
        ("true", True),
        ("FALSE", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("2024-02-29", "2024-02-29"),
        ("2024-05-01T10:00:00+02:00", "2024-05-01T10:00:00+02:00"),
        ("12:30:45", "12:30:45"),
        ("1_000", "1_000"),
        ("0b101", "0b101"),
        ("0o17", 15),
        ("0xFF", 255),
        ("-0", 0),
        ("+12", 12),
        ("12e03", 12000.0),
        (".5", 0.5),
        ("1.", 1.0),
        ("3.1.0", "3.1.0"),
        ("'200'", "200"),
        ('"\\u00e9"', "é"),
        ("!!str 200", "200"),
        ("!!int '3'", 3),
        ("=", "="),
        ("'<<'", "<<"),
        ("|\n  a\n  b\n", "a\nb\n"),
        (">-\n  a\n  b\n", "a b"),
    ],
)
def test_scalar_has_value_of_yaml_1_2(tmp_path: Path, text: str, value: Any) -> None:
    content = read(tmp_path, f"key: {text}\n").content["key"]
    assert (content, type(content)) == (value, type(value))


def test_keys_are_strings(tmp_path: Path) -> None:
    content = read(tmp_path, "200: a\nno: b\nnull: c\n2024-02-29: d\n1.0: e\n").content
    assert list(content) == ["200", "no", "null", "2024-02-29", "1.0"]


@pytest.mark.parametrize("text", ["\ufeffa: [1]\r\nb: é\r\n", '{"a": [1],\r\n\t"b": "\\u00e9"}\r\n', "a:\n- 1\nb: é"])
def test_byte_order_mark_crlf_and_json_are_read(tmp_path: Path, text: str) -> None:
    document = read(tmp_path, text)
    assert document.content == {"a": [1], "b": "é"}


def test_alias_is_same_object_as_its_anchor(tmp_path: Path) -> None:
    content = read(tmp_path, "a: &x {b: 1}\nc: *x\n").content
    assert content["a"] is content["c"]
    assert content == {"a": {"b": 1}, "c": {"b": 1}}


@pytest.mark.parametrize(
    ("text", "errors"),
    [
        ("a: 1\nb:\n\tc: 1\n", ["a.yaml:3:1: a tab indents the line; YAML allows only spaces"]),
        ("a: 1\nb: 2\na: 3\n", ["a.yaml:3:1: the key 'a' is a duplicate of line 1; delete or rename one"]),
        (
            "200: 1\n'200': {x: 1, x: 2}\n",
            ["a.yaml:2:1: the key '200' is a duplicate of line 1; delete or rename one"],
        ),
        ("a: 1\n---\nb: 1\n", ["a.yaml:2:1: the file has several documents; write one per file"]),
        ("", ["a.yaml:1:1: the file has no content"]),
        ("# comment\n", ["a.yaml:1:1: the file has no content"]),
        (b"a: 1\nb: \xff\n", ["a.yaml:2:4: the file is not UTF-8; save it in this encoding"]),
        ("a: 1\né: \x07\n", ["a.yaml:2:4: the character U+0007 is invalid here; delete or escape it"]),
        ("a: \u2028\n", ["a.yaml:1:4: the character U+2028 is invalid here; delete or escape it"]),
        (
            "a: {x: 1, x: 2}\nb: !secret c\nd: [.inf, .nan, 1e999, 007]\n",
            [
                "a.yaml:1:11: the key 'x' is a duplicate of line 1; delete or rename one",
                "a.yaml:2:4: the tag !secret is not of YAML's JSON schema; delete it",
                "a.yaml:3:5: JSON has no number .inf; quote it if it is a string",
                "a.yaml:3:11: JSON has no number .nan; quote it if it is a string",
                "a.yaml:3:17: JSON has no number 1e999; quote it if it is a string",
                "a.yaml:3:24: the number 007 has a leading zero; quote it, or delete the zero",
            ],
        ),
        ("a: !!int x\n", ["a.yaml:1:4: 'x' is not of its tag !!int; correct the tag or the value"]),
        ("a: !!set {x}\n", ["a.yaml:1:4: the tag !!set is not of YAML's JSON schema; delete it"]),
        ("a: !!timestamp 2024-02-29\n", ["a.yaml:1:4: the tag !!timestamp is not of YAML's JSON schema; delete it"]),
        ("? [a]\n: 1\n", ["a.yaml:1:3: a list or a mapping is a key; write a string"]),
        (
            "a: &x {b: 1}\nc:\n  <<: *x\n",
            ["a.yaml:3:3: YAML 1.2 has no merge key `<<`; repeat the fields, or refer to them with $ref"],
        ),
        ("a: &x\n  b: *x\n", ["a.yaml:1:4: the anchor contains an alias of itself; write the content out"]),
        ("a: *x\n", ["a.yaml:1:4: found undefined alias; correct the YAML syntax"]),
        (
            "a: [1\nb: 2\n",
            ["a.yaml:2:2: did not find expected ',' or ']' while parsing a flow sequence; correct the YAML syntax"],
        ),
    ],
)
def test_invalid_file_raises_error_with_place(tmp_path: Path, text: str | bytes, errors: list[str]) -> None:
    with pytest.raises(ContractError) as caught:
        read(tmp_path, text)
    assert list(caught.value.messages) == errors


@pytest.mark.parametrize(
    ("pointer", "position"),
    [
        ("", (1, 1)),
        ("/paths/~1orders~0x/get", (3, 5)),
        ("#/paths/~1orders~0x/get/tags/1", (4, 17)),
        ("/paths/~1orders~0x/get/missing/child", (3, 5)),
        ("/paths/~1orders~0x/get/tags/7", (4, 7)),
        ("/200", (5, 1)),
    ],
)
def test_pointer_has_position_of_key_or_item(tmp_path: Path, pointer: str, position: tuple[int, int]) -> None:
    document = read(tmp_path, "paths:\n  /orders~x:\n    get:\n      tags: [a, b]\n200: c\n")
    assert document.find_position(pointer) == position
    assert document.format_location(pointer) == f"a.yaml:{position[0]}"


def test_parts_of_pointer_are_escaped() -> None:
    assert build_pointer("paths", "/a~b", 0) == "/paths/~1a~0b/0"
    assert split_pointer("#/paths/~1a~0b/0") == ["paths", "/a~b", "0"]
    assert split_pointer("") == []


@pytest.mark.parametrize(
    ("text", "errors"),
    [
        ("a: {$ref: '#/b/~1c%7Bd%7D'}\nb: {'/c{d}': {$ref: '#/e/0'}}\ne: [1]\n", []),
        ("properties: {$ref: {type: string}}\n", []),
        ("default: {$ref: '#/x'}\nexamples: [{$ref: '#/x'}]\n", []),
        ("examples: {a: {value: {$ref: '#/x'}}}\n", []),
        (
            "a: {$ref: '#/x'}\nb:\n- $ref: '#/b/7'\nexamples: {c: {$ref: '#/b/x'}}\n"
            "properties: {default: {$ref: '#/y'}}",
            [
                "a.yaml:1: the reference '#/x' has no target; correct it, or add the target",
                "a.yaml:3: the reference '#/b/7' has no target; correct it, or add the target",
                "a.yaml:4: the reference '#/b/x' has no target; correct it, or add the target",
                "a.yaml:5: the reference '#/y' has no target; correct it, or add the target",
            ],
        ),
        (
            "a: {$ref: 'b.yaml#/c'}\n",
            ["a.yaml:1: the reference 'b.yaml#/c' leads to another file; write file.yaml#/components/…"],
        ),
        (
            "a: {$ref: '#/b'}\nb: {$ref: '#/a'}\n",
            [
                "a.yaml:1: the reference '#/b' leads to itself; refer to a node with content",
                "a.yaml:2: the reference '#/a' leads to itself; refer to a node with content",
            ],
        ),
    ],
)
def test_wrong_reference_raises_error_with_place(tmp_path: Path, text: str, errors: list[str]) -> None:
    collector = ContractErrors()
    with collector.collect():
        check_references(read(tmp_path, text))
    assert collector.messages == errors


def test_other_extension_is_rejected(tmp_path: Path) -> None:
    folder = tmp_path / "specs"
    folder.mkdir()
    for name in ("b.yaml", "a.yaml", "README.md"):
        (folder / name).touch()
    assert list_yaml_files(tmp_path, "specs") == [folder / "a.yaml", folder / "b.yaml"]
    (folder / "c.yml").touch()
    (folder / "d.json").touch()
    with pytest.raises(ContractError) as caught:
        list_yaml_files(tmp_path, "specs")
    assert caught.value.messages == (
        "specs/c.yml: only .yaml files are read; rename the file to c.yaml",
        "specs/d.json: only .yaml files are read; rename the file to d.yaml",
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda items: st.lists(items, max_size=3) | st.dictionaries(st.text(max_size=5), items, max_size=3),
    max_leaves=8,
)


@given(content=JSON)
@example(content="\x85\u2028\\")
@example(content={"key": "\x7f \ufeff \U0001f35c \ud7ff"})
def test_json_file_has_value_of_json(tmp_path_factory: pytest.TempPathFactory, content: Json) -> None:
    text = json.dumps(content, ensure_ascii=False)
    try:
        document = read(tmp_path_factory.getbasetemp(), text)
    except ContractError as error:
        assert "is invalid here; delete or escape it" in str(error)  # noqa: PT017 (the error is one of two valid results)
    else:
        assert document.content == json.loads(text)


def test_references_of_responses_are_found_but_none_in_data() -> None:
    data = {"default": {"$ref": "#/b"}, "example": {"$ref": "c"}}
    document = {"responses": {"default": {"$ref": "#/a"}}, "schema": data}
    assert [*list_references(document)] == [("/responses/default/$ref", "#/a")]
