"""Rules of the protobuf files, beyond those of protobuf itself, without which no correct code can be generated."""

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool

from codegen.errors import ContractErrors
from codegen.proto_rules import fields, names
from codegen.proto_rules.locations import list_own_files


def check_files(descriptors: FileDescriptorSet, pool: DescriptorPool) -> None:
    """Raise ContractError with all violations, each with its file and line."""
    errors = ContractErrors()
    files = list_own_files(descriptors)
    for rule in (names.find_violations, fields.find_violations):
        for message in rule(files, pool):
            errors.add(message)
    errors.raise_if_any()
