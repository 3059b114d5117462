"""Rules of the parameters of served operations."""

import re
from collections.abc import Callable, Iterator
from typing import Any

from codegen.openapi.findings import Findings, Pointer, parse_reference
from codegen.openapi.media_types import MULTIPART, split_form
from codegen.openapi.names import check_argument_names
from codegen.openapi.schemas import SchemaCheck, is_scalar, list_types

STYLES = {"path": "simple", "query": "form", "header": "simple", "cookie": "form"}
"""Supported style of each location."""

UNAVAILABLE_HEADERS = {
    "accept": "describe the media types under `content` of the responses",
    "authorization": "write a requirement under `security`",
    "content-type": "describe the media types under `content` of the request body",
    "cookie": "write a parameter with `in: cookie`",
}
"""Headers that OpenAPI describes elsewhere, with the remedy."""

RESERVED_HEADER = re.compile(
    r"connection|content-length|expect|forwarded|host|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade|"
    r"traceparent|tracestate|x-envoy-.*|x-forwarded-.*|x-jwt-payload|x-request-id"
)
"""Headers that HTTP itself, the edge or the sidecar sets or removes."""

PATH_PATTERN = re.compile(r"(/([A-Za-z0-9._~!$&'()*+,;=:@-]|\{[^{}/]+\})*)+")
LITERAL_PATTERN = re.compile(r"\{[^{}]*\}")


def list_template_names(path: str) -> list[str]:
    """Return the names in a path template, in order."""
    return [match[1:-1] for match in LITERAL_PATTERN.findall(path)]


def merge_parameters(
    inherited: list[dict[str, Any]], own: list[dict[str, Any]], key: Callable[[dict[str, Any]], Any]
) -> list[dict[str, Any]]:
    """Return the parameters of a path item and an operation, which replaces those with the same key."""
    replaced = {key(parameter) for parameter in own}
    return [*(each for each in inherited if key(each) not in replaced), *own]


class ParameterCheck:
    """Check of the parameters of the operations of one document."""

    def __init__(self, findings: Findings, schemas: SchemaCheck) -> None:
        self._findings = findings
        self._schemas = schemas
        components = findings.file.document.get("components", {})
        self._components = components.get("parameters", {})
        self._request_bodies = components.get("requestBodies", {})
        self._checked: set[Pointer] = set()

    def check(self, path: str, item: dict[str, Any], operation: dict[str, Any], pointer: Pointer) -> None:
        """Check the parameters of an operation, and that they match the path template."""
        inherited = list(self._iter_parameters(item, pointer[:-1]))
        own = list(self._iter_parameters(operation, pointer))
        for listed in (inherited, own):
            self._check_duplicates(listed)
        replaced = {(each["name"], each["in"]) for each, _ in own}
        parameters = [pair for pair in inherited if (pair[0]["name"], pair[0]["in"]) not in replaced] + own
        for parameter, at in parameters:
            if at not in self._checked:
                self._checked.add(at)
                self._check_parameter(parameter, at)
        names, declared = list_template_names(path), [each["name"] for each, _ in parameters if each["in"] == "path"]
        for name in names:
            if name not in declared:
                problem = f"the path parameter {name} is not described"
                self._findings.add(pointer, problem, "add it to `parameters` with `in: path`")
        for parameter, at in parameters:
            if parameter["in"] == "path" and parameter["name"] not in names:
                problem = f"the path parameter {parameter['name']} is not in {path}"
                self._findings.add(at, problem, "correct its name, or remove it")
        located = [(at, each["name"], each["in"]) for each, at in parameters]
        located += [(pointer, name, "form") for name in self._list_form_fields(operation)]
        check_argument_names(self._findings, pointer, located)

    def _list_form_fields(self, operation: dict[str, Any]) -> list[str]:
        """Return the fields of a multipart form, which are arguments of the handler too."""
        body = operation.get("requestBody", {})
        if "$ref" in body:
            body = self._request_bodies[parse_reference(body["$ref"])[-1]]
        schema = body.get("content", {}).get(MULTIPART, {}).get("schema", {})
        return [*split_form(self._schemas, self._schemas.resolve(schema))[1]]

    def _iter_parameters(self, owner: dict[str, Any], pointer: Pointer) -> Iterator[tuple[dict[str, Any], Pointer]]:
        for index, declared in enumerate(owner.get("parameters", [])):
            at: Pointer = (*pointer, "parameters", index)
            parameter = declared
            while "$ref" in parameter:
                at = parse_reference(parameter["$ref"])
                parameter = self._components[at[-1]]
            yield parameter, at

    def _check_duplicates(self, parameters: list[tuple[dict[str, Any], Pointer]]) -> None:
        seen = set()
        for parameter, at in parameters:
            key = (parameter["name"], parameter["in"])
            if key in seen:
                self._findings.add(at, f"the {key[1]} parameter {key[0]} occurs twice", "remove one of them")
            seen.add(key)

    def _check_parameter(self, parameter: dict[str, Any], pointer: Pointer) -> None:
        name, location = parameter["name"], parameter["in"]
        title = f"the {location} parameter {name}"
        if parameter.get("style", STYLES[location]) != STYLES[location]:
            problem = f"the style {parameter['style']} of {title} is not supported"
            self._findings.add((*pointer, "style"), problem, f"use the style {STYLES[location]}")
        if location == "path" and parameter.get("required") is not True:
            self._findings.add(pointer, f"{title} is not required", "write `required: true`")
        if location == "header" and (remedy := UNAVAILABLE_HEADERS.get(name.lower())):
            self._findings.add(pointer, f"OpenAPI ignores {title}", remedy)
        if location == "header" and RESERVED_HEADER.fullmatch(name.lower()):
            self._findings.add(pointer, f"the edge sets or removes {title}", "rename it")
        if location in ("cookie", "header") and not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name):
            self._findings.add(pointer, f"{title} has no valid name", "use a-z, A-Z, 0-9 and `-`")
        self._check_schema(parameter, title, (*pointer, "schema"))

    def _check_schema(self, parameter: dict[str, Any], title: str, pointer: Pointer) -> None:
        schema = self._schemas.resolve(parameter["schema"])
        kinds = list_types(schema)
        if kinds == ["array"]:
            items = self._schemas.resolve(schema.get("items", {}))
            if parameter["in"] == "cookie":
                self._findings.add(pointer, f"{title} is an array", "use a query parameter")
            elif parameter["in"] == "path" and not schema.get("minItems"):
                self._findings.add(pointer, f"{title} may be empty, which no path matches", "write `minItems: 1`")
            if "default" in schema:
                self._findings.add(pointer, f"{title} is an array, whose default is not supported", "remove it")
            if not is_scalar(items):
                self._findings.add(pointer, f"the items of {title} are no texts, numbers or booleans", "use others")
        elif not is_scalar(schema):
            problem = f"{title} is no text, number, boolean or array of those"
            self._findings.add(pointer, problem, "write one of these types, or use a request body")
        if "default" in schema and parameter.get("required"):
            self._findings.add(pointer, f"{title} is required, so its default has no effect", "remove one of both")
