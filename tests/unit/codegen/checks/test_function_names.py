"""Functions whose names do not begin with a verb, and the functions that are exempt."""

import ast

import pytest

from codegen.checks.function_names import FunctionNameRules

RULES = FunctionNameRules({"verbs": ["build"], "prefixes": ["on"], "names": ["lifespan"]})


def find(text: str, path: str = "services/orders/app.py") -> list[tuple[int, str, str]]:
    return [*RULES.find_noun_names(path, ast.parse(text))]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("def catalog(): ...", "catalog"),
        ("async def _order_fields(): ...", "order"),
        ("class A:\n    def lifespan_end(self): ...", "lifespan"),
        ("def build():\n    def builder(): ...", "builder"),
        ("@cache\ndef buildings(): ...", "buildings"),
    ],
)
def test_function_without_verb_is_found(text: str, word: str) -> None:
    assert [found for _, found, _ in find(text)] == [word]


@pytest.mark.parametrize(
    "text",
    [
        "def build(): ...",
        "async def _build_catalog(): ...",
        "def on_order_paid(): ...",
        "def lifespan(): ...",
        "def order_from_row(): ...\ndef _html_to_text(): ...",
        "class A:\n    def __len__(self): ...",
        "class A:\n    @property\n    def items(self): ...\n    @items.setter\n    def items(self, value): ...",
        "class A:\n    @functools.cached_property\n    def items(self): ...",
        "class A:\n    @typing.override\n    def started(self): ...",
    ],
)
def test_verb_convention_or_override_is_accepted(text: str) -> None:
    assert find(text) == []


def test_finding_has_line_and_full_name() -> None:
    assert find("x = 1\ndef _order_fields(): ...") == [(2, "order", "_order_fields")]


def test_functions_of_tests_and_generated_code_are_not_checked() -> None:
    assert find("def catalog(): ...", "tests/fixture.py") == find("def catalog(): ...", "generated/a.py") == []
