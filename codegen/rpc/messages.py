"""Generator of betterproto2 messages for all packages except the options, and of the descriptor set."""

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
"""Folder of the messages: `proto/delivery/orders/v1/__init__.py`."""

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
    """Compile the modules of all packages except the options."""
    files = [
        _strip_imports_and_options(file)
        for file in descriptors.file
        if file.package != OPTIONS_PACKAGE and file.name not in EXCLUDED_FILES
    ]
    request = CodeGeneratorRequest(
        file_to_generate=[file.name for file in files],
        parameter="client_generation=none,server_generation=none",
        proto_file=files,
    )
    scripts = Path(sys.executable).parent
    # The compiler runs `ruff` from the PATH, which would read a configuration above the working directory.
    with tempfile.TemporaryDirectory() as folder:
        result = subprocess.run(
            [scripts / "protoc-gen-python_betterproto2"],
            input=request.SerializeToString(),
            capture_output=True,
            check=False,
            cwd=folder,
            env={**os.environ, "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}", "RUFF_NO_CACHE": "true"},
        )
    if result.returncode:
        raise ContractError(f"betterproto2's compiler failed:\n{result.stderr.decode().strip()}")
    return CodeGeneratorResponse.FromString(result.stdout)


def _strip_imports_and_options(file: FileDescriptorProto) -> FileDescriptorProto:
    """Return the file without imports and options, which refer to files that the compiler does not receive."""
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
    """Return the descriptors without comments, as servers need them for reflection."""
    copy = FileDescriptorSet()
    copy.CopyFrom(descriptors)
    for file in copy.file:
        file.ClearField("source_code_info")
    return copy
