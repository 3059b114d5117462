"""Creation of the database cluster, with a simulated initdb. test_local_servers.py starts the servers."""

import os
import subprocess
from pathlib import Path

import pytest

from deploy.local.infrastructure import servers
from deploy.local.mesh_config import MeshConfig
from deploy.local.pki.secrets import Secrets
from deploy.local.supervisor.process import ProcessSpec

INITDB = """#!/bin/sh
echo 18 >"$2/PG_VERSION"
[ ! -e killed ] || kill -KILL $$
echo complete >"$2/postgresql.conf"
"""


@pytest.fixture
def config(tmp_path: Path) -> MeshConfig:
    return MeshConfig({"DELIVERY_STATE": str(tmp_path)})


@pytest.fixture
def specification(config: MeshConfig, monkeypatch: pytest.MonkeyPatch) -> ProcessSpec:
    """Return the specification of PostgreSQL, whose initdb is killed while the file `killed` exists."""
    programs = config.ensure_subdirectory("programs")
    (programs / "initdb").write_text(INITDB, encoding="utf-8")
    (programs / "initdb").chmod(0o755)
    monkeypatch.setattr(servers, "POSTGRES_BIN_DIR", programs)
    monkeypatch.setattr(servers, "choose_unprivileged_user", lambda _: ([], None))
    return servers.define_postgres(config, Secrets(config))


def prepare(specification: ProcessSpec) -> None:
    assert specification.before_start is not None
    specification.before_start()


def test_database_of_a_killed_initdb_is_created_again(config: MeshConfig, specification: ProcessSpec) -> None:
    (config.folder / "killed").touch()
    with pytest.raises(subprocess.CalledProcessError):
        prepare(specification)
    (config.folder / "killed").unlink()
    prepare(specification)
    assert (config.folder / "postgres/postgresql.conf").read_text(encoding="utf-8") == "complete\n"
    assert not [*config.folder.glob("postgres.*")]


def test_complete_database_is_left_unchanged(config: MeshConfig, specification: ProcessSpec) -> None:
    prepare(specification)
    (config.folder / "postgres/table").touch()
    inode = (config.folder / "postgres").stat().st_ino
    prepare(specification)
    assert (config.folder / "postgres/table").exists()
    assert (config.folder / "postgres").stat().st_ino == inode


def test_name_of_the_complete_database_is_written_to_disk(
    config: MeshConfig, specification: ProcessSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents: list[set[str]] = []

    def sync(descriptor: int) -> None:
        if os.path.sameopenfile(descriptor, folder):
            contents.append({path.name for path in config.folder.iterdir()})

    folder = os.open(config.folder, os.O_RDONLY)
    try:
        monkeypatch.setattr(os, "fsync", sync)
        prepare(specification)
    finally:
        os.close(folder)
    assert "postgres" in contents[-1]
    assert "postgres.new" not in contents[-1]
