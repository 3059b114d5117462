"""JSON Schema of protobuf messages in protobuf's JSON mapping."""

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from codegen.contracts import ContractError
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
WELL_KNOWN_SCHEMAS: dict[str, Config] = {
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Duration": {"type": "string", "pattern": "^-?[0-9.]+s$"},
}


def build_message_schema(message: Descriptor, parents: frozenset[str] = frozenset()) -> Config:
    """Return the schema of a message with inlined sub-messages; names are those in the proto file.

    Raises ContractError for a message that contains itself.
    """
    if message.full_name in parents:
        raise ContractError(f"{message.full_name} contains itself, so its schema cannot be inlined")
    path = parents | {message.full_name}
    return {"type": "object", "properties": {field.name: build_field_schema(field, path) for field in message.fields}}


def build_field_schema(field: FieldDescriptor, parents: frozenset[str] = frozenset()) -> Config:
    """Return the schema of a field. `parents` are the names of the messages that contain it."""
    kind = field.message_type
    if kind is not None and kind.GetOptions().map_entry:
        return {"type": "object", "additionalProperties": build_field_schema(kind.fields_by_name["value"], parents)}
    if kind is not None:
        item = WELL_KNOWN_SCHEMAS.get(kind.full_name) or build_message_schema(kind, parents)
    elif field.enum_type is not None:
        item = {"type": "string", "enum": [value.name for value in field.enum_type.values]}
    else:
        item = SCALAR_SCHEMAS[field.type]
    return {"type": "array", "items": item} if field.is_repeated else item
