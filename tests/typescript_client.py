"""Helpers for tests of the TypeScript client: Node, and the client compiled below `.local/`."""

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

from tests.conftest import ROOT


def run_node(*arguments: str, timeout_s: float = 60, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Node at the root of the repository."""
    program = shutil.which("node")
    assert program, "Node is missing"
    return subprocess.run(
        [program, *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout_s,
        encoding="utf-8",
    )


@cache
def compile_client() -> Path:
    """Compile the client and return its folder; a compiler error fails the test."""
    folder = ROOT / ".local/typescript"
    shutil.rmtree(folder, ignore_errors=True)
    done = run_node("node_modules/typescript/bin/tsc", "-p", "generated/typescript", "--outDir", str(folder))
    assert done.returncode == 0, done.stdout
    return folder
