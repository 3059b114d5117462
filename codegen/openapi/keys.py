"""Whitelist of the keys of OpenAPI 3.1 that are handled, by kind of object."""

from dataclasses import dataclass

from codegen.openapi.findings import HTTP_METHODS

EXTENSIONS = frozenset(
    {
        "x-cache-until-event",
        "x-client-address",
        "x-deprecated-since",
        "x-final-event",
        "x-internal",
        "x-max-bytes",
        "x-message",
        "x-models",
        "x-path-examples",
        "x-obsolete-statuses",
        "x-problems",
        "x-rate-limit",
        "x-reasons",
        "x-rpc",
        "x-sunset",
        "x-third-party",
        "x-timeout",
    }
)
"""Extensions that the generators read. Others are published unchanged unless they are similar to one of these."""


@dataclass(frozen=True)
class ListOf:
    """List of objects of one kind."""

    kind: str


@dataclass(frozen=True)
class MapOf:
    """Mapping from names to objects of one kind."""

    kind: str


type Kind = str | ListOf | MapOf

TYPE_NAMES: dict[str, tuple[type | tuple[type, ...], str]] = {
    "text": (str, "text"),
    "flag": (bool, "true or false"),
    "number": ((int, float), "a number"),
    "count": (int, "a whole number"),
}
ANY = "any"
_ANNOTATIONS: dict[str, Kind] = {"summary": "text", "description": "text"}
_EXAMPLES: dict[str, Kind] = {"example": ANY, "examples": MapOf("example")}

KINDS: dict[str, dict[str, Kind]] = {
    "document": {
        "openapi": "text",
        "info": "info",
        "servers": ListOf("server"),
        "paths": MapOf("path item"),
        "webhooks": MapOf("path item"),
        "components": "components",
        "security": ListOf("security requirement"),
        "tags": ListOf("tag"),
        "externalDocs": ANY,
    },
    "info": {
        **_ANNOTATIONS,
        **dict.fromkeys(("title", "termsOfService", "version"), "text"),
        "contact": ANY,
        "license": ANY,
    },
    "server": {"url": "text", "description": "text", "variables": ANY},
    "tag": {"name": "text", "description": "text", "externalDocs": ANY},
    "components": {
        "schemas": MapOf("schema"),
        "responses": MapOf("response"),
        "parameters": MapOf("parameter"),
        "examples": MapOf("example"),
        "requestBodies": MapOf("request body"),
        "headers": MapOf("header"),
        "securitySchemes": MapOf("security scheme"),
        "links": MapOf("link"),
        "callbacks": ANY,
    },
    "path item": {
        **_ANNOTATIONS,
        "servers": ListOf("server"),
        "parameters": ListOf("parameter"),
        **dict.fromkeys(HTTP_METHODS, "operation"),
    },
    "operation": {
        **_ANNOTATIONS,
        "operationId": "text",
        "tags": ListOf("text"),
        "externalDocs": ANY,
        "parameters": ListOf("parameter"),
        "requestBody": "request body",
        "responses": MapOf("response"),
        "callbacks": ANY,
        "deprecated": "flag",
        "security": ListOf("security requirement"),
        "servers": ListOf("server"),
    },
    "parameter": {
        **_EXAMPLES,
        **dict.fromkeys(("name", "in", "description", "style"), "text"),
        **dict.fromkeys(("required", "deprecated", "explode"), "flag"),
        "schema": "schema",
    },
    "header": {
        **_EXAMPLES,
        "description": "text",
        "required": "flag",
        "deprecated": "flag",
        "schema": "schema",
    },
    "request body": {"description": "text", "required": "flag", "content": MapOf("media type")},
    "response": {
        "description": "text",
        "headers": MapOf("header"),
        "content": MapOf("media type"),
        "links": MapOf("link"),
    },
    "media type": {**_EXAMPLES, "schema": "schema", "encoding": MapOf("encoding")},
    "encoding": {"contentType": "text"},
    "example": {**_ANNOTATIONS, "value": ANY},
    "link": {"operationId": "text", "description": "text", "parameters": ANY, "requestBody": ANY},
    "security requirement": {},
    "security scheme": {
        **dict.fromkeys(("type", "description", "name", "in", "scheme", "bearerFormat", "openIdConnectUrl"), "text"),
        "flows": ANY,
    },
    "discriminator": {"propertyName": "text", "mapping": MapOf("text")},
    "schema": {
        **dict.fromkeys(("title", "description", "format", "pattern", "contentMediaType", "$comment"), "text"),
        **dict.fromkeys(("deprecated", "readOnly", "writeOnly", "uniqueItems"), "flag"),
        **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"), "count"),
        **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"), "number"),
        **dict.fromkeys(("type", "const", "default", "enum", "example", "examples"), ANY),
        "discriminator": "discriminator",
        **dict.fromkeys(("items", "additionalProperties", "propertyNames", "contentSchema", "not"), "schema"),
        **dict.fromkeys(("allOf", "oneOf", "anyOf"), ListOf("schema")),
        "properties": MapOf("schema"),
        "required": ListOf("text"),
        "unevaluatedProperties": "flag",
        "dependentRequired": ANY,
        "externalDocs": ANY,
    },
}
"""Handled keys of each kind of object, with the kind of their values."""

EXTENSION_KINDS: dict[str, Kind] = {"x-models": "flag", "x-path-examples": MapOf("text"), "x-third-party": "flag"}
"""Kinds of the values of extensions, except those that a generator checks itself."""

COMPONENT_SECTIONS = {kind.kind: section for section, kind in KINDS["components"].items() if isinstance(kind, MapOf)}
"""Section of the components that a reference of each kind may name."""

REQUIRED_KEYS = {
    "document": ("openapi", "info"),
    "info": ("title", "version"),
    "operation": ("responses",),
    "parameter": ("name", "in", "schema"),
    "request body": ("content",),
    "response": ("description",),
    "tag": ("name",),
    "security scheme": ("type",),
    "discriminator": ("propertyName",),
    "server": ("url",),
}
REFERENCE_ANNOTATIONS = ("$ref", "summary", "description")
REMEDIES = {
    ("schema", "nullable"): "write `type: [string, 'null']` with the type of the value",
    ("schema", "patternProperties"): "describe the values with `additionalProperties`",
    ("schema", "prefixItems"): "use an object with named properties",
    ("path item", "options"): "remove the operation, because the edge responds to OPTIONS",
    ("path item", "trace"): "remove the operation, because the edge rejects TRACE",
    ("path item", "$ref"): "write the path item in place of the reference",
    ("parameter", "content"): "describe each value by a parameter with a `schema`, or use a request body",
    ("parameter", "allowReserved"): "remove it, clients must encode reserved characters",
    ("parameter", "allowEmptyValue"): "remove it, an empty value is validated by the schema",
    ("components", "pathItems"): "write the path items under `paths`",
}
"""Replacement of keys that are not handled."""
