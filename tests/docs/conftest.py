"""Executable documentation: runs a page in a copy of the repository, with its own mesh and ports."""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

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
"""Environment variables that would refer the commands of a page to this repository."""


@dataclass(frozen=True)
class DocRun:
    """A page whose steps have run: the copy of the repository and the URLs of its mesh."""

    root: Path
    environment: dict[str, str]
    edge_url: str = f"http://127.0.0.1:{8080 + PORT_OFFSET}"
    sandbox_url: str = f"http://127.0.0.1:{8090 + PORT_OFFSET}"

    def stop_mesh(self, state_dir: Path) -> None:
        """Kill the mesh of the copy, if it runs. It is not drained, because no client is left."""
        config = MeshConfig(self.environment | {"DELIVERY_STATE": str(state_dir)})
        report = read_supervisor_state(config)
        if report is not None:
            signal_process_group(report.pid, report.start_time, signal.SIGKILL)
            wait_until(lambda: not is_supervisor_alive(report), description="supervisor has stopped")
            stop_orphans(config)


@contextmanager
def run_page(page: str, replacements: Mapping[str, str] = MappingProxyType({})) -> Iterator[DocRun]:
    """Run the steps of a page of docs/ in a new copy, and stop the meshes that they started.

    `replacements` are texts of the page that are replaced by others.
    """
    with tempfile.TemporaryDirectory(prefix="docs-", dir="/tmp") as folder:
        root = Path(folder) / "delivery"
        shutil.copytree(ROOT, root, ignore=shutil.ignore_patterns(*EXCLUDED_PATTERNS))
        for shared in (".venv", "node_modules", ".local/uv", ".local/setup", ".local/codegen"):
            (root / shared).parent.mkdir(exist_ok=True)
            if (ROOT / shared).exists():
                (root / shared).symlink_to(ROOT / shared)
        environment = {name: value for name, value in os.environ.items() if name not in REMOVED_VARIABLES}
        doc_run = DocRun(root, environment | {"PORT_OFFSET": str(PORT_OFFSET)})
        try:
            text = (ROOT / "docs" / page).read_text(encoding="utf-8")
            for old, new in replacements.items():
                text = text.replace(old, new)
            copy = Path(folder) / page
            copy.write_text(text, encoding="utf-8")
            steps.run_steps(copy, root, doc_run.environment)
            yield doc_run
        finally:
            for state_dir in (root / ".local", root / ".local/test"):
                doc_run.stop_mesh(state_dir)
