"""Generator of betterproto2 messages for all packages except the options, and of the descriptor set."""

import base64
import os
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from google.protobuf.compiler.plugin_pb2 import CodeGeneratorRequest, CodeGeneratorResponse
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto, FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool

from codegen.contracts import ContractError, Contracts, Files
from codegen.proto_rules.locations import is_options_package
from codegen.rpc.python_names import get_attribute_name
from codegen.tool_cache import get_or_create

OUTPUT_FOLDER = "proto"
"""Folder of the messages: `proto/library/loans/v1/__init__.py`."""

EXCLUDED_FILES = ("google/protobuf/descriptor.proto",)
"""Files that only the options import, so their messages are not needed."""


def generate(contracts: Contracts) -> Files:
    """Generate the messages with betterproto2's compiler; `codegen/rpc/servicers.py` generates servicers and stubs."""
    files: Files = {
        f"{OUTPUT_FOLDER}/{file.name}": file.content for file in compile_messages(contracts.protos.descriptors).file
    }
    descriptors = _strip_comments(contracts.protos.descriptors)
    return files | {"descriptors.binpb": descriptors.SerializeToString(deterministic=True)}


def compile_messages(descriptors: FileDescriptorSet) -> CodeGeneratorResponse:
    """Compile the modules of all packages except the options; the output of the compiler is cached."""
    pool = DescriptorPool()
    for file in descriptors.file:
        pool.Add(file)
    files = [
        _prepare_file(file, pool)
        for file in descriptors.file
        if not is_options_package(file.package) and file.name not in EXCLUDED_FILES
    ]
    request = CodeGeneratorRequest(
        file_to_generate=[file.name for file in files],
        parameter="client_generation=none,server_generation=none",
        proto_file=files,
    ).SerializeToString(deterministic=True)
    versions = [f"{name} {version(name)}" for name in ("betterproto2_compiler", "ruff")]
    response = get_or_create(
        *versions, base64.b64encode(request).decode(), create=lambda: base64.b64encode(_run_compiler(request)).decode()
    )
    return CodeGeneratorResponse.FromString(base64.b64decode(response))


def _run_compiler(request: bytes) -> bytes:
    scripts = Path(sys.executable).parent
    # The compiler runs `ruff` from the PATH, which would read a configuration above the working directory.
    with tempfile.TemporaryDirectory() as folder:
        result = subprocess.run(
            [scripts / "protoc-gen-python_betterproto2"],
            input=request,
            capture_output=True,
            check=False,
            cwd=folder,
            env={**os.environ, "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}", "RUFF_NO_CACHE": "true"},
        )
    if result.returncode:
        raise ContractError(f"betterproto2's compiler failed:\n{result.stderr.decode().strip()}")
    return result.stdout


def _prepare_file(file: FileDescriptorProto, pool: DescriptorPool) -> FileDescriptorProto:
    """Return the file as the compiler needs it.

    Imports and options refer to files that it does not receive. It knows presence only in the form of proto3, and no
    attribute may have a name that the class itself uses.
    """
    copy = FileDescriptorProto()
    copy.CopyFrom(file)
    copy.ClearField("dependency")
    for message in copy.message_type:
        _prepare_fields(message, pool.FindMessageTypeByName(f"{file.package}.{message.name}".removeprefix(".")))
        message.ClearField("options")
    for service in copy.service:
        for method in service.method:
            method.ClearField("options")
    return copy


def _prepare_fields(message: DescriptorProto, descriptor: Descriptor) -> None:
    for nested in message.nested_type:
        if not nested.options.map_entry:
            _prepare_fields(nested, descriptor.nested_types_by_name[nested.name])
    for proto in message.field:
        field: FieldDescriptor = descriptor.fields_by_number[proto.number]
        if field.has_presence and field.message_type is None and field.containing_oneof is None:
            proto.proto3_optional = True
        attribute = get_attribute_name(proto.name)
        if attribute.removesuffix("_") == proto.name:
            proto.name = attribute


def _strip_comments(descriptors: FileDescriptorSet) -> FileDescriptorSet:
    """Return the descriptors without comments, as servers need them for reflection."""
    copy = FileDescriptorSet()
    copy.CopyFrom(descriptors)
    for file in copy.file:
        file.ClearField("source_code_info")
    return copy
