"""References to components of other files, which are copied into the document: `common/money.yaml#/components/…`."""

import copy
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from codegen.errors import ContractError
from codegen.openapi.findings import OpenApiFile, Pointer, find_node
from codegen.yaml_input import Document, build_pointer, list_references, read_document, split_pointer

OPENAPI_FOLDER = "api-specs/openapi"
"""Folder that contains all files which references may name."""

FILE_PATTERN = re.compile(r"[\w. /-]{1,200}\.yaml")
"""Relative path of a file."""

COMPONENT_DEPTH = 3
"""Length of the pointer of a component: components, section and name."""


def read_with_components(root: Path, path: Path) -> tuple[Document, Mapping[Pointer, OpenApiFile]]:
    """Read a file, and add the components of other files to which it refers. Return also the origins of these.

    Raises ContractError with the errors of YAML, and of references to other files.
    """
    document = read_document(root, path)
    if all(reference.startswith("#") for _, reference in list_references(document.content)):
        return document, {}
    return _Bundle(root, path, document).build()


def build_file(document: Document, origins: Mapping[Pointer, OpenApiFile]) -> OpenApiFile:
    """Return the file of a document, some of whose components have their origin in other files."""
    return OpenApiFile(
        document.name,
        document.content,
        lambda pointer: document.find_position(build_pointer(*pointer)).line,
        origins,
    )


class _Bundle:
    """A document and the components of other files that it needs."""

    def __init__(self, root: Path, path: Path, document: Document) -> None:
        self._folder = (root / OPENAPI_FOLDER).resolve()
        self._root = root
        self._document = document
        self._path = path.resolve()
        self._content = copy.deepcopy(document.content)
        self._files: dict[Path, Document] = {self._path: document}
        self._sources: dict[Pointer, Path] = {}
        self._errors: list[str] = []

    def build(self) -> tuple[Document, Mapping[Pointer, OpenApiFile]]:
        """Return the document with all components, and their origins. Raises ContractError with all errors."""
        self._replace_references(self._path, self._content, ())
        if self._errors:
            raise ContractError(*dict.fromkeys(self._errors))
        origins = {pointer: build_file(self._files[path], {}) for pointer, path in self._sources.items()}
        return replace(self._document, content=self._content), origins

    def _replace_references(self, path: Path, tree: Any, base: Pointer) -> None:
        """Replace the references in a part of a file by those to components of the document."""
        for pointer, reference in list(list_references(tree)):
            if path == self._path and reference.startswith("#"):
                continue
            location = self._files[path].format_location(build_pointer(*base) + pointer)
            try:
                target = self._add_component(path, reference)
            except ContractError as error:
                self._errors += [
                    f"{location}: the reference {reference!r} {message}" if message.startswith("leads") else message
                    for message in error.messages
                ]
            else:
                *parents, key = split_pointer(pointer)
                find_node(tree, _to_keys(tree, parents))[key] = f"#{build_pointer(*target)}"

    def _add_component(self, path: Path, reference: str) -> Pointer:
        """Copy the target of a reference in a file into the document. Return its pointer there."""
        name, _, fragment = reference.partition("#")
        source = self._load(path, name) if name else path
        target: Pointer = tuple(split_pointer(unquote(fragment)))
        if len(target) != COMPONENT_DEPTH or target[0] != "components":
            raise ContractError("leads to no component; write file.yaml#/components/…")
        node = find_node(self._files[source].content, target)
        if node is None:
            raise ContractError("leads to no component of this name; correct it, or add the component")
        if source == self._path or self._sources.get(target) == source:
            return target
        if find_node(self._content, target) is not None:
            other = self._files[self._sources.get(target, self._path)].format_location(build_pointer(*target))
            raise ContractError(f"leads to another {target[2]} than that of {other}; rename one of them")
        self._sources[target] = source
        part = copy.deepcopy(node)
        self._get_section(str(target[1]))[str(target[2])] = part
        self._replace_references(source, part, target)
        return target

    def _get_section(self, name: str) -> dict[str, Any]:
        """Return a section of the components of the document, which is created if it does not exist."""
        section = self._content
        for key in ("components", name):
            section = section.setdefault(key, {}) if isinstance(section, dict) else section
        if not isinstance(section, dict):
            raise ContractError(f"leads to a component, but components/{name} of this file is no object; correct it")
        return section

    def _load(self, path: Path, name: str) -> Path:
        """Read the file that a reference of another file names."""
        if "://" in name:
            raise ContractError(f"leads out of {OPENAPI_FOLDER}; copy the file to this folder")
        is_valid = FILE_PATTERN.fullmatch(unquote(name)) is not None
        source = (path.parent / unquote(name)).resolve() if is_valid else path.parent
        if not source.is_relative_to(self._folder):
            raise ContractError(f"leads out of {OPENAPI_FOLDER}; copy the file to this folder")
        if not source.is_file():
            raise ContractError("leads to no .yaml file; correct the path, which is relative to this file")
        if source not in self._files:
            self._files[source] = read_document(self._root.resolve(), source)
        return source


def _to_keys(tree: Any, parts: list[str]) -> Pointer:
    """Return the keys and list indexes of the parts of a JSON pointer."""
    keys: list[str | int] = []
    for part in parts:
        keys.append(int(part) if isinstance(find_node(tree, keys), list) else part)
    return tuple(keys)
