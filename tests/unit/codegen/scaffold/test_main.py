"""Command line of the scaffold: errors in one sentence."""

import subprocess
import sys
from pathlib import Path

import pytest

from codegen.contracts import ContractError
from codegen.scaffold import __main__ as scaffold


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Return the commands that run; `codegen generate` fails."""
    commands: list[list[str]] = []

    def run(command: list[str], *, cwd: Path, check: bool) -> None:
        commands.append(command)
        assert (cwd, check) == (scaffold.ROOT, True)
        if "generate" in command:
            raise subprocess.CalledProcessError(1, command)

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(sys, "argv", ["codegen.scaffold", "delete", "sampleone"])
    return commands


def test_failed_generation_exits_with_one_sentence(monkeypatch: pytest.MonkeyPatch, commands: list[list[str]]) -> None:
    monkeypatch.setattr(scaffold, "delete_service", lambda _root, _name: ["services/sampleone/app.py"])
    with pytest.raises(SystemExit) as raised:
        scaffold.main()
    assert raised.value.code == (
        "deleted the files of the service sampleone, but this command failed: "
        f"{sys.executable} -m codegen generate; correct its errors, then run: make generate format"
    )
    assert len(commands) == 1


def test_rejected_deletion_runs_no_command(monkeypatch: pytest.MonkeyPatch, commands: list[list[str]]) -> None:
    def reject(_root: Path, name: str) -> list[str]:
        raise ContractError(f"the service {name} does not exist")

    monkeypatch.setattr(scaffold, "delete_service", reject)
    with pytest.raises(SystemExit, match="the service sampleone does not exist"):
        scaffold.main()
    assert commands == []
