"""Conversion of parsed YAML nodes to values, by the core schema of YAML 1.2."""

import math
import re
from collections.abc import Iterator
from typing import Any

import yaml

MAX_DEPTH = 100
MAX_NODES = 1_000_000
"""Nodes of a document whose aliases are expanded."""

MAX_DIGITS = 100

_CORE_TAGS = ("null", "bool", "int", "float", "str")
_SCALARS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("null", re.compile(r"null|Null|NULL|~|")),
    ("bool", re.compile(r"true|True|TRUE|false|False|FALSE")),
    ("int", re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")),
    ("float", re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")),
)
_AMBIGUOUS_NUMBER = re.compile(r"[-+]?0[0-9]+")
"""Leading zeros: octal in YAML 1.1, decimal in YAML 1.2, forbidden in JSON."""


class Converter:
    """Conversion of parsed nodes to values, which collects the errors."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._values: dict[int, Any] = {}
        self._sizes: dict[int, int] = {}
        self._count = 0
        self._open: set[int] = set()
        self.errors: list[str] = []

    def convert(self, node: yaml.Node) -> Any:
        """Return the value of a node; an alias has the same value as its anchor."""
        self._count += 1
        if isinstance(node, yaml.ScalarNode):
            return self._convert_scalar(node)
        key = id(node)
        if key in self._open:
            return self._report(node, "the anchor contains an alias of itself; write the content out")
        if key in self._values:
            self._count += self._sizes[key]
            if self._count > MAX_NODES:
                return self._report(node, f"aliases expand to more than {MAX_NODES} nodes; remove some of them")
        elif len(self._open) >= MAX_DEPTH:
            return self._report(node, f"values are nested deeper than {MAX_DEPTH} levels; use named components")
        else:
            self._open.add(key)
            start = self._count
            self._values[key] = self._convert_collection(node)
            self._sizes[key] = self._count - start
            self._open.remove(key)
        return self._values[key]

    def _convert_collection(self, node: yaml.Node) -> Any:
        kind = "map" if isinstance(node, yaml.MappingNode) else "seq"
        if node.tag != f"tag:yaml.org,2002:{kind}":
            self._report_tag(node)
        if isinstance(node, yaml.SequenceNode):
            return [self.convert(item) for item in node.value]
        return dict(self._convert_pairs(node))

    def _convert_pairs(self, node: yaml.Node) -> Iterator[tuple[str, Any]]:
        first: dict[str, yaml.Node] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._report(key, "a list or a mapping is a key; write a string")
            elif key.tag == "?" and key.value == "<<":
                self._report(key, "YAML 1.2 has no merge key `<<`; repeat the fields, or refer to them with $ref")
            elif key.value in first:
                line = first[key.value].start_mark.line + 1
                self._report(key, f"the key {key.value!r} is a duplicate of line {line}; delete or rename one")
            else:
                first[key.value] = key
                yield key.value, self.convert(value)

    def _convert_scalar(self, node: yaml.ScalarNode) -> Any:
        text: str = node.value
        if node.tag == "?":
            return self._convert_text(node, next((tag for tag, form in _SCALARS if form.fullmatch(text)), "str"))
        tag = node.tag.removeprefix("tag:yaml.org,2002:")
        if tag not in _CORE_TAGS:
            return self._report_tag(node)
        if tag != "str" and not dict(_SCALARS)[tag].fullmatch(text):
            return self._report(node, f"{text!r} is not of its tag !!{tag}; correct the tag or the value")
        return self._convert_text(node, tag)

    def _convert_text(self, node: yaml.ScalarNode, tag: str) -> Any:
        text: str = node.value
        if tag == "str":
            return text
        if tag == "null":
            return None
        if tag == "bool":
            return text.lower() == "true"
        if _AMBIGUOUS_NUMBER.fullmatch(text):
            return self._report(node, f"the number {text} has a leading zero; quote it, or delete the zero")
        if tag == "int":
            if len(text) > MAX_DIGITS:
                return self._report(node, f"the number has more than {MAX_DIGITS} digits; quote it if it is a string")
            return int(text, 0) if text.startswith(("0o", "0x")) else int(text)
        number = float(text) if text[-1].isdigit() or text[-1] == "." else math.nan
        if not math.isfinite(number):
            return self._report(node, f"JSON has no number {text}; quote it if it is a string")
        return number

    def _report_tag(self, node: yaml.Node) -> None:
        tag = node.tag.replace("tag:yaml.org,2002:", "!!")
        self._report(node, f"the tag {tag} is not of YAML's JSON schema; delete it")

    def _report(self, node: yaml.Node, message: str) -> None:
        mark = node.start_mark
        self.errors.append(f"{self._name}:{mark.line + 1}:{mark.column + 1}: {message}")
