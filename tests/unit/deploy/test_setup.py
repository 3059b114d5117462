"""What must be there before anything of ours can run: one sentence when it is not, and silence when it is.

Each script runs in a folder of its own and finds only the programs it is given, so nothing is ever installed.
"""

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

from deploy.local.mesh_config import ROOT

TOOLS = ("dirname", "mkdir", "cat", "sha256sum", "id", "rm")
"""Programs that every machine has."""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A checkout with nothing but what setup reads, and a `bin` that is all of PATH."""
    script = tmp_path / "deploy/local/setup.sh"
    script.parent.mkdir(parents=True)
    shutil.copy(ROOT / "deploy/local/setup.sh", script)
    (tmp_path / ".python-version").write_text("3.13\n")
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements/dev.txt").write_text("")
    (tmp_path / "package-lock.json").write_text("{}")
    (tmp_path / "bin").mkdir()
    for name in TOOLS:
        found = shutil.which(name)
        assert found is not None
        (tmp_path / "bin" / name).symlink_to(found)
    return tmp_path


def program(path: Path, script: str = "exit 0") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def run(project: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", str(project / "deploy/local/setup.sh")],
        env={"PATH": str(project / "bin"), "HOME": str(project)},
        capture_output=True,
        text=True,
        check=False,
    )


def set_up(project: Path) -> None:
    """As if the virtual environment had been made, and Node's packages were there."""
    program(project / ".venv/bin/python")
    wanted = hashlib.sha256(b"3.13\n" + (project / "deploy/local/setup.sh").read_bytes()).hexdigest()
    (project / ".local/setup").mkdir(parents=True)
    (project / ".local/setup/venv").write_text(f"{wanted}  -")
    (project / "node_modules").mkdir()
    locked = hashlib.sha256(b"{}").hexdigest()
    (project / ".local/setup/node").write_text(f"{locked}  package-lock.json")


def test_a_machine_without_python_is_told_in_one_sentence(project: Path) -> None:
    done = run(project)
    assert done.returncode == 1
    assert done.stderr == "setup: Python 3.13 is missing; install it and run this again.\n"


def test_an_older_python_does_not_do(project: Path) -> None:
    program(project / "bin/python3", "echo False")
    assert "Python 3.13 is missing" in run(project).stderr


def test_a_shim_that_does_not_run_does_not_do(project: Path) -> None:
    program(project / "bin/python3.13", "exit 127")
    assert "Python 3.13 is missing" in run(project).stderr


def test_a_machine_without_apt_is_told_which_packages_are_missing(project: Path) -> None:
    set_up(project)
    done = run(project)
    assert done.returncode == 1
    assert "there is no apt-get to install them" in done.stderr
    assert "memcached" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_it_says_nothing_when_nothing_is_to_do(project: Path) -> None:
    set_up(project)
    program(project / "bin/memcached")
    done = run(project)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_changed_requirements_are_installed_with_their_hashes_checked(project: Path) -> None:
    set_up(project)
    program(project / "bin/python3.13", "echo True")
    program(project / "bin/uv", 'echo "$@" >>calls')
    (project / "requirements/dev.txt").write_text("changed==1\n")
    run(project)
    calls = (project / "calls").read_text()
    assert calls == "pip sync -q --compile-bytecode --python .venv/bin/python --require-hashes requirements/dev.txt\n"
    run(project)
    assert (project / "calls").read_text() == calls


def test_what_could_not_be_installed_is_tried_again(project: Path) -> None:
    set_up(project)
    program(project / "bin/python3.13", "echo True")
    program(project / "bin/uv", "exit 1")
    (project / "requirements/dev.txt").write_text("changed==1\n")
    for _ in range(2):
        done = run(project)
        assert done.returncode == 1
        assert "the Python packages could not be installed" in done.stderr
