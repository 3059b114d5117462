"""Command line of Schemathesis, with the settings and credentials of this folder."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.conftest import ROOT


def run_schemathesis(contract: str, environment: Mapping[str, str], output_dir: Path, *options: str) -> None:
    """Fuzz every operation of a contract, given as path or URL."""
    settings = (ROOT / "tests/fuzz/schemathesis.toml").read_text(encoding="utf-8")
    if "--seed" in options:
        settings = settings.replace("deterministic = true", "deterministic = false")
    configuration = output_dir / "schemathesis.toml"
    configuration.write_text(settings, encoding="utf-8")
    program = Path(sys.executable).with_name("schemathesis")
    command = [program, "--config-file", configuration, "run", contract, "--no-color", *options]
    completed = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, encoding="utf-8"
    )
    assert completed.returncode == 0, completed.stdout[-20_000:] + completed.stderr[-5_000:]
