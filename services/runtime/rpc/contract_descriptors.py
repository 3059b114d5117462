"""Descriptors of the protobuf contract, read from `generated/descriptors.binpb`."""

from collections.abc import Sequence
from functools import cache
from importlib import resources

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool


def load_contract_files() -> Sequence[FileDescriptorProto]:
    """Return the protobuf files of the contract in order of dependency, with the options of their methods."""
    return FileDescriptorSet.FromString(resources.files("generated").joinpath("descriptors.binpb").read_bytes()).file


@cache
def get_descriptor_pool() -> DescriptorPool:
    """Return the pool of the contract's descriptors."""
    pool = DescriptorPool()
    for file in load_contract_files():
        pool.Add(file)
    return pool
