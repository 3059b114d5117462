"""Path, query, header and cookie parameters, parsed and validated by parsers built at startup."""

import keyword
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from enum import Enum
from types import UnionType
from typing import Any, TypeAliasType, get_args, get_type_hints
from urllib.parse import parse_qsl

from starlette.requests import cookie_parser

from generated.problems import Reason
from services.runtime.core.errors import ApiError, FieldError
from services.runtime.core.json_schema import UNREPRESENTABLE_TIME, compile_schema, describe_error

_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,18})")
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?")
_BOOLEANS = {"true": True, "false": False}

RUNTIME_HEADERS = frozenset({"if-none-match"})
"""Header parameters handled by the runtime and not passed to handlers."""

LIST_HEADERS = frozenset({"if-match", "if-none-match"})
"""Header parameters whose value is a list: repeated header lines are joined to one (RFC 9110, 5.3)."""


def to_argument_name(name: str) -> str:
    """Return the handler's argument name of a parameter: If-Match → if_match, loanId → loan_id, from → from_."""
    argument = re.sub(r"\W+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)).lower().strip("_")
    return f"{argument}_" if keyword.iskeyword(argument) else argument


def create_invalid_parameter_error(name: str, message: str) -> ApiError:
    """Return the INVALID_REQUEST error of one parameter."""
    return ApiError(Reason.INVALID_REQUEST, f"The parameter {name} {message}.", errors=[FieldError(name, message)])


class Parameter:
    """Parser of one parameter. Text that does not have the parameter's type stays text and fails schema validation."""

    __slots__ = ("_convert", "_parse", "_separator", "_validator", "argument_name", "default", "is_required", "name")

    def __init__(self, definition: Mapping[str, Any], type_hint: Any) -> None:
        schema = definition["schema"]
        self.name: str = definition["name"]
        self.argument_name = to_argument_name(self.name)
        self.is_required: bool = definition.get("required", False)
        self._parse = create_text_parser(schema)
        self._separator = _get_separator(definition)
        self._validator = compile_schema(schema)
        self._convert = _make_converter(type_hint)
        default = schema.get("default")
        self.default = self._convert(default) if self._convert and default is not None else default

    def parse(self, values: Sequence[str]) -> Any:
        """Return the value.

        Raises ApiError: INVALID_REQUEST.
        """
        if self._separator is None and len(values) > 1:
            raise create_invalid_parameter_error(self.name, f"is given {len(values)} times")
        if self._separator:
            values = [part.strip(" \t") for value in values for part in value.split(self._separator)]
        value = self._parse(values)
        if not self._validator.is_valid(value):
            raise create_invalid_parameter_error(
                self.name, describe_error(next(iter(self._validator.iter_errors(value))))
            )
        if self._convert is None:
            return value
        try:
            return self._convert(value)
        except ValueError as error:
            raise create_invalid_parameter_error(self.name, UNREPRESENTABLE_TIME) from error


def _get_separator(definition: Mapping[str, Any]) -> str | None:
    """Return the separator of the items of an array; empty for repeated parameters, None without an array."""
    if definition["schema"].get("type") != "array":
        return None
    return "" if definition["in"] == "query" and definition.get("explode", True) else ","


def create_text_parser(schema: Mapping[str, Any]) -> Callable[[Sequence[str]], Any]:
    """Return the parser of the texts of a value: all of them for an array, otherwise the first one."""
    if schema.get("type") == "array":
        parse_item = _make_item_parser(schema.get("items", {}).get("type"))
        return lambda texts: [parse_item(text) for text in texts]
    parse = _make_item_parser(schema.get("type"))
    return lambda texts: parse(texts[0])


def _make_item_parser(json_type: str | None) -> Callable[[str], Any]:
    if json_type == "integer":
        return lambda text: int(text) if _INTEGER.fullmatch(text) else text
    if json_type == "number":
        return lambda text: float(text) if _NUMBER.fullmatch(text) else text
    if json_type == "boolean":
        return lambda text: _BOOLEANS.get(text, text)
    return lambda text: text


def _make_converter(type_hint: Any) -> Callable[[Any], Any] | None:
    """Return the conversion from a JSON value to the type in the handler's signature; None when they are the same."""
    for kind in _list_alternatives(type_hint):
        if getattr(kind, "__origin__", None) is list:
            return _make_list_converter(_make_converter(get_args(kind)[0]))
        if isinstance(kind, type) and issubclass(kind, Enum):
            return kind
        if kind in (date, datetime):
            parse: Callable[[str], Any] = kind.fromisoformat
            return parse
    return None


def _make_list_converter(convert_item: Callable[[Any], Any] | None) -> Callable[[Any], Any] | None:
    return None if convert_item is None else lambda items: [convert_item(item) for item in items]


def _list_alternatives(type_hint: Any) -> tuple[Any, ...]:
    """Return the members of a union, or the type itself. An alias is the type that it names."""
    if isinstance(type_hint, TypeAliasType):
        return _list_alternatives(type_hint.__value__)
    if not isinstance(type_hint, UnionType):
        return (type_hint,)
    return tuple(each for member in get_args(type_hint) for each in _list_alternatives(member))


class Parameters:
    """Parser of all parameters of one operation."""

    def __init__(self, definitions: Sequence[Mapping[str, Any]], handler: Callable[..., Any]) -> None:
        hints = get_type_hints(handler)
        # Parameters of the operation precede those of the path, which they replace.
        unique = {(each["name"], each["in"]): each for each in reversed(definitions)}
        located = [
            (location, Parameter(definition, hints.get(to_argument_name(name))))
            for (name, location), definition in unique.items()
        ]
        self._path = [parameter for location, parameter in located if location == "path"]
        self._query = {parameter.name: parameter for location, parameter in located if location == "query"}
        self._headers = {
            parameter.name.lower().encode(): parameter for location, parameter in located if location == "header"
        }
        self._cookies = {parameter.name: parameter for location, parameter in located if location == "cookie"}
        optional = [p for location, p in located if location != "path" and not p.is_required]
        self._defaults = {p.argument_name: p.default for p in optional if p.name.lower() not in RUNTIME_HEADERS}
        self._required = [p for location, p in located if location != "path" and p.is_required]

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
        if self._cookies:
            self._parse_cookies(headers, arguments)
        for parameter in self._required:
            if parameter.argument_name not in arguments:
                raise create_invalid_parameter_error(parameter.name, "is missing")
        return arguments

    def _parse_cookies(self, headers: Sequence[tuple[bytes, bytes]], arguments: dict[str, Any]) -> None:
        """Parse the cookies that are parameters. Others are ignored: browsers send those of the whole site."""
        line = "; ".join(value.decode("latin-1") for name, value in headers if name == b"cookie")
        for name, value in cookie_parser(line).items():
            if (parameter := self._cookies.get(name)) is not None:
                arguments[parameter.argument_name] = parameter.parse((value,))

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
