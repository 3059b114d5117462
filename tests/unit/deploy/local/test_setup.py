"""setup.sh: error messages for missing prerequisites, and no output if everything is installed.

The script runs in a temporary checkout with a PATH that contains only stubs, so it installs nothing.
"""

import fcntl
import hashlib
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from deploy.local.mesh_config import ROOT
from tests.unprivileged_user import UNPRIVILEGED_PREFIX

TOOLS = ("dirname", "mkdir", "cat", "sha256sum", "id", "rm", "flock")
"""Programs of the machine that the script may use."""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a checkout with the files that setup.sh reads, and a folder `bin` that is the whole PATH."""
    script = tmp_path / "deploy/local/setup.sh"
    script.parent.mkdir(parents=True)
    shutil.copy(ROOT / "deploy/local/setup.sh", script)
    (tmp_path / ".python-version").write_text("3.13\n", encoding="utf-8")
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements/dev.txt").write_text("", encoding="utf-8")
    (tmp_path / "package-lock.json").write_text("{}", encoding="utf-8")
    (tmp_path / "bin").mkdir()
    for name in TOOLS:
        path = shutil.which(name)
        assert path is not None
        (tmp_path / "bin" / name).symlink_to(path)
    return tmp_path


def write_program(path: Path, script: str = "exit 0") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)


def run_setup(project: Path, prefix: Sequence[str] = (), **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*prefix, "/bin/sh", str(project / "deploy/local/setup.sh")],
        env={"PATH": str(project / "bin"), "HOME": str(project), **variables},
        capture_output=True,
        text=True,
        check=False,
        encoding="utf-8",
    )


def mark_installed(project: Path, interpreter: str = "") -> None:
    """Create the virtual environment of an interpreter and the Node packages as setup.sh would."""
    write_program(project / ".venv/bin/python", f"echo '{interpreter}'" if interpreter else "exit 0")
    files = b"3.13\n" + (project / "deploy/local/setup.sh").read_bytes()
    venv_checksum = hashlib.sha256(files + interpreter.encode()).hexdigest()
    (project / ".local/setup").mkdir(parents=True)
    (project / ".local/setup/venv").write_text(f"{venv_checksum}  -", encoding="utf-8")
    (project / "node_modules").mkdir()
    node_checksum = hashlib.sha256(b"{}").hexdigest()
    (project / ".local/setup/node").write_text(f"{node_checksum}  package-lock.json", encoding="utf-8")


def test_missing_python_is_reported_in_one_line(project: Path) -> None:
    result = run_setup(project)
    assert result.returncode == 1
    assert result.stderr == "setup: Python 3.13 is missing; install it and run this again.\n"


def test_older_python_is_rejected(project: Path) -> None:
    write_program(project / "bin/python3", "echo False")
    assert "Python 3.13 is missing" in run_setup(project).stderr


def test_failing_python_shim_is_rejected(project: Path) -> None:
    write_program(project / "bin/python3.13", "exit 127")
    assert "Python 3.13 is missing" in run_setup(project).stderr


def test_missing_packages_without_apt_are_reported(project: Path) -> None:
    mark_installed(project)
    result = run_setup(project)
    assert result.returncode == 1
    assert "there is no apt-get to install them" in result.stderr
    assert "memcached" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_missing_library_of_mongod_is_reported(project: Path) -> None:
    script = project / "deploy/local/setup.sh"
    script.write_text(
        script.read_text(encoding="utf-8").replace("has_library libcurl.so.4 ", "has_library libmissing.so "),
        encoding="utf-8",
    )
    mark_installed(project)
    write_program(project / "bin/memcached")
    result = run_setup(project)
    assert result.returncode == 1
    assert result.stderr.endswith("there is no apt-get to install them: libcurl4\n")


def test_setup_is_silent_when_up_to_date(project: Path) -> None:
    mark_installed(project)
    write_program(project / "bin/memcached")
    result = run_setup(project)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_changed_requirements_are_installed_with_require_hashes(project: Path) -> None:
    mark_installed(project)
    write_program(project / "bin/python3.13", "echo True")
    write_program(project / "bin/uv", 'echo "$@" >>calls')
    (project / "requirements/dev.txt").write_text("changed==1\n", encoding="utf-8")
    run_setup(project)
    calls = (project / "calls").read_text(encoding="utf-8")
    assert calls == "pip sync -q --compile-bytecode --python .venv/bin/python --require-hashes requirements/dev.txt\n"
    run_setup(project)
    assert (project / "calls").read_text(encoding="utf-8") == calls


def test_failed_installation_is_retried(project: Path) -> None:
    mark_installed(project)
    write_program(project / "bin/python3.13", "echo True")
    write_program(project / "bin/uv", "exit 1")
    (project / "requirements/dev.txt").write_text("changed==1\n", encoding="utf-8")
    for _ in range(2):
        result = run_setup(project)
        assert result.returncode == 1
        assert "the Python packages could not be installed" in result.stderr


OLD_INTERPRETER, NEW_INTERPRETER = "/old/python3.13\n3.13.0 (main)", "/new/python3.13\n3.13.9 (main)"
"""Paths and versions that the stubs of two interpreters print."""


def write_interpreters(project: Path) -> str:
    """Create a virtual environment of the old interpreter, and return the path of the new one.

    The stub of uv records its calls in the file `calls` and creates environments of the new interpreter.
    """
    mark_installed(project, OLD_INTERPRETER)
    write_program(project / "bin/memcached")
    write_program(
        project / "bin/uv", 'echo "$@" >>calls; if [ "$1" = venv ]; then mkdir -p .venv; mv bin.new .venv/bin; fi'
    )
    (project / "bin/mv").symlink_to(shutil.which("mv") or "mv")
    write_program(project / "bin.new/python", f"echo '{NEW_INTERPRETER}'")
    write_program(project / "new/python", f"echo '{NEW_INTERPRETER}'")
    return str(project / "new/python")


def test_selected_interpreter_replaces_the_virtual_environment(project: Path) -> None:
    python = write_interpreters(project)
    (project / ".venv/old").touch()
    result = run_setup(project, PYTHON=python)
    assert (result.returncode, result.stderr) == (0, "setup: creating the virtual environment\n")
    venv, sync = (project / "calls").read_text(encoding="utf-8").splitlines()
    assert venv == "venv -q --python /new/python3.13 .venv"
    assert sync.startswith("pip sync ")
    assert not (project / ".venv/old").exists()


@pytest.mark.parametrize("is_selected_again", [True, False])
def test_selected_interpreter_remains(project: Path, is_selected_again: bool) -> None:
    python = write_interpreters(project)
    run_setup(project, PYTHON=python)
    calls = (project / "calls").read_text(encoding="utf-8")
    result = run_setup(project, PYTHON=python if is_selected_again else "")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert (project / "calls").read_text(encoding="utf-8") == calls


def test_interpreter_of_existing_environment_remains_without_selection(project: Path) -> None:
    write_interpreters(project)
    assert run_setup(project).stderr == ""
    assert run_setup(project, PYTHON=".venv/bin/python").stderr == ""
    assert not (project / "calls").exists()


def test_new_version_at_the_same_path_repeats_the_installation(project: Path) -> None:
    write_interpreters(project)
    write_program(project / ".venv/bin/python", f"echo '{OLD_INTERPRETER.replace('3.13.0', '3.13.1')}'")
    run_setup(project, PYTHON=".venv/bin/python")
    assert (project / "calls").read_text(encoding="utf-8").startswith("pip sync ")


def test_selected_interpreter_does_not_change_a_linked_environment(project: Path) -> None:
    python = write_interpreters(project)
    (project / ".venv").rename(project / "other")
    (project / ".venv").symlink_to(project / "other")
    run_setup(project, PYTHON=python)
    assert (project / "other/bin/python").exists()
    assert (project / "calls").read_text(encoding="utf-8").startswith("venv ")


def test_missing_interpreter_is_reported_in_one_sentence(project: Path) -> None:
    write_interpreters(project)
    result = run_setup(project, PYTHON="/nowhere/python")
    message = "PYTHON=/nowhere/python is missing; set PYTHON to an interpreter of Python 3.13."
    assert (result.returncode, result.stderr) == (1, f"setup: {message}\n")


@pytest.mark.parametrize("script", ["exit 1", "echo not Python >&2; exit 127"])
def test_interpreter_of_another_version_is_reported(project: Path, script: str) -> None:
    write_interpreters(project)
    write_program(project / "bin/python3.12", script)
    result = run_setup(project, PYTHON="python3.12")
    assert (result.returncode, result.stderr) == (1, "setup: PYTHON=python3.12 is not an interpreter of Python 3.13.\n")
    assert (project / ".venv/bin/python").exists()


def test_real_interpreter_of_another_version_is_rejected(project: Path) -> None:
    """The condition of the version, with the interpreter of this test: the script requires another version."""
    script = project / "deploy/local/setup.sh"
    text = script.read_text(encoding="utf-8")
    write_interpreters(project)
    assert "Python 3.13" not in run_setup(project, PYTHON=sys.executable).stderr
    script.write_text(text.replace("!= (3, 13)", "!= (3, 12)"), encoding="utf-8")
    assert "is not an interpreter of Python 3.13" in run_setup(project, PYTHON=sys.executable).stderr


def test_virtual_environment_is_described_by_its_base_interpreter(project: Path) -> None:
    write_interpreters(project)
    run_setup(project, PYTHON=sys.executable)
    base = Path(sys.executable).resolve()
    assert f"venv -q --python {base} .venv" in (project / "calls").read_text(encoding="utf-8")


def record_environment(project: Path) -> None:
    """Replace uv by a program that writes its environment to the file `environment`, and require an installation."""
    mark_installed(project)
    write_program(project / "bin/python3.13", "echo True")
    write_program(project / "bin/uv", "export -p >environment")
    (project / "requirements/dev.txt").write_text("changed==1\n", encoding="utf-8")


def test_caches_are_below_local_without_writable_home(project: Path) -> None:
    record_environment(project)
    run_setup(project, HOME="/nonexistent")
    environment = (project / "environment").read_text(encoding="utf-8")
    for name, folder in (("UV_CACHE_DIR", "uv"), ("PIP_CACHE_DIR", "pip"), ("npm_config_cache", "npm")):
        assert f"{name}='{project}/.local/cache/{folder}'" in environment


@pytest.mark.parametrize("read_only_folder", ["", ".cache", ".npm"])
def test_user_without_writable_home_has_caches_below_local(project: Path, read_only_folder: str) -> None:
    home = project / "home"
    (home / read_only_folder).mkdir(parents=True)
    (home / read_only_folder).chmod(0o555)
    record_environment(project)
    write_program(
        project / "bin/uv", 'mkdir -p "${UV_CACHE_DIR:-$HOME/.cache/uv}" "${npm_config_cache:-$HOME/.npm/_x}"'
    )
    result = run_setup(project, UNPRIVILEGED_PREFIX, HOME=str(home))
    assert "the Python packages could not be installed" not in result.stderr
    assert {path.name for path in (project / ".local/cache").iterdir()} == {"uv", "npm"}
    assert [path for path in home.rglob("*") if path.name != read_only_folder] == []


def test_caches_are_the_default_with_writable_home(project: Path) -> None:
    record_environment(project)
    run_setup(project)
    assert "CACHE_DIR" not in (project / "environment").read_text(encoding="utf-8")


def test_settings_of_interpreters_do_not_reach_the_installation(project: Path) -> None:
    record_environment(project)
    run_setup(project, PYTHONHOME="/nonexistent", NODE_OPTIONS="--no-such-option", LC_ALL="de_DE.UTF-8")
    environment = (project / "environment").read_text(encoding="utf-8")
    assert "PYTHONHOME" not in environment
    assert "NODE_OPTIONS" not in environment
    assert "LC_ALL='C.UTF-8'" in environment


def test_second_setup_waits_for_the_first(project: Path) -> None:
    mark_installed(project)
    write_program(project / "bin/memcached")
    with (project / ".local/setup/lock").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        second = subprocess.Popen(
            ["/bin/sh", str(project / "deploy/local/setup.sh")],
            env={"PATH": str(project / "bin"), "HOME": str(project)},
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        assert second.stderr is not None
        assert second.stderr.readline() == "setup: waiting for another set-up\n"
        assert second.poll() is None
    assert second.communicate()[1] == ""
    assert second.returncode == 0


@pytest.mark.parametrize("name", [".venv", "node_modules"])
def test_link_to_packages_of_another_checkout_is_replaced(project: Path, name: str) -> None:
    mark_installed(project)
    other = project / "other"
    (project / name).rename(other)
    (other / "kept").touch()
    (project / name).symlink_to(other)
    write_program(project / "bin/memcached")
    assert run_setup(project).stderr == ""
    assert (project / name).is_symlink()
    (project / "package-lock.json").write_text('{"changed": true}', encoding="utf-8")
    (project / "requirements/dev.txt").write_text("changed==1\n", encoding="utf-8")
    write_program(project / "bin/python3.13", "echo True")
    write_program(project / "bin/uv", 'if [ "$1" = venv ]; then mkdir -p .venv/bin; fi')
    write_program(project / "bin/npm", "mkdir -p node_modules")
    write_program(project / "bin/node", "echo v22.12.0")
    result = run_setup(project)
    assert result.stderr.count(f"setup: replacing the link {'./' if name == 'node_modules' else ''}{name} by") == 1
    assert not (project / name).is_symlink()
    assert (other / "kept").exists()


def install_node_packages(project: Path, node_version: str) -> str:
    """Install the Node packages with a version of Node. Return the errors up to the missing Debian packages."""
    mark_installed(project)
    (project / "package-lock.json").write_text('{"changed": true}', encoding="utf-8")
    write_program(project / "bin/npm", "mkdir -p node_modules")
    write_program(project / "bin/node", f"echo {node_version}")
    write_program(project / "bin/memcached")
    return run_setup(project).stderr


@pytest.mark.parametrize("version", ["v18.19.1", "v20.18.3", "v21.7.3", "v22.2.0", "v22.11.0"])
def test_unsupported_node_is_reported_in_one_line(project: Path, version: str) -> None:
    expected = f"20.19 or a later 20, or 22.12 or later, is needed instead of {version}; install it and run this again."
    assert install_node_packages(project, version) == f"setup: Node {expected}\n"


@pytest.mark.parametrize("version", ["v20.19.0", "v20.20.2", "v22.12.0", "v22.20.0", "v24.0.0", "v30.1.0"])
def test_supported_node_installs_the_packages(project: Path, version: str) -> None:
    assert install_node_packages(project, version) == "setup: installing Node packages\n"
