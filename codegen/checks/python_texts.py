"""Texts and names of a Python module: docstrings, messages, defined identifiers, and names within strings."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

LOG_METHODS = frozenset({"debug", "info", "warning", "error", "exception", "critical", "log"})
OUTPUT_FUNCTIONS = frozenset({"print", "exit"})
"""Functions and methods whose arguments are shown to users of a command."""
TEXT_KEYWORDS = frozenset({"description", "help", "detail", "title", "reason", "epilog", "message"})

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_NAME = re.compile(r"[\w.]+")


class Text(NamedTuple):
    """Text with its line."""

    line: int
    text: str


class Identifier(NamedTuple):
    """Name that a module defines, with its line."""

    line: int
    name: str
    is_test: bool = False


def iter_docstrings(tree: ast.AST) -> Iterator[Text]:
    """Yield docstrings with their first lines, also those that follow a constant or a field."""
    for node in ast.walk(tree):
        body = getattr(node, "body", ())
        for statement in body if isinstance(body, list) else ():
            if isinstance(statement, ast.Expr):
                yield from _iter_strings(statement.value, recursive=False)


def iter_literals(tree: ast.AST) -> Iterator[Text]:
    """Yield all string literals and literal parts of f-strings, except docstrings."""
    yield from (Counter(_iter_strings(tree)) - Counter(iter_docstrings(tree))).elements()


def iter_message_texts(tree: ast.AST) -> Iterator[Text]:
    """Yield texts of log calls, output, raised exceptions, assertions and keyword arguments for readers."""
    for node in ast.walk(tree):
        for value in _list_message_values(node):
            yield from _iter_strings(value)


def split_words(name: str) -> list[str]:
    """Return the words of a name in snake case, camel case or with dots, in lower case."""
    return [word.lower() for word in _WORD.findall(name)]


def is_name(text: str) -> bool:
    """Return whether a string is a name of several words, such as that of a metric, an alert or a column."""
    return _NAME.fullmatch(text) is not None and len(split_words(text)) > 1


def iter_identifiers(tree: ast.AST) -> Iterator[Identifier]:
    """Yield the names that a module defines, and whether they are test functions."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                yield Identifier(node.lineno, node.name, node.name.startswith("test_"))
            case ast.ClassDef():
                yield Identifier(node.lineno, node.name)
            case ast.arg():
                yield Identifier(node.lineno, node.arg)
            case ast.alias(asname=str(name)):
                yield Identifier(node.lineno, name)
            case ast.Name(ctx=ast.Store()):
                yield Identifier(node.lineno, node.id)
            case ast.Attribute(ctx=ast.Store()):
                yield Identifier(node.lineno, node.attr)


def _iter_strings(tree: ast.AST, *, recursive: bool = True) -> Iterator[Text]:
    for node in ast.walk(tree) if recursive else [tree]:
        match node:
            case ast.Constant(value=str(text)):
                yield Text(node.lineno, text)


def _list_message_values(node: ast.AST) -> list[ast.expr]:
    values: list[ast.expr] = []
    match node:
        case ast.Raise(exc=ast.Call(args=arguments)):
            values += arguments
        case ast.Assert(msg=ast.expr() as message):
            values.append(message)
        case ast.Call():
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in OUTPUT_FUNCTIONS or (name in LOG_METHODS and isinstance(node.func, ast.Attribute)):
                values += node.args
            values += [keyword.value for keyword in node.keywords if keyword.arg in TEXT_KEYWORDS]
    return values
