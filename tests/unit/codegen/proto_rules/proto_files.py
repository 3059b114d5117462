"""Protobuf files of tests, compiled in the process."""

from pathlib import Path

import grpc_tools
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_tools import protoc

from codegen.errors import ContractErrors
from codegen.proto_rules.rules import check_files
from codegen.proto_rules.subjects import check_subjects
from codegen.protobuf import parse_image
from tests.conftest import ROOT

IMPORTS = "".join(
    f'import "google/protobuf/{name}.proto";\n'
    for name in ("any", "descriptor", "duration", "empty", "field_mask", "struct", "timestamp", "wrappers")
)
METHOD_OPTION = "{ option (delivery.options.v1.method) = {callers: [CALLER_GATEWAY] timeout: {seconds: 1}}; }"


def compile_files(folder: Path, files: dict[str, str]) -> bytes:
    """Return the image of the files and of their imports."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    image = folder / "image.binpb"
    library = Path(grpc_tools.__file__).parent / "_proto"
    paths = [f"-I{each}" for each in (folder, ROOT / "api-specs/proto", library)]
    options = ["--include_imports", "--include_source_info", f"--descriptor_set_out={image}"]
    assert protoc.main(["protoc", *paths, *options, *files]) == 0
    return image.read_bytes()


def render_file(package: str, body: str, syntax: str = 'syntax = "proto3"') -> str:
    """Return a file whose body begins at line 12."""
    return f'{syntax};\npackage {package};\nimport "delivery/options/v1/options.proto";\n{IMPORTS}{body}\n'


def load_descriptors(image: bytes) -> tuple[FileDescriptorSet, DescriptorPool]:
    """Return the files of an image, and a pool of them."""
    descriptors, pool = FileDescriptorSet.FromString(image), DescriptorPool()
    for file in descriptors.file:
        pool.Add(file)
    return descriptors, pool


def find_errors(folder: Path, text: str) -> list[str]:
    """Return the errors of a file, from its line on."""
    image = compile_files(folder, {"a.proto": text})
    descriptors, pool = load_descriptors(image)
    errors = ContractErrors()
    with errors.collect():
        check_files(descriptors, pool)
    with errors.collect():
        check_subjects(parse_image(image).events, pool)
    return [message.removeprefix("api-specs/proto/a.proto") for message in errors.messages]
