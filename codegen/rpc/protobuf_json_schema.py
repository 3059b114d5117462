"""JSON Schema of protobuf messages in protobuf's JSON mapping.

The schemas of sub-messages are inlined. A message that contains itself is a reference to a named schema.
"""

from collections.abc import Iterator

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from codegen.envoy.common import Config

INT32, UINT32 = {"type": "integer", "format": "int32"}, {"type": "integer", "format": "int64", "minimum": 0}
INT64, UINT64 = {"type": "string", "format": "int64"}, {"type": "string", "format": "uint64"}
SCALAR_SCHEMAS: dict[int, Config] = {
    FieldDescriptor.TYPE_DOUBLE: {"type": "number"},
    FieldDescriptor.TYPE_FLOAT: {"type": "number"},
    **dict.fromkeys((FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_SINT32, FieldDescriptor.TYPE_SFIXED32), INT32),
    **dict.fromkeys((FieldDescriptor.TYPE_UINT32, FieldDescriptor.TYPE_FIXED32), UINT32),
    **dict.fromkeys((FieldDescriptor.TYPE_INT64, FieldDescriptor.TYPE_SINT64, FieldDescriptor.TYPE_SFIXED64), INT64),
    **dict.fromkeys((FieldDescriptor.TYPE_UINT64, FieldDescriptor.TYPE_FIXED64), UINT64),
    FieldDescriptor.TYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.TYPE_STRING: {"type": "string"},
    FieldDescriptor.TYPE_BYTES: {"type": "string", "contentEncoding": "base64"},
}
_WRAPPED_SCHEMAS: dict[str, Config] = {
    "Bool": {"type": "boolean"},
    "Bytes": {"type": "string", "contentEncoding": "base64"},
    "Double": {"type": "number"},
    "Float": {"type": "number"},
    "Int32": INT32,
    "Int64": INT64,
    "String": {"type": "string"},
    "UInt32": UINT32,
    "UInt64": UINT64,
}
WELL_KNOWN_SCHEMAS: dict[str, Config] = {
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Duration": {"type": "string", "pattern": "^-?[0-9.]+s$"},
    "google.protobuf.FieldMask": {"type": "string"},
    "google.protobuf.Empty": {"type": "object", "additionalProperties": False},
    "google.protobuf.Struct": {"type": "object"},
    "google.protobuf.Value": {},
    "google.protobuf.ListValue": {"type": "array"},
    "google.protobuf.Any": {"type": "object", "properties": {"@type": {"type": "string"}}, "required": ["@type"]},
    **{f"google.protobuf.{name}Value": schema for name, schema in _WRAPPED_SCHEMAS.items()},
}
"""Schemas of the messages with a JSON form of their own. The Python form of a wrapper is its value."""

NULL_VALUE = "google.protobuf.NullValue"
REFERENCE_PREFIX = "#/components/schemas/"


def build_message_schema(message: Descriptor) -> Config:
    """Return the schema of a message; names are those in the proto file."""
    return {"type": "object", "properties": {field.name: build_field_schema(field) for field in message.fields}}


def build_field_schema(field: FieldDescriptor) -> Config:
    """Return the schema of a field."""
    kind = field.message_type
    if kind is not None and kind.GetOptions().map_entry:
        return {"type": "object", "additionalProperties": build_field_schema(kind.fields_by_name["value"])}
    item: Config
    if kind is not None and kind.full_name in WELL_KNOWN_SCHEMAS:
        item = WELL_KNOWN_SCHEMAS[kind.full_name]
    elif kind is not None:
        is_recursive = kind.full_name in {each.full_name for each in _iter_submessages(kind)}
        item = {"$ref": REFERENCE_PREFIX + kind.full_name} if is_recursive else build_message_schema(kind)
    elif field.enum_type is not None:
        names = [value.name for value in field.enum_type.values]
        item = {"type": "null"} if field.enum_type.full_name == NULL_VALUE else {"type": "string", "enum": names}
    else:
        item = SCALAR_SCHEMAS[field.type]
    return {"type": "array", "items": item} if field.is_repeated else item


def build_referenced_schemas(message: Descriptor) -> dict[str, Config]:
    """Return the schemas by name to which the schema of a message refers."""
    submessages = {each.full_name: each for each in _iter_submessages(message)}
    return {
        name: build_message_schema(each)
        for name, each in sorted(submessages.items())
        if name in {inner.full_name for inner in _iter_submessages(each)}
    }


def _iter_submessages(message: Descriptor) -> Iterator[Descriptor]:
    """Return the messages of the fields of a message, and of their fields, each once."""
    seen: set[str] = set()
    following = [message]
    while following:
        for field in following.pop().fields:
            kind = field.message_type
            if kind is not None and kind.full_name not in seen and kind.full_name not in WELL_KNOWN_SCHEMAS:
                seen.add(kind.full_name)
                following.append(kind)
                if not kind.GetOptions().map_entry:
                    yield kind
