"""Python names of messages, enums, fields and methods, as betterproto2's compiler forms them."""

import keyword

import betterproto2
from betterproto2_compiler.casing import sanitize_name
from betterproto2_compiler.compile.naming import pythonize_class_name, pythonize_field_name, pythonize_method_name
from google.protobuf.descriptor_pb2 import EnumDescriptorProto

_TAKEN_ATTRIBUTES = frozenset(
    {
        *("bool", "bytes", "dict", "float", "int", "list", "str"),
        *("betterproto2", "builtins", "datetime", "warnings"),
        *dir(betterproto2.Message),
    }
)
"""Names that a message's class needs itself, or that it inherits."""

_TAKEN_MEMBERS = frozenset({*dir(betterproto2.Enum), "mro", "name", "value", "proto_name"})
"""Names that an enum's class inherits, or that Python forbids for members."""

TAKEN_METHODS = frozenset(
    {
        *("SERVICE", "METHODS", "FIELD_POINTERS", "build_handlers", "build_unary_handlers"),
        *("call_unary", "call_unary_wire", "call_stream", "call_client_stream", "call_bidi_stream"),
    }
)
"""Public names that all servicers and stubs have."""


def get_class_name(name: str) -> str:
    """Return the class name of a message or an enum without its package: Outer.HTTPStatus becomes OuterHttpStatus."""
    return pythonize_class_name(name)


def get_attribute_name(field: str) -> str:
    """Return the name of a field's attribute: class becomes class_, dump becomes dump_, fooBar becomes foo_bar."""
    name = pythonize_field_name(field)
    return f"{name}_" if name in _TAKEN_ATTRIBUTES else name


def get_method_attribute_name(method: str) -> str:
    """Return the name of a method's attribute: GetLoan becomes get_loan."""
    return pythonize_method_name(method)


def is_valid_class_name(name: str) -> bool:
    """Return whether a class can have the name."""
    return name.isidentifier() and not keyword.iskeyword(name)


def is_taken_member(name: str) -> bool:
    """Return whether no member of an enum can have the name."""
    return name in _TAKEN_MEMBERS or name.startswith("__")


def is_taken_method(attribute: str) -> bool:
    """Return whether a servicer or a stub needs the attribute name itself."""
    return attribute in TAKEN_METHODS or attribute.startswith("_")


def get_service_class_prefix(service: str) -> str:
    """Convert LoansService to Loans."""
    return pythonize_class_name(service).removesuffix("Service")


def list_member_names(enum: EnumDescriptorProto) -> list[str]:
    """Return the member names of the values, in their order."""
    return [sanitize_name(name) for name in list_value_names(enum)]


def list_value_names(enum: EnumDescriptorProto) -> list[str]:
    """Return the names of the values, in their order: without the name of the enum if all begin with it."""
    names = [value.name for value in enum.value]
    enum_name = enum.name.replace("_", "").lower()
    lengths = range(1, len(names[0]) + 1)
    length = next((each for each in lengths if names[0][:each].replace("_", "").lower() == enum_name), 0)
    prefix = f"{names[0][:length]}_"
    if length and all(name.startswith(prefix) for name in names):
        names = [name[len(prefix) :] for name in names]
    return names
