"""Generation of betterproto2 messages and of the descriptor set."""

import ast
import subprocess
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.compiler.plugin_pb2 import CodeGeneratorRequest, CodeGeneratorResponse
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from codegen import tool_cache
from codegen.contracts import ContractError
from codegen.rpc import messages
from tests import sample

DESCRIPTORS = sample.load_contracts().protos.descriptors
FILES = messages.generate(sample.load_contracts())


def test_each_package_has_a_module_except_the_options() -> None:
    assert "proto/sample/v1/__init__.py" in FILES
    assert not [name for name in FILES if "options" in name]


def test_messages_and_enums_are_classes() -> None:
    module = ast.parse(str(FILES["proto/sample/v1/__init__.py"]))
    classes = {node.name for node in module.body if isinstance(node, ast.ClassDef)}
    assert {"EchoRequest", "EchoResponse", "Mood", "AllFields", "AllFieldsInner", "AllFieldsKind"} <= classes


def test_neither_clients_nor_servers_are_generated() -> None:
    module = ast.parse(str(FILES["proto/sample/v1/__init__.py"]))
    assert not [node.name for node in ast.walk(module) if isinstance(node, ast.ClassDef) and "Service" in node.name]


def test_comments_become_docstrings() -> None:
    module = ast.parse(str(FILES["proto/sample/v1/__init__.py"]))
    (request,) = (node for node in module.body if isinstance(node, ast.ClassDef) and node.name == "EchoRequest")
    assert (ast.get_docstring(request) or "").strip() == "Text to return."


def test_descriptor_set_contains_all_files_without_comments() -> None:
    content = FILES["descriptors.binpb"]
    assert isinstance(content, bytes)
    descriptors = FileDescriptorSet.FromString(content)
    assert [file.name for file in descriptors.file] == [file.name for file in DESCRIPTORS.file]
    assert not any(file.HasField("source_code_info") for file in descriptors.file)
    assert any(file.HasField("source_code_info") for file in DESCRIPTORS.file)


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[CodeGeneratorRequest]:
    """Record the requests to the compiler instead of running it, with an empty cache."""
    monkeypatch.setattr(tool_cache, "CACHE_FOLDER", tmp_path)
    recorded: list[CodeGeneratorRequest] = []

    def run(_command: list[Any], *, input: bytes, **_: Any) -> subprocess.CompletedProcess[bytes]:  # noqa: A002
        recorded.append(CodeGeneratorRequest.FromString(input))
        return subprocess.CompletedProcess([], 0, CodeGeneratorResponse().SerializeToString(), b"")

    monkeypatch.setattr(subprocess, "run", run)
    return recorded


def test_compiler_receives_files_without_imports_and_options(requests: list[CodeGeneratorRequest]) -> None:
    messages.compile_messages(DESCRIPTORS)
    (request,) = requests
    assert list(request.file_to_generate) == [file.name for file in request.proto_file]
    assert "sample/v1/sample.proto" in request.file_to_generate
    assert not {"google/protobuf/descriptor.proto", "delivery/options/v1/options.proto"} & set(request.file_to_generate)
    for file in request.proto_file:
        assert not file.dependency
        assert not any(message.HasField("options") for message in file.message_type)
        assert not any(method.HasField("options") for service in file.service for method in service.method)


def test_comments_are_passed_to_the_compiler(requests: list[CodeGeneratorRequest]) -> None:
    messages.compile_messages(DESCRIPTORS)
    (file,) = (each for each in requests[0].proto_file if each.package == "sample.v1")
    assert file.HasField("source_code_info")


def test_descriptors_are_not_modified(requests: list[CodeGeneratorRequest]) -> None:
    before = DESCRIPTORS.SerializeToString(deterministic=True)
    messages.generate(sample.load_contracts())
    assert DESCRIPTORS.SerializeToString(deterministic=True) == before
    assert len(requests) == 1


def test_unchanged_files_are_compiled_once(requests: list[CodeGeneratorRequest]) -> None:
    first, second = messages.compile_messages(DESCRIPTORS), messages.compile_messages(DESCRIPTORS)
    assert first == second
    assert len(requests) == 1


def test_failure_of_the_compiler_raises_contract_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tool_cache, "CACHE_FOLDER", tmp_path)
    failed = subprocess.CompletedProcess([], 1, b"", b"  line 3: unknown type\n")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(ContractError, match=r"compiler failed:\nline 3: unknown type$"):
        messages.compile_messages(DESCRIPTORS)
