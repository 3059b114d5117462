"""Validation of requests to third parties and of their responses against OpenAPI documents, compiled at load."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import unquote

import httpx
import msgspec
from jsonschema_rs import Draft202012Validator

from generated import mesh
from services.runtime.core.json_schema import compile_schema, exceeds_max_depth

CONTRACTS_DIR = mesh.FOLDER / "openapi"

MEDIA_TYPE = "application/json"
"""The only media type of bodies in contracts with third parties."""

_PATH_PARAMETER = re.compile(r"\{([^{}]+)\}")

type _Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _TextRule:
    """Rule for a header or path parameter, whose value is text."""

    is_required: bool
    validator: Draft202012Validator

    def is_met_by(self, value: str | None) -> bool:
        return not self.is_required if value is None else self.validator.is_valid(value)


@dataclass(frozen=True, slots=True)
class _Response:
    """Documented response; without `body`, any body is valid."""

    headers: Mapping[str, _TextRule]
    body: Draft202012Validator | None


@dataclass(frozen=True, slots=True)
class _Operation:
    """POST operation of a contract. `path` matches its paths and captures their parameters."""

    path: re.Pattern[str]
    path_parameters: Mapping[str, _TextRule]
    headers: Mapping[str, _TextRule]
    body: Draft202012Validator
    responses: Mapping[int, _Response]


class _Compiler:
    """Compiler of the operations of an OpenAPI document."""

    def __init__(self, document: _Object) -> None:
        self._components = document["components"]

    def compile_operation(self, path: str, path_item: _Object) -> _Operation:
        """Compile the POST operation of a path item."""
        operation = path_item["post"]
        rules: dict[str, dict[str, _TextRule]] = {"path": {}, "header": {}}
        for each in [*path_item.get("parameters", ()), *operation["parameters"]]:
            parameter = self._resolve(each)
            rules[parameter["in"]][parameter["name"]] = self._compile_text_rule(parameter)
        names = iter(_PATH_PARAMETER.findall(path))
        literals = map(re.escape, _PATH_PARAMETER.sub("\0", path).split("\0"))
        pattern = next(literals) + "".join(f"(?P<{next(names)}>[^/]+){literal}" for literal in literals)
        return _Operation(
            path=re.compile(pattern),
            path_parameters=rules["path"],
            headers=rules["header"],
            body=self._compile_schema(operation["requestBody"]["content"][MEDIA_TYPE]["schema"]),
            responses={int(status): self._compile_response(each) for status, each in operation["responses"].items()},
        )

    def _compile_response(self, response: _Object) -> _Response:
        response = self._resolve(response)
        headers = {name: self._compile_text_rule(header) for name, header in response.get("headers", {}).items()}
        content = response.get("content")
        return _Response(headers, None if content is None else self._compile_schema(content[MEDIA_TYPE]["schema"]))

    def _compile_text_rule(self, parameter: _Object) -> _TextRule:
        return _TextRule(parameter.get("required", False), self._compile_schema(parameter["schema"]))

    def _compile_schema(self, schema: _Object) -> Draft202012Validator:
        return compile_schema({**schema, "components": self._components})

    def _resolve(self, value: _Object) -> _Object:
        """Return the component to which an object refers, or the object itself."""
        if "$ref" not in value:
            return value
        _, _, kind, name = value["$ref"].split("/")
        component: _Object = self._components[kind][name]
        return component


class ThirdPartyContract:
    """OpenAPI document of a third party; its POST operations have text parameters and JSON bodies."""

    def __init__(self, name: str) -> None:
        document = json.loads((CONTRACTS_DIR / f"{name}.json").read_text(encoding="utf-8"))
        compiler = _Compiler(document)
        self._operations = [compiler.compile_operation(path, item) for path, item in document["paths"].items()]

    def is_valid_request(self, path: str, headers: Mapping[str, str], body: bytes) -> bool:
        """Return whether a POST request conforms to the contract. `path` is relative to the registered base URL.

        The names of headers are in lower case.
        """
        for operation in self._operations:
            if (match := operation.path.fullmatch(path)) is not None:
                return (
                    all(rule.is_met_by(unquote(match.group(name))) for name, rule in operation.path_parameters.items())
                    and all(rule.is_met_by(headers.get(name)) for name, rule in operation.headers.items())
                    and _is_valid_body(operation.body, headers.get("content-type", ""), body)
                )
        return False

    def is_valid_response(self, path: str, response: httpx.Response, body: bytes) -> bool:
        """Return whether the response to a POST request conforms to the contract."""
        for operation in self._operations:
            if operation.path.fullmatch(path) is not None:
                expected = operation.responses.get(response.status_code)
                return (
                    expected is not None
                    and all(rule.is_met_by(response.headers.get(name)) for name, rule in expected.headers.items())
                    and (
                        expected.body is None
                        or _is_valid_body(expected.body, response.headers.get("content-type", ""), body)
                    )
                )
        return False


def _is_valid_body(validator: Draft202012Validator, content_type: str, body: bytes) -> bool:
    if content_type.partition(";")[0].strip().lower() != MEDIA_TYPE:
        return False
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return not exceeds_max_depth(value) and validator.is_valid(value)


@cache
def load_contract(name: str) -> ThirdPartyContract:
    """Return the cached contract of `api-specs/openapi/<name>.yaml`."""
    return ThirdPartyContract(name)
