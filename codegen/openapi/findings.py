"""Errors of OpenAPI files: one sentence each, with file, line, place and remedy."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from codegen.errors import ContractErrors

type Pointer = tuple[str | int, ...]
"""Path of keys and list indexes from the root of a document to a node."""

HTTP_METHODS = ("get", "put", "post", "delete", "patch", "head")
"""Methods of operations."""

_SECTION_NAMES = {
    "schemas": "schema",
    "parameters": "parameter",
    "responses": "response",
    "headers": "header",
    "requestBodies": "request body",
    "securitySchemes": "security scheme",
    "examples": "example",
    "links": "link",
}
_PATH_DEPTH, _COMPONENT_DEPTH = 2, 3


@dataclass(frozen=True)
class OpenApiFile:
    """A parsed file; `find_line` returns the line of a node."""

    path: str
    """Path relative to the repository, for example api-specs/openapi/library.yaml."""
    document: Any
    find_line: Callable[[Pointer], int | None] = field(default=lambda _: None)
    origins: Mapping[Pointer, "OpenApiFile"] = field(default_factory=dict)
    """Files from which components were copied, by the pointers of the components."""

    def format_location(self, pointer: Pointer) -> str:
        """Return file and line of a node, or of its nearest parent with a line."""
        if (origin := self.origins.get(pointer[:_COMPONENT_DEPTH])) is not None:
            return origin.format_location(pointer)
        for length in range(len(pointer), -1, -1):
            if (line := self.find_line(pointer[:length])) is not None:
                return f"{self.path}:{line}"
        return self.path

    def describe(self, pointer: Pointer) -> str:
        """Return the name of the operation, component or other place that contains a node."""
        if pointer[:1] in (("paths",), ("webhooks",)) and len(pointer) >= _PATH_DEPTH:
            if len(pointer) > _PATH_DEPTH and pointer[_PATH_DEPTH] in HTTP_METHODS:
                return self._describe_operation(pointer)
            return f"path {pointer[1]}"
        if pointer[:1] == ("components",) and len(pointer) >= _COMPONENT_DEPTH:
            section = _SECTION_NAMES.get(str(pointer[1]), str(pointer[1]))
            properties = [str(name) for parent, name in pairwise(pointer) if parent == "properties"]
            return f"{section} {'.'.join([str(pointer[2]), *properties])}"
        return str(pointer[0]) if pointer else "document"

    def _describe_operation(self, pointer: Pointer) -> str:
        operation = find_node(self.document, pointer[: _PATH_DEPTH + 1])
        name = operation.get("operationId") if isinstance(operation, dict) else None
        return f"operation {name}" if isinstance(name, str) else f"{str(pointer[2]).upper()} {pointer[1]}"


class Findings:
    """Collector of the errors of one file."""

    def __init__(self, file: OpenApiFile, errors: ContractErrors) -> None:
        self.file = file
        self._errors = errors
        self.count = 0

    def add(self, pointer: Pointer, problem: str, remedy: str) -> None:
        """Add an error at a node: the problem and the remedy."""
        self.count += 1
        self._errors.add(f"{self.file.format_location(pointer)}: {self.file.describe(pointer)}: {problem}; {remedy}")


def find_node(document: Any, pointer: Iterable[str | int]) -> Any:
    """Return the node at a pointer; None if it does not exist."""
    node = document
    for part in pointer:
        is_index = isinstance(node, list) and isinstance(part, int) and part < len(node)
        if not is_index and not (isinstance(node, dict) and part in node):
            return None
        node = node[part]
    return node


def parse_reference(reference: str) -> Pointer:
    """Return the pointer of a local reference: #/components/schemas/Loan."""
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in reference.removeprefix("#/").split("/"))
