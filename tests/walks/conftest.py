"""A copy of the repository to walk in, with a mesh of its own, on ports of its own."""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.local.process import kill_group
from deploy.local.report import alive, end_orphans, read_report
from deploy.local.state import State
from tests.conftest import ROOT
from tests.people import until
from tests.walks import steps

OFFSET = 1300
LEFT_OUT = (".git", ".local", ".venv", "node_modules", "__pycache__", ".*_cache", ".hypothesis", "htmlcov", "reports")
HIDDEN = ("DELIVERY_STATE", "MAKEFLAGS", "MAKELEVEL", "MFLAGS", "PYTHONPATH")
"""Variables of this process that would lead a walk back to this repository."""


@dataclass(frozen=True)
class Walk:
    """A page that was walked: where its repository is, and where its mesh is reached."""

    root: Path
    environment: dict[str, str]
    edge: str = f"http://127.0.0.1:{8080 + OFFSET}"
    sandbox: str = f"http://127.0.0.1:{8090 + OFFSET}"

    def end(self, folder: Path) -> None:
        """Ends a mesh of the copy, if there is one, without letting it drain: nobody waits for its answers."""
        state = State(self.environment | {"DELIVERY_STATE": str(folder)})
        report = read_report(state)
        if report is not None:
            kill_group(report.pid, report.started, signal.SIGKILL)
            until("the supervisor is gone", lambda: not alive(report))
            end_orphans(state)


@contextmanager
def walk(page: str) -> Iterator[Walk]:
    """Walks a page of docs/ in a fresh copy, and takes down whatever it has booted."""
    with tempfile.TemporaryDirectory(prefix="walk-", dir="/tmp") as folder:
        root = Path(folder) / "delivery"
        shutil.copytree(ROOT, root, ignore=shutil.ignore_patterns(*LEFT_OUT))
        for shared in (".venv", "node_modules", ".local/uv", ".local/setup", ".local/codegen"):
            (root / shared).parent.mkdir(exist_ok=True)
            if (ROOT / shared).exists():
                (root / shared).symlink_to(ROOT / shared)
        kept = {name: value for name, value in os.environ.items() if name not in HIDDEN}
        walked = Walk(root, kept | {"PORT_OFFSET": str(OFFSET)})
        try:
            steps.perform(ROOT / "docs" / page, root, walked.environment)
            yield walked
        finally:
            for state in (root / ".local", root / ".local/test"):
                walked.end(state)
