"""Reader of YAML and JSON files with the positions of all nodes.

Plain scalars follow the core schema of YAML 1.2, as OpenAPI requires: `no` and `2024-02-29` are strings, `0o17` is a
number. Keys are strings, whatever their form. PyYAML parses the text; its own loaders follow YAML 1.1.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import yaml

from codegen.errors import ContractError
from codegen.yaml_conversion import Converter

_DATA_KEYS = ("default", "enum", "const", "example", "examples", "value")
"""Keys of a contract whose values are data; `examples` of media types are objects, `examples` of schemas lists."""
_OTHER_SUFFIXES = (".yml", ".yaml", ".json")
"""Suffixes of contracts, in any case; only `.yaml` in lower case is read."""


class Position(NamedTuple):
    """Line and column of a node, both from 1."""

    line: int
    column: int


@dataclass(frozen=True)
class Document:
    """One file: its content, and the position of each node by JSON pointer."""

    name: str
    """Path relative to the root of the repository: `api-specs/openapi/library.yaml`."""
    content: Any
    """The dict, list, str, int, float, bool or None. Nodes that are aliases of each other are one object."""
    root: yaml.Node

    def find_position(self, pointer: str) -> Position:
        """Return the position of the key or item at a JSON pointer: `/paths/~1titles/get`.

        If the pointer leads nowhere, it is the position of the last node on its way.
        """
        node, mark = self.root, self.root.start_mark
        for part in split_pointer(pointer):
            child = _find_child(node, part)
            if child is None:
                break
            key, node = child
            mark = key.start_mark
        return Position(mark.line + 1, mark.column + 1)

    def format_location(self, pointer: str) -> str:
        """Return the file and the line of the node at a JSON pointer: `api-specs/openapi/library.yaml:123`."""
        return f"{self.name}:{self.find_position(pointer).line}"


def split_pointer(pointer: str) -> list[str]:
    """Return the unescaped parts of a JSON pointer, with or without the leading `#`."""
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer.removeprefix("#").split("/")[1:]]


def build_pointer(*parts: str | int) -> str:
    """Return the JSON pointer of the parts."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


def read_document(root: Path, path: Path) -> Document:
    """Read a file of one document; `root` is the root of the repository, to which the errors' file names are relative.

    Raises ContractError with the file, line and column of each error.
    """
    name = str(path.relative_to(root))
    node = _parse(name, _decode(name, path.read_bytes()))
    converter = Converter(name)
    content = converter.convert(node)
    if converter.errors:
        raise ContractError(*converter.errors)
    return Document(name, content, node)


def check_references(document: Document) -> None:
    """Raise ContractError for each `$ref` that leads to another file, to no node, or in a circle to itself."""
    if errors := [
        f"{document.format_location(pointer)}: {problem}"
        for pointer, reference in list_references(document.content)
        if (problem := _find_problem(document.content, reference))
    ]:
        raise ContractError(*errors)


def list_references(node: Any, pointer: str = "") -> Iterator[tuple[str, str]]:
    """Return the pointer and the target of each reference, except in data."""
    if isinstance(node, list):
        for index, item in enumerate(node):
            yield from list_references(item, pointer + build_pointer(index))
    elif isinstance(node, dict):
        for key, value in node.items():
            if key == "$ref" and isinstance(value, str):
                yield pointer + "/$ref", value
            elif (
                key not in _DATA_KEYS
                or pointer.endswith("/properties")
                or (key == "default" and pointer.endswith("/responses"))
                or (key == "examples" and isinstance(value, dict))
            ):
                yield from list_references(value, pointer + build_pointer(key))


def _find_problem(content: Any, reference: str) -> str:
    """Return what is wrong with a reference, or an empty string."""
    if not reference.startswith("#"):
        return f"the reference {reference!r} leads to another file; write file.yaml#/components/…"
    seen = [reference]
    while True:
        target = content
        for part in split_pointer(unquote(seen[-1])):
            try:
                target = target[int(part)] if isinstance(target, list) else target[part]
            except (KeyError, IndexError, ValueError, TypeError):
                return f"the reference {reference!r} has no target; correct it, or add the target"
        if not isinstance(target, dict) or not isinstance(target.get("$ref"), str):
            return ""
        if target["$ref"] in seen:
            return f"the reference {reference!r} leads to itself; refer to a node with content"
        seen.append(target["$ref"])


def list_yaml_files(root: Path, folder: str) -> list[Path]:
    """Return the `.yaml` files of a folder below `root`, sorted.

    Raises ContractError if the folder is missing, and for `.yml`, `.YAML` and `.json` files.
    """
    if not (root / folder).is_dir():
        raise ContractError(f"{folder} is missing; write the contracts there, as in docs/own-contracts.md")
    files = sorted(path for path in (root / folder).iterdir() if path.is_file())
    if others := [path for path in files if path.suffix.lower() in _OTHER_SUFFIXES and path.suffix != ".yaml"]:
        raise ContractError(
            *(
                f"{path.relative_to(root)}: only .yaml files are read; rename the file to {path.stem}.yaml"
                for path in others
            )
        )
    return [path for path in files if path.suffix == ".yaml"]


def _decode(name: str, data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        raise ContractError(f"{name}:{line}:{column}: the file is not UTF-8; save it in this encoding") from error


def _parse(name: str, text: str) -> yaml.Node:
    # The parser follows YAML 1.1, where these characters are line breaks also in strings.
    if separators := [match.start() for match in re.finditer("[\x85\u2028\u2029]", text)]:
        raise ContractError(*(_format_forbidden_character(name, text, index) for index in separators))
    try:
        node: yaml.Node | None = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        position = f"{mark.line + 1}:{mark.column + 1}" if mark else "1:1"
        raise ContractError(f"{name}:{position}: {_format_problem(error, text)}") from error
    except yaml.reader.ReaderError as error:
        # The position counts the bytes of the text, which the parser receives in UTF-8.
        before = text.encode()[: error.position].decode(errors="ignore")
        raise ContractError(_format_forbidden_character(name, text, len(before))) from error
    if node is None:
        raise ContractError(f"{name}:1:1: the file has no content")
    return node


def _format_forbidden_character(name: str, text: str, index: int) -> str:
    line, column = text.count("\n", 0, index) + 1, index - text.rfind("\n", 0, index)
    return f"{name}:{line}:{column}: the character U+{ord(text[index]):04X} is invalid here; delete or escape it"


def _format_problem(error: yaml.MarkedYAMLError, text: str) -> str:
    """Return the problem that the parser reports, with a remedy for the frequent ones."""
    problem = " ".join(part for part in (error.problem, error.context) if part)
    if "found another document" in problem:
        return "the file has several documents; write one per file"
    if error.problem_mark and text[error.problem_mark.index : error.problem_mark.index + 1] == "\t":
        return "a tab indents the line; YAML allows only spaces"
    return f"{problem}; correct the YAML syntax"


class _Loader(yaml.CSafeLoader):
    """Parser of PyYAML that marks plain scalars, whose type the converter finds, with the tag `?`."""

    def resolve(self, kind: type[yaml.Node], value: str, implicit: Any) -> str:
        if kind is yaml.ScalarNode:
            return "?" if implicit[0] else "tag:yaml.org,2002:str"
        return "tag:yaml.org,2002:map" if kind is yaml.MappingNode else "tag:yaml.org,2002:seq"


def _find_child(node: yaml.Node, part: str) -> tuple[yaml.Node, yaml.Node] | None:
    """Return the key and the value of a mapping, or twice the item of a sequence."""
    if isinstance(node, yaml.MappingNode):
        return next((pair for pair in node.value if pair[0].value == part), None)
    if isinstance(node, yaml.SequenceNode) and part.isdecimal() and int(part) < len(node.value):
        return node.value[int(part)], node.value[int(part)]
    return None
