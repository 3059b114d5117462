"""Check that functions of product code are named after what they do: the first word is a verb of `language.yaml`."""

import ast
from collections.abc import Iterator
from typing import Any

CHECKED_FOLDERS = ("bench/", "codegen/", "deploy/", "migrations/", "services/")

_EXEMPT_DECORATORS = ("override", "property", "setter")
_CONVERSIONS = ("_to_", "_from_")


class FunctionNameRules:
    """Verbs, prefixes and whole names with which the name of a function may begin."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._first_words = frozenset(document["verbs"]) | frozenset(document["prefixes"])
        self._names = frozenset(document["names"])

    def find_noun_names(self, path: str, tree: ast.AST) -> Iterator[tuple[int, str, str]]:
        """Yield line, first word and name of each function that does not begin with a verb.

        Properties, special methods, overrides and conversions such as `loan_from_row` are exempt.
        """
        if not path.startswith(CHECKED_FOLDERS):
            return
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not self._is_accepted(node):
                yield node.lineno, _get_first_word(node.name), node.name

    def _is_accepted(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
        name = node.name.strip("_")
        return (
            name in self._names
            or _get_first_word(name) in self._first_words
            or any(each in name for each in _CONVERSIONS)
            or (node.name.startswith("__") and node.name.endswith("__"))
            or any(ast.unparse(each).endswith(_EXEMPT_DECORATORS) for each in node.decorator_list)
        )


def _get_first_word(name: str) -> str:
    return name.strip("_").partition("_")[0]
