"""Rules of fields and of the messages of methods: features of protobuf that have no correct Python code."""

from collections.abc import Iterator, Sequence

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, MethodDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool

from codegen.proto_rules.locations import (
    FIELDS,
    GOOGLE_PREFIX,
    METHODS,
    SERVICES,
    Element,
    SourceFile,
    is_options_package,
    iter_messages,
)

WELL_KNOWN_FILES = frozenset(
    f"{GOOGLE_PREFIX}{name}.proto"
    for name in ("any", "duration", "empty", "field_mask", "struct", "timestamp", "wrappers")
)
"""Files of the protobuf library whose types contracts may use."""

_PAGE_SIZE_TYPES = frozenset({FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_UINT32})


def find_violations(files: Sequence[SourceFile], pool: DescriptorPool) -> Iterator[str]:
    """Return the violations of all files."""
    for file in files:
        for index, extension in enumerate(file.descriptor.extension):
            if not extension.extendee.startswith(".google.protobuf."):
                location = file.format_location((7, index))
                yield f"{location}: extension {extension.name}: no code is generated; add the field to the message"
        for message in iter_messages(file):
            yield from _find_in_message(message, pool.FindMessageTypeByName(message.full_name))
        yield from _find_in_methods(file, pool)


def _find_in_message(message: Element[DescriptorProto], descriptor: Descriptor) -> Iterator[str]:
    if message.descriptor.extension_range:
        yield f"{message.location}: {message.full_name}: extensions are not supported; delete the range"
    for index, proto in enumerate(message.descriptor.field):
        field = descriptor.fields_by_number[proto.number]
        if problem := _find_field_problem(proto, field):
            yield f"{message.find_location(FIELDS, index)}: {message.full_name}.{proto.name} {problem}"


def _find_field_problem(proto: FieldDescriptorProto, field: FieldDescriptor) -> str:
    if field.is_required:
        return "is required, which the classes do not check; make it optional"
    if proto.HasField("default_value"):
        return "has a default value, which the classes do not have; delete it"
    if field.type == FieldDescriptor.TYPE_GROUP:
        return "is a group, for which no class is generated; use a message with length-prefixed encoding"
    return _find_type_problem(field)


def _find_type_problem(field: FieldDescriptor) -> str:
    kind = field.message_type or field.enum_type
    if kind is None:
        return ""
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return _find_type_problem(field.message_type.fields_by_name["value"])
    return f"has the type {kind.full_name}, {problem}" if (problem := _find_file_problem(kind.file)) else ""


def _find_file_problem(file: object) -> str:
    """Return why messages cannot use the types of a file, or an empty string."""
    name, package = getattr(file, "name", ""), getattr(file, "package", "")
    if is_options_package(package):
        return "which only options may use; declare an own type"
    if name.startswith(GOOGLE_PREFIX) and name not in WELL_KNOWN_FILES:
        return f"which is not supported; use a type of {', '.join(sorted(WELL_KNOWN_FILES))}, or declare an own one"
    return ""


def _find_in_methods(file: SourceFile, pool: DescriptorPool) -> Iterator[str]:
    for index, service in enumerate(file.descriptor.service):
        for number, method in enumerate(service.method):
            location = file.format_location((SERVICES, index, METHODS, number))
            name = f"{file.descriptor.package}.{service.name}.{method.name}"
            for problem in _find_method_problems(method, pool):
                yield f"{location}: {name}: {problem}"


def _find_method_problems(method: MethodDescriptorProto, pool: DescriptorPool) -> Iterator[str]:
    request = pool.FindMessageTypeByName(method.input_type.removeprefix("."))
    response = pool.FindMessageTypeByName(method.output_type.removeprefix("."))
    for message in (request, response):
        if message.containing_type is not None:
            yield f"{message.full_name} is nested, so it is no request or response; declare it outside of messages"
        if problem := _find_file_problem(message.file):
            yield f"{message.full_name} is a type {problem}"
    size, token = request.fields_by_name.get("page_size"), request.fields_by_name.get("page_token")
    if size is not None and (size.type not in _PAGE_SIZE_TYPES or size.is_repeated or size.has_presence):
        yield "page_size, which servicers limit, is not an int32 without presence; change its type or its name"
    if token is not None:
        yield from _find_page_problems(method, token, response)
    replayed = response.fields_by_name.get("replayed")
    if replayed is not None and (replayed.type != FieldDescriptor.TYPE_BOOL or replayed.is_repeated):
        yield "replayed, which marks stored responses, is not a bool; change its type or its name"


def _find_page_problems(method: MethodDescriptorProto, token: FieldDescriptor, response: Descriptor) -> Iterator[str]:
    if token.type != FieldDescriptor.TYPE_STRING or token.is_repeated or token.has_presence:
        yield "page_token, which servicers verify, is not a string without presence; change its type or its name"
    if method.client_streaming or method.server_streaming:
        yield "a stream has no pages; delete or rename page_token"
    following = response.fields_by_name.get("next_page_token")
    if following is None or following.type != FieldDescriptor.TYPE_STRING or not following.has_presence:
        yield f"the request has a page_token; add `optional string next_page_token` to {response.full_name}"
