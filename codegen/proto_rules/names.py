"""Rules of names: every name of the contract has a Python name of its own."""

import keyword
from collections import defaultdict
from collections.abc import Iterator, Sequence

from google.protobuf.descriptor_pb2 import DescriptorProto, EnumDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message

from codegen.proto_rules.locations import (
    FIELDS,
    METHODS,
    SERVICES,
    VALUES,
    Element,
    SourceFile,
    find_duplicates,
    iter_enums,
    iter_messages,
)
from codegen.rpc.python_names import (
    get_attribute_name,
    get_class_name,
    get_method_attribute_name,
    get_service_class_prefix,
    is_taken_member,
    is_taken_method,
    is_valid_class_name,
    list_member_names,
)

_PACKAGE_LINE = (2,)
_TAKEN_PARTS = frozenset({"message_pool", "rpc"})
"""Names of generated modules beside the packages."""

_TAKEN_FIELDS = frozenset(dir(Message))
"""Names that the codec calls on protobuf's own messages."""


def find_violations(files: Sequence[SourceFile], pool: DescriptorPool) -> Iterator[str]:
    """Return the violations of all files."""
    del pool
    for file in files:
        yield from _find_in_package(file)
    yield from _find_in_classes(files)
    for file in files:
        for message in iter_messages(file):
            yield from _find_in_fields(message)
        for enum in iter_enums(file):
            yield from _find_in_values(enum)
    yield from _find_in_services(files)


def _find_in_package(file: SourceFile) -> Iterator[str]:
    package, location = file.descriptor.package, file.format_location(_PACKAGE_LINE)
    if not package:
        yield f"{location}: the file has no package; declare one, as in `package library.loans.v1;`"
    for part in package.split("."):
        if keyword.iskeyword(part):
            yield f"{location}: package {package}: {part} is a keyword of Python; rename the package"
        elif part in _TAKEN_PARTS:
            yield f"{location}: package {package}: {part} is the name of a generated module; rename the package"


def _find_in_classes(files: Sequence[SourceFile]) -> Iterator[str]:
    """Find messages and enums of a package, from all of its files, that have the same class name or an invalid one."""
    packages: defaultdict[str, list[tuple[str, str, str]]] = defaultdict(list)
    for file in files:
        elements: list[Element[DescriptorProto] | Element[EnumDescriptorProto]]
        elements = [*iter_messages(file), *iter_enums(file)]
        for element in elements:
            class_name = get_class_name(element.name)
            if is_valid_class_name(class_name):
                packages[file.descriptor.package].append((element.location, element.full_name, class_name))
            else:
                yield f"{element.location}: {element.full_name} has the invalid class name {class_name!r}; rename it"
    for names in packages.values():
        for location, name, first, class_name in find_duplicates(names):
            yield f"{location}: {first} and {name} have the same class name {class_name}; rename one"


def _find_in_fields(message: Element[DescriptorProto]) -> Iterator[str]:
    names = [
        (message.find_location(FIELDS, index), field.name, get_attribute_name(field.name))
        for index, field in enumerate(message.descriptor.field)
    ]
    for location, name, attribute in names:
        if name.startswith("__") or not attribute.isidentifier():
            yield f"{location}: {message.full_name}.{name} has no valid attribute name; rename the field"
        elif name in _TAKEN_FIELDS:
            yield f"{location}: {message.full_name}.{name} is a method of protobuf's messages; rename the field"
    for location, name, first, attribute in find_duplicates(names):
        yield (
            f"{location}: {message.full_name}: the fields {first} and {name} have the same attribute name {attribute}; "
            "rename one"
        )


def _find_in_values(enum: Element[EnumDescriptorProto]) -> Iterator[str]:
    members = list_member_names(enum.descriptor)
    names = [
        (enum.find_location(VALUES, index), value.name, member)
        for index, (value, member) in enumerate(zip(enum.descriptor.value, members, strict=True))
    ]
    for location, name, member in names:
        if is_taken_member(member):
            yield f"{location}: {enum.full_name}.{name} cannot be a member {member} of a Python enum; rename the value"
    for location, name, first, member in find_duplicates(names):
        yield f"{location}: {enum.full_name}: {first} and {name} have the same member name {member}; rename one"


def _find_in_services(files: Sequence[SourceFile]) -> Iterator[str]:
    """Find services and methods of a package whose classes, constants or attributes have the same name."""
    classes: defaultdict[str, list[tuple[str, str, str]]] = defaultdict(list)
    constants: defaultdict[str, list[tuple[str, str, str]]] = defaultdict(list)
    for file in files:
        package = file.descriptor.package
        for index, service in enumerate(file.descriptor.service):
            location = file.format_location((SERVICES, index))
            prefix = get_service_class_prefix(service.name)
            classes[package].append((location, service.name, f"{prefix}Servicer"))
            for number, method in enumerate(service.method):
                line = file.format_location((SERVICES, index, METHODS, number))
                name, attribute = f"{service.name}.{method.name}", get_method_attribute_name(method.name)
                constants[package].append((line, name, attribute.upper()))
                if is_taken_method(attribute) or not attribute.upper().isidentifier():
                    yield (
                        f"{line}: {package}.{name}: the attribute {attribute} is a part of all servicers or stubs; "
                        "rename the method"
                    )
    for package, names in [*classes.items(), *constants.items()]:
        for location, name, first, python_name in find_duplicates(names):
            yield f"{location}: {package}: {first} and {name} have the same Python name {python_name}; rename one"
