"""Clock of a simulated machine, whose processes read its offset from a file through libfaketime.

Programs of Go, such as etcd, do not use the library: their clocks are correct. Monotonic clocks are unchanged.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import psutil

from deploy.local.mesh_config import ROOT, MeshConfig

LIBRARIES = Path("/usr/lib")
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 (libfaketime creates its files here)
SHARED_MEMORY_PATTERN = re.compile(r"(sem\.)?faketime_(shm|sem)_(\d+)")


class Clock:
    """Clock of all processes on a machine."""

    def __init__(self, config: MeshConfig) -> None:
        self._path = config.folder / "clock"

    def build_environment(self) -> Mapping[str, str]:
        """Return the environment variables of processes that use this clock, and create its file."""
        self.set_offset_s(0)
        (library,) = LIBRARIES.glob("*/faketime/libfaketimeMT.so.1")
        return {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(self._path),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
            "PYTHONPATH": f"{Path(__file__).parent / 'faketime'}:{ROOT}",
        }

    def set_offset_s(self, offset_s: int) -> None:
        """Set the difference to the real time, in seconds. It takes effect within a second."""
        new = self._path.with_suffix(".new")
        new.write_text(f"{offset_s:+d}\n", encoding="utf-8")
        new.chmod(0o644)  # servers run as other users
        new.replace(self._path)


def remove_stale_shared_memory(folder: Path = SHARED_MEMORY) -> None:
    """Remove the shared memory of libfaketime in killed processes."""
    for path in folder.iterdir():
        if (match := SHARED_MEMORY_PATTERN.fullmatch(path.name)) and not psutil.pid_exists(int(match[3])):
            path.unlink(missing_ok=True)
