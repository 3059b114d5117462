"""Places of messages, enums, fields, services and methods in the protobuf files."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
)

from codegen.errors import ContractError

PROTO_FOLDER = "api-specs/proto"
OPTIONS_SUFFIX = ".options.v1"
"""End of the package of the custom options, which only the generators read; the name of the mesh precedes it."""

GOOGLE_PREFIX = "google/protobuf/"

# Numbers of the fields of FileDescriptorProto and the descriptors below it, which form the paths of elements.
MESSAGES, ENUMS, SERVICES = 4, 5, 6
FIELDS, NESTED_MESSAGES, NESTED_ENUMS = 2, 3, 4
VALUES, METHODS = 2, 2

type Path = tuple[int, ...]


class SourceFile:
    """A protobuf file with the lines and comments of its elements; a file without source information has neither."""

    def __init__(self, descriptor: FileDescriptorProto) -> None:
        self.descriptor = descriptor
        self._locations = {tuple(location.path): location for location in descriptor.source_code_info.location}

    @property
    def name(self) -> str:
        """Return the path of the file relative to the root of the repository."""
        return f"{PROTO_FOLDER}/{self.descriptor.name}"

    def format_location(self, path: Path = ()) -> str:
        """Return the file and the line of the element: `api-specs/proto/library/loans/v1/loans.proto:12`."""
        location = self._locations.get(path) if path else None
        return f"{self.name}:{location.span[0] + 1}" if location else self.name

    def get_comment(self, path: Path) -> str:
        """Return the leading comment of the element, without indentation."""
        location = self._locations.get(path)
        text = location.leading_comments.strip() if location else ""
        return "\n".join(line.strip() for line in text.splitlines())


@dataclass(frozen=True)
class Element[D]:
    """A message or an enum."""

    file: SourceFile
    path: Path
    name: str
    """Name without the package, with the names of the outer messages: `Loan.Item`."""
    descriptor: D

    @property
    def full_name(self) -> str:
        """Return the name with the package."""
        return f"{self.file.descriptor.package}.{self.name}".removeprefix(".")

    @property
    def location(self) -> str:
        """Return file and line."""
        return self.file.format_location(self.path)

    def find_location(self, *path: int) -> str:
        """Return file and line of a field or value of this element."""
        return self.file.format_location((*self.path, *path))


def is_options_package(package: str) -> bool:
    """Return whether a package contains the custom options."""
    return package.endswith(OPTIONS_SUFFIX)


def find_options_package(descriptors: FileDescriptorSet) -> str:
    """Return the package of the custom options. Raises ContractError if it does not exist."""
    for file in descriptors.file:
        if is_options_package(file.package):
            return file.package
    raise ContractError(f"{PROTO_FOLDER}: no package <mesh>.options.v1 defines the options; add it")


def list_own_files(descriptors: FileDescriptorSet) -> list[SourceFile]:
    """Return the files except those of the protobuf library and of the options."""
    return [
        SourceFile(file)
        for file in descriptors.file
        if not file.name.startswith(GOOGLE_PREFIX) and not is_options_package(file.package)
    ]


def iter_messages(file: SourceFile) -> Iterator[Element[DescriptorProto]]:
    """Return all messages of a file with the nested ones, but without the entries of maps."""
    for index, message in enumerate(file.descriptor.message_type):
        yield from _iter_nested(Element(file, (MESSAGES, index), message.name, message))


def _iter_nested(outer: Element[DescriptorProto]) -> Iterator[Element[DescriptorProto]]:
    yield outer
    for index, message in enumerate(outer.descriptor.nested_type):
        if not message.options.map_entry:
            path = (*outer.path, NESTED_MESSAGES, index)
            yield from _iter_nested(Element(outer.file, path, f"{outer.name}.{message.name}", message))


def iter_enums(file: SourceFile) -> Iterator[Element[EnumDescriptorProto]]:
    """Return all enums of a file with the nested ones."""
    for index, enum in enumerate(file.descriptor.enum_type):
        yield Element(file, (ENUMS, index), enum.name, enum)
    for message in iter_messages(file):
        for index, enum in enumerate(message.descriptor.enum_type):
            yield Element(file, (*message.path, NESTED_ENUMS, index), f"{message.name}.{enum.name}", enum)


def find_duplicates(names: Sequence[tuple[str, str, str]]) -> Iterator[tuple[str, str, str, str]]:
    """Return for each Python name after its first use: location, contract name, first contract name and Python name."""
    first: dict[str, str] = {}
    for location, name, python_name in names:
        if python_name in first:
            yield location, name, first[python_name], python_name
        first.setdefault(python_name, name)
