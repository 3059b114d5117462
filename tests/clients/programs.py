"""Programs that the tests of clients run: generators, compilers and drivers, which order through the edge."""

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.conftest import ROOT

DRIVERS = Path(__file__).parent / "drivers"
TOOLS = ROOT / ".local/clients"
PYTHON, NODE_PACKAGES = TOOLS / "python/bin/python", TOOLS / "node/node_modules"

TIMEOUT_S = 300


def run(arguments: Sequence[str | Path], folder: Path, **environment: str) -> str:
    """Run a program in a folder and return its output. A failure fails the test with the output."""
    path = f"{TOOLS / 'python/bin'}:{NODE_PACKAGES / '.bin'}:{os.environ['PATH']}"
    result = subprocess.run(
        list(map(str, arguments)),
        cwd=folder,
        env=os.environ | {"PATH": path} | environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        timeout=TIMEOUT_S,
    )
    assert result.returncode == 0, f"{arguments}\n{result.stdout}\n{result.stderr}"
    return result.stdout


def assert_result(output: str) -> None:
    """Assert that the order was pending, and that its stream ended with its cancellation and then with 204."""
    result = json.loads(output.splitlines()[-1])
    assert (result["status"], result["ended"]) == ("pending", 204)
    assert "cancelled" in result["events"]
