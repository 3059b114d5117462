"""Mounts that Docker Engine leaves, and the plugin of Compose."""

import os
import shutil
from pathlib import Path

import pytest

from tests.containers import docker
from tests.containers.docker import DockerEngine, DockerError, find_mounts, install_compose_plugin

MOUNTINFO = """22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 22 254:0 /x /srv/state rw - ext4 /dev/vda rw
31 22 0:4 net:[4026532281] /run/engine/netns/default rw - nsfs nsfs rw
32 22 0:5 / /run/engine rw - tmpfs tmpfs rw
33 22 0:5 / /run/engine-of-another rw - tmpfs tmpfs rw
"""


def test_mounts_below_the_folders_are_found_deepest_first() -> None:
    mounts = find_mounts(MOUNTINFO, (Path("/run/engine"), Path("/srv/state")))
    assert mounts == ["/run/engine/netns/default", "/run/engine", "/srv/state"]


def test_compose_plugin_links_to_the_installed_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", "")
    monkeypatch.setattr(shutil, "which", lambda name: f"/opt/{name}")
    for _ in range(2):
        install_compose_plugin(tmp_path)
    assert (tmp_path / "cli-plugins/docker-compose").readlink() == Path("/opt/docker-compose")
    assert os.environ["DOCKER_CONFIG"] == str(tmp_path)


def test_missing_compose_raises_docker_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(DockerError, match="make setup"):
        install_compose_plugin(tmp_path)


def test_missing_engine_raises_docker_error(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("COMPOSE_FILE", "COMPOSE_PROJECT_NAME"):
        monkeypatch.setenv(variable, "")
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    with pytest.raises(DockerError, match=r"docker\.io"), DockerEngine():
        pytest.fail("engine started")


def test_environment_is_restored_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A running engine whose docker has no plugin for Compose."""
    for name, script in (("docker", 'test "$1" != compose'), ("docker-compose", "true")):
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(docker, "STATE_DIR", tmp_path / "state")
    for name in docker.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_HOST", "unix:///run/engine.sock")
    with DockerEngine() as engine:
        assert not engine.is_own
        assert os.environ["DOCKER_CONFIG"] == str(tmp_path / "state/config")
        assert os.environ["COMPOSE_PROJECT_NAME"] == docker.COMPOSE_PROJECT
    assert {name: os.environ[name] for name in docker.VARIABLES if name in os.environ} == {
        "DOCKER_HOST": "unix:///run/engine.sock"
    }
