"""Temporary folders and simulated supervisors of the tests of deployment code."""

import subprocess
import tempfile
from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture(scope="session", autouse=True)
def temporary_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Place the socket folders of meshes with long paths in a folder that is removed after the tests."""
    tmp_path_factory.getbasetemp()  # pytest's own folder is not below it, since it outlives the tests
    with tempfile.TemporaryDirectory(prefix="delivery-tests-") as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", folder)
        yield


@pytest.fixture
def supervisors(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Return the processes that a test starts; each is a program that sleeps, as a supervisor without a state file."""
    started: list[subprocess.Popen[bytes]] = []
    popen = subprocess.Popen

    def start_sleep(_: object, **options: Any) -> subprocess.Popen[bytes]:
        started.append(popen(["sleep", "60"], **options))
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", start_sleep)
    yield started
    for process in started:
        process.kill()
        process.wait()
