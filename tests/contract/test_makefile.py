"""Commands of the Makefile before the set-up, and the interpreter of the set-up."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT


@pytest.mark.parametrize(
    ("target", "status", "output"),
    [
        ("down", 0, "the mesh is not running\n"),
        ("status", 2, "the mesh is not running; start it with: make up\n"),
    ],
)
def test_command_before_set_up_reports_that_nothing_runs(tmp_path: Path, target: str, status: int, output: str) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    result = subprocess.run(
        ["make", "--no-print-directory", target],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert (result.returncode, result.stdout) == (status, output)
    assert [path.name for path in tmp_path.iterdir()] == ["Makefile"]


@pytest.mark.parametrize(
    ("arguments", "variables"), [(["PYTHON=/a/python"], {}), ([], {"PYTHON": "/a/python"}), ([], {})]
)
def test_selected_interpreter_reaches_only_the_set_up(
    tmp_path: Path, arguments: list[str], variables: dict[str, str]
) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    for path in ("deploy/local/setup.sh", ".venv/bin/python"):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_text(f'#!/bin/sh\necho "{path} PYTHON=$PYTHON"\n', encoding="utf-8")
        (tmp_path / path).chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHON", "MAKEFLAGS")}
    output = subprocess.run(
        ["make", "--no-print-directory", "setup", *arguments],
        cwd=tmp_path,
        env=environment | variables,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
    ).stdout
    python = "/a/python" if arguments or variables else ""
    assert output == f"deploy/local/setup.sh PYTHON={python}\n.venv/bin/python PYTHON={python}\n"
