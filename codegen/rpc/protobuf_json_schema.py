"""Protobuf messages as JSON Schema: what protobuf's own JSON mapping makes of them."""

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from codegen.envoy.common import Config

SCALAR_SCHEMAS: dict[int, Config] = {
    FieldDescriptor.TYPE_DOUBLE: {"type": "number"},
    FieldDescriptor.TYPE_FLOAT: {"type": "number"},
    FieldDescriptor.TYPE_INT32: {"type": "integer", "format": "int32"},
    FieldDescriptor.TYPE_UINT32: {"type": "integer", "format": "int64", "minimum": 0},
    FieldDescriptor.TYPE_INT64: {"type": "string", "format": "int64"},
    FieldDescriptor.TYPE_UINT64: {"type": "string", "format": "uint64"},
    FieldDescriptor.TYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.TYPE_STRING: {"type": "string"},
    FieldDescriptor.TYPE_BYTES: {"type": "string", "contentEncoding": "base64"},
}
WELL_KNOWN_SCHEMAS: dict[str, Config] = {
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Duration": {"type": "string", "pattern": "^-?[0-9.]+s$"},
}


def message_schema(message: Descriptor) -> Config:
    """A message, its sub-messages within it. Names are those of the proto file."""
    return {"type": "object", "properties": {field.name: field_schema(field) for field in message.fields}}


def field_schema(field: FieldDescriptor) -> Config:
    """One field."""
    kind = field.message_type
    if kind is not None and kind.GetOptions().map_entry:
        return {"type": "object", "additionalProperties": field_schema(kind.fields_by_name["value"])}
    if kind is not None:
        one = WELL_KNOWN_SCHEMAS.get(kind.full_name) or message_schema(kind)
    elif field.enum_type is not None:
        one = {"type": "string", "enum": [value.name for value in field.enum_type.values]}
    else:
        one = SCALAR_SCHEMAS[field.type]
    return {"type": "array", "items": one} if field.is_repeated else one
