"""Commands of the Makefile before the set-up."""

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
