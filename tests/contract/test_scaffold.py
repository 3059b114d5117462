"""Scaffolded services with the shortest and the longest names, after the formatter has run."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from codegen.scaffold.edits import load_edits
from codegen.scaffold.service import TEMPLATES, create_service, delete_service
from tests.conftest import ROOT

RUFF = str(Path(sys.executable).with_name("ruff"))


@pytest.mark.parametrize("name", ["ab", "abcdefghijklmnopqrst"])
def test_formatted_service_has_no_long_line_and_can_be_deleted(tmp_path: Path, name: str) -> None:
    files = {edit.file for edit in load_edits(TEMPLATES / "edits.yaml")} | {"pyproject.toml"}
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / file, tmp_path / file)
    created = create_service(tmp_path, name)
    modules = [path for path in created if path.endswith(".py")]
    for command in (["format", "--quiet"], ["check", "--quiet", "--select=E501"]):
        subprocess.run([RUFF, *command, "--no-cache", *modules], cwd=tmp_path, check=True)
    delete_service(tmp_path, name)
    assert {file for file in files if (tmp_path / file).read_bytes() != (ROOT / file).read_bytes()} == set()
