"""Clock of a machine."""

import os
from pathlib import Path

import pytest

from deploy.local.mesh_config import MeshConfig
from tests.cluster import clock as clock_module
from tests.cluster.clock import Clock, remove_stale_shared_memory

UNUSED_PID = 2**22 + 1
"""Above the maximum pid of Linux."""


def test_offset_is_written_with_its_sign_and_readable_by_servers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = tmp_path / "lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"
    library.parent.mkdir(parents=True)
    library.touch()
    monkeypatch.setattr(clock_module, "LIBRARIES", tmp_path / "lib")
    clock = Clock(MeshConfig({"DELIVERY_STATE": str(tmp_path)}))
    environment = clock.build_environment()
    assert environment["LD_PRELOAD"] == str(library)
    path = Path(environment["FAKETIME_TIMESTAMP_FILE"])
    assert path.read_text(encoding="utf-8") == "+0\n"
    for offset_s, content in ((300, "+300\n"), (-300, "-300\n")):
        clock.set_offset_s(offset_s)
        assert path.read_text(encoding="utf-8") == content
    assert path.stat().st_mode & 0o777 == 0o644


def test_only_shared_memory_of_ended_processes_is_removed(tmp_path: Path) -> None:
    stale = [tmp_path / f"{name}_{UNUSED_PID}" for name in ("faketime_shm", "sem.faketime_sem")]
    others = [tmp_path / f"faketime_shm_{os.getpid()}", tmp_path / "PostgreSQL.1"]
    for path in (*stale, *others):
        path.touch()
    remove_stale_shared_memory(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted(others)
