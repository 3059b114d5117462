"""Provenance of benchmark results: build of the interpreter, machine, versions and commit."""

import os
import subprocess
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from bench.provenance import Provenance, describe_build, read_commit, read_environment, read_provenance


@pytest.mark.parametrize(
    ("arguments", "build"),
    [
        ("'--enable-optimizations' '--with-lto'", "with PGO, with LTO"),
        ("'--enable-optimizations' '--enable-shared'", "with PGO, without LTO"),
        ("", "without PGO, without LTO"),
    ],
)
def test_build_of_interpreter_is_described(arguments: str, build: str) -> None:
    assert describe_build(arguments) == build


def test_description_of_environment_contains_build_and_versions() -> None:
    text = read_environment().describe()
    assert "PGO, with" in text
    assert "LTO)" in text
    assert "uvicorn " in text


@pytest.mark.parametrize(
    ("count", "text"), [(8, "8 shared processors ("), (1, "1 processor ("), (None, "1 processor (")]
)
def test_number_of_processors_is_that_of_the_machine(
    monkeypatch: pytest.MonkeyPatch, count: int | None, text: str
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: count)
    assert read_environment().describe().startswith(text)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a repository with one commit."""
    (tmp_path / "docs").mkdir()
    for name in ("code.py", "docs/page.md"):
        (tmp_path / name).write_text("1\n", encoding="utf-8")
    identity = ("-c", "user.name=Test", "-c", "user.email=test@delivery.test")
    for command in (("init", "-q"), ("add", "."), (*identity, "commit", "-q", "-m", "test: add files")):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True, capture_output=True)
    return tmp_path


def test_commit_of_unchanged_files_is_its_short_hash(repository: Path) -> None:
    command = ["git", "-C", str(repository), "rev-parse", "HEAD"]
    full_hash = subprocess.run(command, check=True, capture_output=True, text=True, encoding="utf-8").stdout
    commit = read_commit(repository)
    assert len(commit) >= 4
    assert full_hash.startswith(commit)


def test_commit_of_changed_code_has_a_suffix(repository: Path) -> None:
    unchanged = read_commit(repository)
    (repository / "code.py").write_text("2\n", encoding="utf-8")
    assert read_commit(repository) == f"{unchanged}+changes"


def test_changed_documentation_does_not_mark_the_commit(repository: Path) -> None:
    unchanged = read_commit(repository)
    (repository / "docs/page.md").write_text("2\n", encoding="utf-8")
    (repository / "untracked").write_text("1\n", encoding="utf-8")
    assert read_commit(repository) == unchanged


def test_commit_outside_a_repository_is_unknown(tmp_path: Path) -> None:
    assert read_commit(tmp_path) == "unknown"


def test_other_commit_at_the_end_of_a_measurement_is_marked() -> None:
    provenance = replace(read_provenance(), commit="1234567")
    assert provenance.mark_changes("1234567") == provenance
    assert provenance.mark_changes("7654321").commit == "1234567+changes"
    assert provenance.mark_changes("1234567+changes").commit == "1234567+changes"
    assert replace(provenance, commit="1234567+changes").mark_changes("7654321").commit == "1234567+changes"


def test_provenance_is_restored_from_its_saved_form() -> None:
    provenance = read_provenance()
    assert Provenance.from_dict(asdict(provenance)) == provenance
