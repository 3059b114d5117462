"""Rules of the request bodies and success responses of served operations."""

import re
from typing import Any

from codegen.openapi.findings import Findings, Pointer
from codegen.openapi.schemas import Schema, SchemaCheck, is_scalar, list_types

EVENT_STREAM, FORM, MULTIPART, JSON = (
    "text/event-stream",
    "application/x-www-form-urlencoded",
    "multipart/form-data",
    "application/json",
)
MERGE_PATCH = "application/merge-patch+json"
MEDIA_TYPE_PATTERN = re.compile(r"[a-z]+/([a-z0-9.+-]+|\*)")


def is_json(media_type: str) -> bool:
    """Return whether a media type is JSON: application/json, or one with the suffix +json."""
    return media_type == JSON or media_type.endswith("+json")


class MediaTypeCheck:
    """Check of the media types, and of the schemas directly below them."""

    def __init__(self, findings: Findings, schemas: SchemaCheck) -> None:
        self._findings = findings
        self._schemas = schemas

    def check_request(self, body: dict[str, Any], parent: Pointer, *, is_patch: bool) -> None:
        """Check a request body."""
        content: dict[str, Any] = body["content"]
        pointer: Pointer = (*parent, "content")
        if not self._check_names(content, pointer):
            return
        if not content:
            self._findings.add(pointer, "the request body has no media type", "add one")
        elif len(content) > 1 and not (is_patch and set(content) == {JSON, MERGE_PATCH}):
            self._findings.add(pointer, "a request body with several media types is not supported", "write one of them")
        for media_type, media in content.items():
            at = (*pointer, media_type)
            if "schema" not in media:
                self._findings.add(at, "the media type has no schema", "add it")
            elif is_json(media_type):
                self._check_named(media["schema"], (*at, "schema"))
            elif media_type == FORM:
                self._check_form(media["schema"], (*at, "schema"))
            elif media_type == MULTIPART:
                self._check_multipart(media, at)
            else:
                remedy = f"use JSON, {FORM} or {MULTIPART}"
                self._findings.add(at, f"the media type {media_type} of a request is not supported", remedy)
            if not body.get("required") and not self._is_optional(media_type, media.get("schema", {})):
                problem = "the body is optional, but its schema does not permit the empty object that stands for it"
                self._findings.add(parent, problem, "write `required: true`, or permit an empty object")

    def check_response(self, content: dict[str, Any], pointer: Pointer) -> None:
        """Check the content of a success response."""
        if not self._check_names(content, pointer):
            return
        typed = [media_type for media_type in content if is_json(media_type) or media_type == EVENT_STREAM]
        if typed and len(content) > 1:
            names = " and ".join(content)
            self._findings.add(pointer, f"a response as {names} is not supported", "write one operation for each")
        for media_type in typed:
            at = (*pointer, media_type)
            if "schema" not in content[media_type]:
                self._findings.add(at, "the media type has no schema", "add it")
            elif media_type != EVENT_STREAM:
                self._check_named(content[media_type]["schema"], (*at, "schema"))
            else:
                self._check_stream(content[media_type]["schema"], (*at, "schema"))

    def _is_optional(self, media_type: str, schema: Any) -> bool:
        """Return whether an empty object is a valid body. A multipart form always has its boundary."""
        return media_type != MULTIPART and (isinstance(schema, bool) or self._schemas.is_valid(schema, {}))

    def _check_names(self, content: dict[str, Any], pointer: Pointer) -> bool:
        malformed = [name for name in content if not MEDIA_TYPE_PATTERN.fullmatch(name)]
        for name in malformed:
            plain = name.split(";")[0].strip().lower()
            remedy = f"write {plain}" if MEDIA_TYPE_PATTERN.fullmatch(plain) else "correct it"
            problem = f"the media type {name} is not a lower-case type without parameters"
            self._findings.add((*pointer, name), problem, remedy)
        return not malformed

    def _check_named(self, schema: Any, pointer: Pointer) -> None:
        """Check that a body has a type that a signature of a handler can name."""
        if isinstance(schema, bool):
            self._findings.add(pointer, "the schema permits any value", "describe it under `components/schemas`")
            return
        resolved = self._schemas.resolve(schema)
        if "$ref" not in schema and list_types(resolved) == ["array"]:
            self._check_named(resolved.get("items", {}), (*pointer, "items"))
        elif "$ref" not in schema and (not is_scalar(resolved) or "enum" in resolved):
            self._findings.add(pointer, "the schema has no name", "move it to `components/schemas`")

    def _check_form(self, schema: Any, pointer: Pointer) -> None:
        self._check_named(schema, pointer)
        for name, field in self._schemas.resolve(schema).get("properties", {}).items():
            resolved = self._schemas.resolve(field)
            items = self._schemas.resolve(resolved.get("items", {})) if list_types(resolved) == ["array"] else resolved
            if not is_scalar(items):
                problem = f"the field {name} of the form is no text, number, boolean or array of those"
                self._findings.add(pointer, problem, "write one of these types, or send JSON")

    def _check_multipart(self, media: dict[str, Any], pointer: Pointer) -> None:
        schema = self._schemas.resolve(media["schema"])
        files, fields = split_form(self._schemas, schema)
        if len(files) != 1:
            problem = f"a form with {len(files) or 'no'} file{'s' if files else ''} is not supported"
            self._findings.add(pointer, problem, "write exactly one property of `format: binary`")
        for name, field in fields.items():
            resolved = self._schemas.resolve(field)
            items = self._schemas.resolve(resolved.get("items", {})) if list_types(resolved) == ["array"] else resolved
            if not is_scalar(items):
                problem = f"the field {name} of the form is no text, number, boolean or array of those"
                self._findings.add(pointer, problem, "write one of these types, or send JSON")
            elif list_types(resolved) == ["array"] and "default" in resolved:
                problem = f"the field {name} of the form is an array, whose default is not supported"
                self._findings.add(pointer, problem, "remove it")

    def _check_stream(self, schema: Any, pointer: Pointer) -> None:
        data = get_event_data_schema(self._schemas, schema)
        if "$ref" not in data:
            remedy = "move the schema of `data` to `components/schemas`"
            self._findings.add(pointer, "the events have no named schema", remedy)


def split_form(schemas: SchemaCheck, schema: Schema) -> tuple[list[str], dict[str, Schema]]:
    """Return the names of the files of a multipart form, and the schemas of its other fields."""
    properties: dict[str, Schema] = schema.get("properties", {})
    files = [name for name, field in properties.items() if schemas.resolve(field).get("format") == "binary"]
    return files, {name: field for name, field in properties.items() if name not in files}


def get_event_data_schema(schemas: SchemaCheck, schema: Schema) -> Schema:
    """Return the schema of an event's data: `contentSchema` of `data`, or the items, or the schema itself."""
    resolved = schemas.resolve(schema)
    data = schemas.resolve(resolved.get("properties", {}).get("data", {}))
    data_schema: Schema = data.get("contentSchema") or resolved.get("items") or schema
    return data_schema
