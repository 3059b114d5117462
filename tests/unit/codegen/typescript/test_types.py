"""Types of the TypeScript client: a process that is started early, or on demand, and its end."""

import json
import os
from pathlib import Path

import pytest

from codegen import tool_cache
from codegen.contracts import ContractError
from codegen.typescript import types

TOOL = """
process.stdin.on("data", (text) => {
  if (text.includes("invalid")) { console.error("no types"); process.exit(1); }
  console.log(`${process.argv.slice(2)} ${text}`);
});
"""
SPECIFICATION, OUTPUT = "api-specs/openapi/library.yaml", types.OUTPUT


@pytest.fixture(autouse=True)
def _tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the tool by one that starts faster, with an empty cache."""
    folder = tmp_path / "tool"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin/cli.js").write_text(TOOL, encoding="utf-8")
    (folder / "package.json").write_text('{"version": "1.0.0"}', encoding="utf-8")
    monkeypatch.setattr(types, "OPENAPI_TYPESCRIPT", folder)
    monkeypatch.setattr(tool_cache, "CACHE_FOLDER", tmp_path / "cache")


def write(root: Path, name: str, modified_at: int) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    os.utime(path, (modified_at, modified_at))


@pytest.mark.parametrize(("specification", "output", "expected"), [(2, 1, True), (1, 2, False), (1, None, True)])
def test_types_are_outdated_if_a_specification_is_newer(
    tmp_path: Path, specification: int, output: int | None, expected: bool
) -> None:
    write(tmp_path, SPECIFICATION, specification)
    if output is not None:
        write(tmp_path, OUTPUT, output)
    assert types.is_outdated(tmp_path) is expected


def test_process_that_was_started_early_generates_the_types(tmp_path: Path) -> None:
    write(tmp_path, SPECIFICATION, 1)
    document = {"info": {"title": "Library"}}
    with types.start_early(tmp_path):
        [process] = types._waiting
        assert types.generate_types(document) == f"--alphabetize {json.dumps(document)}\n"
        assert process.poll() == 0


def test_unused_process_is_ended(tmp_path: Path) -> None:
    write(tmp_path, SPECIFICATION, 1)
    with types.start_early(tmp_path):
        [process] = types._waiting
        assert process.poll() is None
    assert process.poll() is not None


def test_no_process_is_started_if_types_are_current(tmp_path: Path) -> None:
    write(tmp_path, SPECIFICATION, 1)
    write(tmp_path, OUTPUT, 2)
    with types.start_early(tmp_path):
        assert types._waiting == []
        assert types.generate_types({"a": 1}) == '--alphabetize {"a": 1}\n'


def test_failure_of_the_tool_is_a_contract_error() -> None:
    with pytest.raises(ContractError, match="openapi-typescript failed: no types"):
        types.generate_types({"invalid": 1})
