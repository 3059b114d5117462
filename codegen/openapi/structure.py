"""Check of the keys of a document against the whitelist. Any other key, method and reference is an error."""

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from codegen.openapi.findings import Findings, Pointer, find_node, parse_reference
from codegen.openapi.keys import (
    COMPONENT_SECTIONS,
    EXTENSION_KINDS,
    EXTENSIONS,
    KINDS,
    REFERENCE_ANNOTATIONS,
    REMEDIES,
    REQUIRED_KEYS,
    TYPE_NAMES,
    Kind,
    ListOf,
    MapOf,
)

MAX_DEPTH = 64
COMPONENT_NAME = re.compile(r"[a-zA-Z0-9._-]+")


class StructureCheck:
    """Check of the keys, the types of values, and the references of one document."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._document = findings.file.document

    def run(self) -> None:
        """Check the whole document."""
        version = self._document.get("openapi") if isinstance(self._document, dict) else None
        if isinstance(self._document, dict) and not (isinstance(version, str) and version.startswith("3.1.")):
            problem = f"the OpenAPI version {version} is not supported"
            self._findings.add(("openapi",), problem, "write `openapi: 3.1.0` and convert the document")
            return
        self._check("document", self._document, ())

    def _check(self, kind: Kind, node: Any, pointer: Pointer) -> None:
        if isinstance(kind, ListOf):
            if self._has_type(node, list, "a list", pointer):
                for index, item in enumerate(node):
                    self._check(kind.kind, item, (*pointer, index))
        elif isinstance(kind, MapOf):
            if self._has_type(node, dict, "an object", pointer):
                may_have_extensions = kind.kind in ("path item", "response") and pointer[0] != "components"
                for name, value in node.items():
                    if pointer[:1] == ("components",) and len(pointer) == 2 and not COMPONENT_NAME.fullmatch(name):
                        problem = f"the name {name} is not permitted by OpenAPI"
                        self._findings.add((*pointer, name), problem, "use a-z, A-Z, 0-9, `.`, `_` and `-`")
                    if may_have_extensions and _is_extension(name):
                        problem = f"the extension `{name}` is not supported here"
                        self._findings.add((*pointer, name), problem, "move it to the document or the operation")
                    else:
                        self._check(kind.kind, value, (*pointer, name))
        elif kind in TYPE_NAMES:
            types, name = TYPE_NAMES[kind]
            self._has_type(node, types, name, pointer)
        elif kind in KINDS and not (kind == "schema" and isinstance(node, bool)):
            self._check_object(kind, node, pointer)

    def _has_type(self, node: Any, types: type | tuple[type, ...], name: str, pointer: Pointer) -> bool:
        if isinstance(node, types) and not (isinstance(node, bool) and types is not bool):
            return True
        key = pointer[-1] if pointer else "document"
        self._findings.add(pointer, f"`{key}` is {describe_value(node)}", f"write {name}")
        return False

    def _check_object(self, kind: str, node: dict[str, Any], pointer: Pointer) -> None:
        if not self._has_type(node, dict, "an object", pointer):
            return
        if len(pointer) > MAX_DEPTH:
            self._findings.add(pointer, f"nodes are nested deeper than {MAX_DEPTH} levels", "use named components")
            return
        if "$ref" in node and kind in COMPONENT_SECTIONS:
            self._check_reference(kind, node, pointer)
            if kind != "schema":
                return
        elif missing := [key for key in REQUIRED_KEYS.get(kind, ()) if key not in node]:
            self._report_missing(kind, missing, node, pointer)
        if kind == "security requirement":
            return
        for key, value in node.items():
            if _is_extension(key):
                self._check_extension(key, pointer)
                if key in EXTENSION_KINDS:
                    self._check(EXTENSION_KINDS[key], value, (*pointer, key))
            elif key in KINDS[kind]:
                self._check(KINDS[kind][key], value, (*pointer, key))
            elif not (key == "$ref" and kind in COMPONENT_SECTIONS):
                self._report_key(kind, key, KINDS[kind], pointer)

    def _report_missing(self, kind: str, missing: list[str], node: dict[str, Any], pointer: Pointer) -> None:
        if kind == "parameter" and missing == ["schema"] and "content" in node:
            return
        self._findings.add(pointer, f"the {kind} lacks `{'` and `'.join(missing)}`", "add it")

    def _report_key(self, kind: str, key: str, known: Iterable[str], pointer: Pointer) -> None:
        similar = get_close_matches(key, known, n=1, cutoff=0.75)
        article = "an" if kind[0] in "aeiou" else "a"
        remedy = REMEDIES.get((kind, key)) or (f"write `{similar[0]}`" if similar else "remove it")
        self._findings.add((*pointer, key), f"`{key}` of {article} {kind} is not supported", remedy)

    def _check_extension(self, key: str, pointer: Pointer) -> None:
        if key not in EXTENSIONS and (similar := get_close_matches(key, EXTENSIONS, n=1, cutoff=0.85)):
            self._findings.add((*pointer, key), f"the extension `{key}` is unknown", f"write `{similar[0]}`")

    def _check_reference(self, kind: str, node: dict[str, Any], pointer: Pointer) -> None:
        reference, at = node["$ref"], (*pointer, "$ref")
        section = COMPONENT_SECTIONS[kind]
        if not isinstance(reference, str) or not reference.startswith("#/"):
            remedy = f"copy the {kind} to `components/{section}` of this file"
            self._findings.add(at, f"the reference {reference} is not local", remedy)
            return
        target = parse_reference(reference)
        if find_node(self._document, target) is None:
            self._findings.add(at, f"the reference {reference} has no target", "correct it, or add the target")
        elif target[:-1] != ("components", section):
            problem = f"the reference {reference} is not one to `components/{section}`"
            self._findings.add(at, problem, f"move the {kind} to `components/{section}`")
        elif self._is_circular(target):
            self._findings.add(at, f"the reference {reference} leads to itself", "define the target")
        if kind != "schema" and (extra := [key for key in node if key not in REFERENCE_ANNOTATIONS]):
            self._findings.add(at, f"`{extra[0]}` beside a reference has no effect", "move it to the target")

    def _is_circular(self, target: Pointer) -> bool:
        seen: set[Pointer] = set()
        while target not in seen:
            seen.add(target)
            node = find_node(self._document, target)
            if not isinstance(node, dict) or not isinstance(node.get("$ref"), str):
                return False
            target = parse_reference(node["$ref"])
        return True


def _is_extension(name: object) -> bool:
    return isinstance(name, str) and name.startswith("x-")


def describe_value(node: Any) -> str:
    """Return the JSON type of a value with its article."""
    if node is None:
        return "empty"
    names = {dict: "an object", list: "a list", bool: "true or false", str: "text", int: "a number", float: "a number"}
    return names.get(type(node), "not a JSON value")
