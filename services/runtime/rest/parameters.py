"""Path, query and header parameters, parsed and validated by parsers built at startup."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from enum import StrEnum
from typing import Any, get_type_hints
from urllib.parse import parse_qsl

from generated.problems import Reason
from services.runtime.core.errors import ApiError, FieldError
from services.runtime.core.json_schema import UNREPRESENTABLE_TIME, compile_schema

_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,18})")
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?")
_BOOLEANS = {"true": True, "false": False}

RUNTIME_HEADERS = frozenset({"if-none-match"})
"""Header parameters handled by the runtime and not passed to handlers."""

LIST_HEADERS = frozenset({"if-match", "if-none-match"})
"""Header parameters whose value is a list: repeated header lines are joined to one (RFC 9110, 5.3)."""


def to_argument_name(name: str) -> str:
    """Return the handler's argument name of a parameter: If-Match → if_match, orderId → order_id."""
    return re.sub(r"\W+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)).lower()


def create_invalid_parameter_error(name: str, message: str) -> ApiError:
    """Return the INVALID_REQUEST error of one parameter."""
    return ApiError(Reason.INVALID_REQUEST, f"The parameter {name} {message}.", errors=[FieldError(name, message)])


class Parameter:
    """Parser of one parameter. Text that does not have the parameter's type stays text and fails schema validation."""

    __slots__ = ("_convert", "_parse", "_validator", "argument_name", "default", "is_required", "name")

    def __init__(self, definition: Mapping[str, Any], type_hint: Any) -> None:
        schema = definition["schema"]
        self.name: str = definition["name"]
        self.argument_name = to_argument_name(self.name)
        self.is_required: bool = definition.get("required", False)
        self._parse = _make_parser(schema.get("type"))
        self._validator = compile_schema(schema)
        self._convert = _make_converter(type_hint)
        default = schema.get("default")
        self.default = self._convert(default) if self._convert and default is not None else default

    def parse(self, values: Sequence[str]) -> Any:
        """Return the value.

        Raises ApiError: INVALID_REQUEST.
        """
        if len(values) > 1:
            raise create_invalid_parameter_error(self.name, f"is given {len(values)} times")
        value = self._parse(values[0])
        if not self._validator.is_valid(value):
            raise create_invalid_parameter_error(self.name, next(iter(self._validator.iter_errors(value))).message)
        if self._convert is None:
            return value
        try:
            return self._convert(value)
        except ValueError as error:
            raise create_invalid_parameter_error(self.name, UNREPRESENTABLE_TIME) from error


def _make_parser(json_type: str | None) -> Callable[[str], Any]:
    if json_type == "integer":
        return lambda text: int(text) if _INTEGER.fullmatch(text) else text
    if json_type == "number":
        return lambda text: float(text) if _NUMBER.fullmatch(text) else text
    if json_type == "boolean":
        return lambda text: _BOOLEANS.get(text, text)
    return lambda text: text


def _make_converter(type_hint: Any) -> Callable[[Any], Any] | None:
    """Return the conversion from a JSON value to the type in the handler's signature; None when they are the same."""
    for kind in getattr(type_hint, "__args__", (type_hint,)):
        if isinstance(kind, type) and issubclass(kind, StrEnum):
            return kind
        if kind in (date, datetime):
            parse: Callable[[str], Any] = kind.fromisoformat
            return parse
    return None


class Parameters:
    """Parser of all parameters of one operation."""

    def __init__(self, definitions: Sequence[Mapping[str, Any]], handler: Callable[..., Any]) -> None:
        hints = get_type_hints(handler)
        located = [
            (definition["in"], Parameter(definition, hints.get(to_argument_name(definition["name"]))))
            for definition in definitions
        ]
        self._path = [parameter for location, parameter in located if location == "path"]
        self._query = {parameter.name: parameter for location, parameter in located if location == "query"}
        self._headers = {
            parameter.name.lower().encode(): parameter for location, parameter in located if location == "header"
        }
        optional = [p for location, p in located if location != "path" and not p.is_required]
        self._defaults = {p.argument_name: p.default for p in optional if p.name.lower() not in RUNTIME_HEADERS}
        self._required = [p for location, p in located if location != "path" and p.is_required]
        if unsupported := {location for location, _ in located} - {"path", "query", "header"}:
            raise TypeError(f"unsupported parameter locations: {unsupported}")

    def parse(self, path: Mapping[str, str], query: bytes, headers: Sequence[tuple[bytes, bytes]]) -> dict[str, Any]:
        """Return the handler's arguments.

        Raises ApiError: INVALID_REQUEST for a parameter that is invalid, missing, repeated or unknown.
        """
        arguments = dict(self._defaults)
        for parameter in self._path:
            arguments[parameter.argument_name] = parameter.parse((path[parameter.name],))
        if query:
            self._parse_query(query, arguments)
        if self._headers:
            values_by_name: dict[bytes, list[str]] = {}
            for name, value in headers:
                if name in self._headers:
                    values_by_name.setdefault(name, []).append(value.decode("latin-1"))
            for name, values in values_by_name.items():
                parameter = self._headers[name]
                value = parameter.parse((", ".join(values),) if parameter.name.lower() in LIST_HEADERS else values)
                if parameter.name.lower() not in RUNTIME_HEADERS:
                    arguments[parameter.argument_name] = value
        for parameter in self._required:
            if parameter.argument_name not in arguments:
                raise create_invalid_parameter_error(parameter.name, "is missing")
        return arguments

    def _parse_query(self, query: bytes, arguments: dict[str, Any]) -> None:
        try:
            pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=100)
        except ValueError as error:
            raise ApiError(Reason.INVALID_REQUEST, "The query string is malformed.") from error
        values_by_name: dict[str, list[str]] = {}
        for name, value in pairs:
            values_by_name.setdefault(name, []).append(value)
        for name, values in values_by_name.items():
            if name not in self._query:
                raise create_invalid_parameter_error(name[:100], "is not a parameter of this operation")
            arguments[self._query[name].argument_name] = self._query[name].parse(values)
