"""Texts and names that are read from a Python module."""

import ast

import pytest

from codegen.checks.python_texts import (
    Identifier,
    Text,
    is_name,
    iter_docstrings,
    iter_identifiers,
    iter_literals,
    iter_message_texts,
    split_words,
)

MODULE = ast.parse(
    '''"""Module."""
LIMIT = "a text"
"""Limit."""


def test_title(value):
    """Function."""
    assert value, "an assertion"
    log.info("a log line", detail="a detail")
    raise ValueError(f"{value} is invalid")
'''
)


def test_docstrings_include_those_of_constants() -> None:
    assert sorted(iter_docstrings(MODULE)) == [Text(1, "Module."), Text(3, "Limit."), Text(7, "Function.")]


def test_literals_exclude_docstrings() -> None:
    texts = ["a text", "an assertion", "a log line", "a detail", " is invalid"]
    assert sorted(text for _, text in iter_literals(MODULE)) == sorted(texts)


def test_message_texts_are_those_for_readers() -> None:
    texts = ["an assertion", "a log line", "a detail", " is invalid"]
    assert sorted(text for _, text in iter_message_texts(MODULE)) == sorted(texts)


def test_identifiers_have_lines_and_mark_tests() -> None:
    tree = ast.parse("import x as y\nself.z = 1\ndef test_a(b): ...\nclass C: ...\nwith d() as e: ...")
    assert sorted(iter_identifiers(tree)) == [
        Identifier(1, "y"),
        Identifier(2, "z"),
        Identifier(3, "b"),
        Identifier(3, "test_a", is_test=True),
        Identifier(4, "C"),
        Identifier(5, "e"),
    ]


@pytest.mark.parametrize("name", ["delivery.queue.messages", "CacheUnavailable", "is_open", "USER_UNKNOWN"])
def test_string_of_several_words_is_a_name(name: str) -> None:
    assert is_name(name)


@pytest.mark.parametrize("text", ["", "open", "a text", "/api/v1", "a-b"])
def test_other_string_is_no_name(text: str) -> None:
    assert not is_name(text)


def test_words_of_name_are_in_lower_case() -> None:
    assert split_words("parse_HTTPHeader.v2") == ["parse", "http", "header", "v", "2"]
