"""Small file system for the data of PostgreSQL on a machine, which a fault fills.

It is mounted in the mount namespace of the supervisor, which `ip netns exec` creates. It ceases to exist with the last
process of the cluster, even if the supervisor is killed.
"""

import errno
import os
import subprocess
from pathlib import Path

from deploy.local.mesh_config import MeshConfig

SIZE = "768m"
"""Size for a copy of the database and its write-ahead log."""

CHUNK_BYTES = 1 << 20
BLOCK_BYTES = 4096


def mount_small_disk(config: MeshConfig) -> None:
    """Mount the file system on the folder of Patroni, in the mount namespace of this process."""
    folder = config.folder / "patroni"
    folder.mkdir(mode=0o700, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=700", "tmpfs", folder], check=True)


class SmallDisk:
    """File system of a machine. `root` is the root folder of the supervisor, such as /proc/1/root."""

    def __init__(self, config: MeshConfig, root: Path) -> None:
        self._path = root / (config.folder / "patroni/filler").relative_to("/")

    def fill(self) -> None:
        """Use all of the free space."""
        with self._path.open("ab") as file:
            for size in (CHUNK_BYTES, BLOCK_BYTES):
                while _extend(file.fileno(), size):
                    pass

    def free(self) -> None:
        """Free the space again."""
        self._path.unlink(missing_ok=True)


def _extend(descriptor: int, size: int) -> bool:
    """Extend a file. Return False if no space is left."""
    try:
        os.posix_fallocate(descriptor, os.fstat(descriptor).st_size, size)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        return False
    return True
