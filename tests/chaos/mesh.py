"""A mesh of chaos's own, made fresh, in a folder and on ports where nobody else is."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from deploy.local.process import started_at
from deploy.local.report import Child, alive, read_report
from deploy.local.secrets import Secrets
from deploy.local.servers import broker_url
from deploy.local.state import State
from tests.chaos.supervise import IMPATIENT

ROOT = Path(__file__).parents[2]

START = 150.0
"""Seconds until a mesh that is not ready has failed."""


class MeshFailed(Exception):
    """It did not start."""


class Mesh:
    """Its doors, and its processes by name."""

    def __init__(self, folder: Path, offset: int) -> None:
        own = {"DELIVERY_STATE": str(folder), "PORT_OFFSET": str(offset), "GUESSES_PER_ADDRESS": "1000000"}
        self.environment = {**os.environ, **IMPATIENT, **own}
        self.state = State(self.environment)
        self.secrets = Secrets(self.state)
        self._supervisor: subprocess.Popen[bytes] | None = None

    @property
    def broker(self) -> str:
        """Where dead letters are looked for."""
        return broker_url(self.state, self.secrets, "gateway")

    def children(self) -> dict[str, Child]:
        """What the supervisor says of each process."""
        report = read_report(self.state)
        return {child.name: child for child in report.children} if report else {}

    def signal(self, name: str, number: int) -> bool:
        """Signals a process and all that it has started; False when it is not there just now."""
        child = self.children()[name]
        if not child.pid or started_at(child.pid) != child.started:
            return False
        try:
            leader = psutil.Process(child.pid)
            # PostgreSQL's and RabbitMQ's children lead sessions of their own.
            led = leader.children(recursive=True) if number != child.stop_signal else []
        except psutil.NoSuchProcess:
            return False
        for process in [leader, *led]:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)
        return True

    def down(self) -> None:
        """Stops everything, what is paused included."""
        for name in self.children():
            self.signal(name, signal.SIGCONT)
        self._local("down")
        if self._supervisor is not None:
            self._supervisor.wait()
            self._supervisor = None

    def _local(self, command: str) -> None:
        subprocess.run([sys.executable, "-m", "deploy.local", command], cwd=ROOT, env=self.environment, check=True)

    def up(self) -> None:
        """Starts it with nothing in it. Raises MeshFailed."""
        self.down()
        shutil.rmtree(self.state.folder, ignore_errors=True)
        self.state = State(self.environment)
        self.secrets = Secrets(self.state)
        with (self.state.sub("logs") / "supervisor.log").open("ab") as log:
            self._supervisor = supervisor = subprocess.Popen(
                [sys.executable, "-m", "tests.chaos.supervise"],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        end = time.monotonic() + START
        while time.monotonic() < end:
            report = read_report(self.state)
            if report is not None and report.pid == supervisor.pid and report.phase == "ready":
                return
            if supervisor.poll() is not None or (report is not None and report.phase == "failed"):
                raise MeshFailed(report.why if report and alive(report) else log.name)
            try:
                supervisor.wait(timeout=0.1)
            except subprocess.TimeoutExpired:
                continue
        raise MeshFailed(f"not ready after {START:.0f} seconds; see {self.state.sub('logs')}")


@contextmanager
def running(folder: Path, offset: int) -> Iterator[Mesh]:
    """A fresh mesh while the block runs; its folder stays, with its logs, until the next."""
    mesh = Mesh(folder, offset)
    try:
        mesh.up()
        yield mesh
    finally:
        mesh.down()
