"""betterproto2 messages for every protobuf package that travels, and the descriptors of all packages."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from google.protobuf.compiler.plugin_pb2 import CodeGeneratorRequest, CodeGeneratorResponse
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

from codegen.contracts import ContractError, Contracts, Files
from codegen.protobuf import OPTIONS_PACKAGE

OUTPUT_FOLDER = "proto"
"""Where the messages go: `generated/proto/delivery/orders/v1/__init__.py`."""

EXCLUDED_FILES = ("google/protobuf/descriptor.proto",)
"""Imported for our options only. As messages it would be 2,000 lines that nobody reads."""


def generate(contracts: Contracts) -> Files:
    """Runs betterproto2's compiler. It writes messages only: servicers and stubs are ours (`codegen/rpc/servicers.py`)."""
    files: Files = {
        f"{OUTPUT_FOLDER}/{file.name}": file.content for file in compile_messages(contracts.protos.descriptors).file
    }
    descriptors = _strip_comments(contracts.protos.descriptors)
    return files | {"descriptors.binpb": descriptors.SerializeToString(deterministic=True)}


def compile_messages(descriptors: FileDescriptorSet) -> CodeGeneratorResponse:
    """The modules of all packages that travel, as betterproto2's compiler writes them."""
    travelling = [
        _strip_imports_and_options(file)
        for file in descriptors.file
        if file.package != OPTIONS_PACKAGE and file.name not in EXCLUDED_FILES
    ]
    request = CodeGeneratorRequest(
        file_to_generate=[file.name for file in travelling],
        parameter="client_generation=none,server_generation=none",
        proto_file=travelling,
    )
    scripts = Path(sys.executable).parent
    # The compiler calls `ruff` from the PATH, and ruff obeys whatever configuration lies above the working directory.
    with tempfile.TemporaryDirectory() as nowhere:
        done = subprocess.run(
            [scripts / "protoc-gen-python_betterproto2"],
            input=request.SerializeToString(),
            capture_output=True,
            cwd=nowhere,
            env={**os.environ, "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}", "RUFF_NO_CACHE": "true"},
        )
    if done.returncode:
        raise ContractError(f"betterproto2's compiler failed:\n{done.stderr.decode().strip()}")
    return CodeGeneratorResponse.FromString(done.stdout)


def _strip_imports_and_options(file: FileDescriptorProto) -> FileDescriptorProto:
    """The file without imports and options, so that the compiler does not look for what it is not given."""
    copy = FileDescriptorProto()
    copy.CopyFrom(file)
    copy.ClearField("dependency")
    for message in copy.message_type:
        message.ClearField("options")
    for service in copy.service:
        for method in service.method:
            method.ClearField("options")
    return copy


def _strip_comments(descriptors: FileDescriptorSet) -> FileDescriptorSet:
    """What servers need for reflection: shapes and options."""
    copy = FileDescriptorSet()
    copy.CopyFrom(descriptors)
    for file in copy.file:
        file.ClearField("source_code_info")
    return copy
