"""A copy of the repository to walk in, with a mesh of its own, on ports of its own."""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.local.mesh_config import MeshConfig
from deploy.local.supervisor.process import signal_process_group
from deploy.local.supervisor.supervisor_state import is_supervisor_alive, read_supervisor_state, stop_orphans
from tests.conftest import ROOT
from tests.docs import steps
from tests.wait import wait_until

PORT_OFFSET = 1300
EXCLUDED_PATTERNS = (
    ".git",
    ".local",
    ".venv",
    "node_modules",
    "__pycache__",
    ".*_cache",
    ".hypothesis",
    "htmlcov",
    "reports",
)
REMOVED_VARIABLES = ("DELIVERY_STATE", "MAKEFLAGS", "MAKELEVEL", "MFLAGS", "PYTHONPATH")
"""Variables of this process that would lead a walk back to this repository."""


@dataclass(frozen=True)
class DocRun:
    """A page that was walked: where its repository is, and where its mesh is reached."""

    root: Path
    environment: dict[str, str]
    edge_url: str = f"http://127.0.0.1:{8080 + PORT_OFFSET}"
    sandbox_url: str = f"http://127.0.0.1:{8090 + PORT_OFFSET}"

    def stop_mesh(self, state_dir: Path) -> None:
        """Ends a mesh of the copy, if there is one, without letting it drain: nobody waits for its answers."""
        state = MeshConfig(self.environment | {"DELIVERY_STATE": str(state_dir)})
        report = read_supervisor_state(state)
        if report is not None:
            signal_process_group(report.pid, report.start_time, signal.SIGKILL)
            wait_until("the supervisor is gone", lambda: not is_supervisor_alive(report))
            stop_orphans(state)


@contextmanager
def run_page(page: str) -> Iterator[DocRun]:
    """Walks a page of docs/ in a fresh copy, and takes down whatever it has booted."""
    with tempfile.TemporaryDirectory(prefix="walk-", dir="/tmp") as folder:
        root = Path(folder) / "delivery"
        shutil.copytree(ROOT, root, ignore=shutil.ignore_patterns(*EXCLUDED_PATTERNS))
        for shared in (".venv", "node_modules", ".local/uv", ".local/setup", ".local/codegen"):
            (root / shared).parent.mkdir(exist_ok=True)
            if (ROOT / shared).exists():
                (root / shared).symlink_to(ROOT / shared)
        kept = {name: value for name, value in os.environ.items() if name not in REMOVED_VARIABLES}
        walked = DocRun(root, kept | {"PORT_OFFSET": str(PORT_OFFSET)})
        try:
            steps.run_steps(ROOT / "docs" / page, root, walked.environment)
            yield walked
        finally:
            for state in (root / ".local", root / ".local/test"):
                walked.stop_mesh(state)
