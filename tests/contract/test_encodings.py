"""Files and the output of processes are read and written with an encoding, whatever the caller's locale is."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

FOLDERS = ("bench", "codegen", "deploy", "migrations", "services", "tests")


def has_keyword(call: ast.Call, name: str) -> bool:
    return any(keyword.arg == name for keyword in call.keywords)


def is_text_mode(call: ast.Call, position: int) -> bool:
    """Return whether a call of `open` has a constant mode of text."""
    modes = [*call.args[position:][:1], *(keyword.value for keyword in call.keywords if keyword.arg == "mode")]
    return all(isinstance(mode, ast.Constant) and "b" not in str(mode.value) for mode in modes)


def iter_calls_without_encoding(tree: ast.AST) -> Iterator[ast.Call]:
    """Yield the calls that would use the encoding of the locale."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or has_keyword(node, "encoding"):
            continue
        match node:
            case ast.Call(func=ast.Attribute(attr="read_text"), args=[]):
                yield node
            case ast.Call(func=ast.Attribute(attr="write_text"), args=[_]):
                yield node
            case ast.Call(func=ast.Attribute(attr="open"), args=[ast.Constant(value="r" | "w" | "a" | "x")]):
                yield node
            case ast.Call(func=ast.Name(id="open")) if is_text_mode(node, 1):
                yield node
            case ast.Call() if has_keyword(node, "text") and any(
                keyword.arg == "text" and isinstance(keyword.value, ast.Constant) and keyword.value.value is True
                for keyword in node.keywords
            ):
                yield node


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_text_file_has_an_encoding(folder: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{call.lineno}"
        for path in sorted(Path(ROOT / folder).rglob("*.py"))
        for call in iter_calls_without_encoding(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert found == []


@pytest.mark.parametrize(
    "code",
    [
        "path.read_text()",
        "path.write_text(text)",
        "path.open('w')",
        "open(path)",
        "open(path, 'a')",
        "subprocess.run(command, text=True)",
    ],
)
def test_call_without_encoding_is_found(code: str) -> None:
    assert [*iter_calls_without_encoding(ast.parse(code))]


@pytest.mark.parametrize(
    "code",
    [
        "path.read_text(encoding='utf-8')",
        "path.open('rb')",
        "open(path, mode='wb')",
        "subprocess.run(command, text=True, encoding='utf-8')",
        "subprocess.run(command)",
    ],
)
def test_call_with_encoding_or_bytes_is_not_found(code: str) -> None:
    assert not [*iter_calls_without_encoding(ast.parse(code))]
