"""gRPC server reflection (v1 and v1alpha) of the contract's descriptors."""

from collections.abc import Iterable
from typing import Any

import grpc
import grpc.aio
from google.protobuf import text_format
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_channelz.v1.channelz_pb2 import DESCRIPTOR as CHANNELZ
from grpc_health.v1.health_pb2 import DESCRIPTOR as HEALTH
from grpc_reflection.v1alpha import reflection
from grpc_reflection.v1alpha.reflection_pb2 import DESCRIPTOR as V1ALPHA
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest, ServerReflectionResponse

from services.runtime.rpc.contract_descriptors import load_contract_files

V1_SERVICE_NAME = "grpc.reflection.v1.ServerReflection"
V1ALPHA_SERVICE_NAME = reflection.SERVICE_NAME
STANDARD_SERVICES = ("grpc.channelz.v1.Channelz", "grpc.health.v1.Health", V1_SERVICE_NAME, V1ALPHA_SERVICE_NAME)


def register_reflection(server: grpc.aio.Server, services: Iterable[str]) -> None:
    """Register reflection under both names. The library implements v1alpha only, but both have the same wire format."""
    servicer = reflection.aio.ReflectionServicer(
        [*services, *STANDARD_SERVICES], build_descriptor_pool(load_contract_files())
    )
    handler = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        request_deserializer=ServerReflectionRequest.FromString,
        response_serializer=ServerReflectionResponse.SerializeToString,
    )
    for name in (V1_SERVICE_NAME, V1ALPHA_SERVICE_NAME):
        server.add_registered_method_handlers(name, {"ServerReflectionInfo": handler})


def build_descriptor_pool(contract_files: Iterable[FileDescriptorProto]) -> DescriptorPool:
    """Return a pool of the contract's files and those of the standard services."""
    standard = (file for descriptor in (HEALTH, CHANNELZ, V1ALPHA) for file in collect_with_imports(descriptor))
    pool, added = DescriptorPool(), set[str]()
    for file in (*contract_files, *standard, build_v1_file()):
        if file.name not in added:
            added.add(file.name)
            pool.Add(file)
    return pool


def collect_with_imports(descriptor: Any) -> list[FileDescriptorProto]:
    """Return the file and its transitive imports in order of dependency."""
    file = FileDescriptorProto()
    descriptor.CopyToProto(file)
    return [*(each for imported in descriptor.dependencies for each in collect_with_imports(imported)), file]


def build_v1_file() -> FileDescriptorProto:
    """Return reflection.proto of v1, which differs from v1alpha in the package name only."""
    (file,) = collect_with_imports(V1ALPHA)
    text = text_format.MessageToString(file).replace("v1alpha", "v1")
    return text_format.Parse(text, FileDescriptorProto())
