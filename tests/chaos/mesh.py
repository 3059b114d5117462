"""Mesh of the chaos test, started from a clean state with its own folder and ports."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from deploy.local.infrastructure.servers import BROKER_OPERATOR, build_broker_url
from deploy.local.mesh_config import MeshConfig
from deploy.local.pki.secrets import Secrets
from deploy.local.supervisor.process import get_start_time
from deploy.local.supervisor.supervisor_state import ProcessState, is_supervisor_alive, read_supervisor_state
from tests.chaos.fast_supervisor import SHORT_TIMEOUTS
from tests.wait import wait_until

ROOT = Path(__file__).parents[2]

START_TIMEOUT_S = 150.0
"""Timeout of the start."""


class MeshStartError(Exception):
    """The mesh did not start."""


class Mesh:
    """A mesh: its URLs and its processes by name."""

    def __init__(self, folder: Path, offset: int) -> None:
        overrides = {
            "DELIVERY_STATE": str(folder),
            "PORT_OFFSET": str(offset),
            "FAILED_ATTEMPTS_PER_ADDRESS": "1000000",
            "RATE_LIMIT_FACTOR": "10000",
        }
        self.environment = {**os.environ, **SHORT_TIMEOUTS, **overrides}
        self.config = MeshConfig(self.environment)
        self.secrets = Secrets(self.config)
        self._supervisor: subprocess.Popen[bytes] | None = None

    @property
    def edge_url(self) -> str:
        """URL of the edge."""
        return self.config.edge_url

    @property
    def sandbox_url(self) -> str:
        """URL of the sandbox."""
        return self.config.sandbox_url

    @property
    def webhook_secret(self) -> str:
        """Signing secret of the webhooks of banks and partners."""
        return self.secrets.webhook_secret

    @property
    def broker_url(self) -> str:
        """AMQP URL of the broker, for checks of dead letters."""
        return build_broker_url(self.config, self.secrets, BROKER_OPERATOR)

    def read_process_states(self) -> dict[str, ProcessState]:
        """Return the state of each process as the supervisor reports it."""
        report = read_supervisor_state(self.config)
        return {child.name: child for child in report.children} if report else {}

    def send_signal(self, name: str, signal_number: int) -> bool:
        """Send a signal to a process and its descendants. Return False if the process does not run."""
        child = self.read_process_states()[name]
        if not child.pid or get_start_time(child.pid) != child.start_time:
            return False
        try:
            leader = psutil.Process(child.pid)
            # Child processes of PostgreSQL and RabbitMQ have their own sessions.
            descendants = leader.children(recursive=True) if signal_number != child.stop_signal else []
        except psutil.NoSuchProcess:
            return False
        for process in [leader, *descendants]:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal_number)
        return True

    def stop(self) -> None:
        """Stop all processes, paused ones included."""
        for name in self.read_process_states():
            self.send_signal(name, signal.SIGCONT)
        self._run_local("down")
        if self._supervisor is not None:
            self._supervisor.wait()
            self._supervisor = None

    def _run_local(self, command: str) -> None:
        subprocess.run([sys.executable, "-m", "deploy.local", command], cwd=ROOT, env=self.environment, check=True)

    def start(self) -> None:
        """Start the mesh from a clean state. Raises MeshStartError."""
        self.stop()
        shutil.rmtree(self.config.folder, ignore_errors=True)
        self.config = MeshConfig(self.environment)
        self.secrets = Secrets(self.config)
        with (self.config.ensure_subdirectory("logs") / "supervisor.log").open("ab") as log:
            self._supervisor = supervisor = subprocess.Popen(
                [sys.executable, "-m", "tests.chaos.fast_supervisor"],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

        def is_ready() -> bool:
            report = read_supervisor_state(self.config)
            if supervisor.poll() is not None or (report is not None and report.phase == "failed"):
                raise MeshStartError(report.error if report and is_supervisor_alive(report) else log.name)
            return report is not None and report.pid == supervisor.pid and report.phase == "ready"

        try:
            wait_until(is_ready, START_TIMEOUT_S, interval_s=0.1)
        except TimeoutError:
            logs_path = self.config.ensure_subdirectory("logs")
            raise MeshStartError(f"not ready after {START_TIMEOUT_S:.0f} s; logs are in {logs_path}") from None


@contextmanager
def run_mesh(folder: Path, offset: int) -> Iterator[Mesh]:
    """Run a mesh from a clean state. Its folder with the logs remains until the next run."""
    mesh = Mesh(folder, offset)
    try:
        mesh.start()
        yield mesh
    finally:
        mesh.stop()
