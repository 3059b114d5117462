"""Starts the children stage by stage, starts again what dies, and stops them all, the last stage first."""

import asyncio
import fcntl
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from deploy.local import services
from deploy.local.plan import stages
from deploy.local.process import Process, kill_group, started_at
from deploy.local.secrets import Secrets
from deploy.local.state import ROOT, State

BACKOFF = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Seconds before a child that died is started again; a child that lived for a minute starts over at the first."""

START_TIMEOUT = 60.0
"""Seconds until a child that is not ready counts as failed."""


@dataclass
class Child:
    """What is known of one child, as `status` shows it."""

    name: str
    state: str = "waiting"
    pid: int = 0
    started: float = 0.0
    restarts: int = 0
    ports: Sequence[int] = ()
    said: str = ""
    also_stop: Sequence[str] = ()


@dataclass
class Report:
    """What the supervisor writes for those who ask: `phase` is starting, ready, failed or stopping."""

    pid: int
    started: float
    extent: str
    phase: str = "starting"
    why: str = ""
    children: list[Child] = field(default_factory=list)


def report_path(state: State) -> Path:
    """Where the report lies."""
    return state.folder / "mesh.json"


def read_report(state: State) -> Report | None:
    """The last report, whether its supervisor is alive or not."""
    try:
        content = json.loads(report_path(state).read_text())
    except FileNotFoundError:
        return None
    children = [Child(**child) for child in content.pop("children")]
    return Report(**content, children=children)


def alive(report: Report | None) -> bool:
    """Whether the report's supervisor still runs."""
    return report is not None and started_at(report.pid) == report.started


def end_orphans(state: State) -> int:
    """Stops what a killed supervisor left behind; how many there were."""
    report = read_report(state)
    if report is None or alive(report):
        return 0
    left = [child for child in report.children if child.pid and started_at(child.pid) == child.started]
    for number, patience in ((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):
        for child in left:
            kill_group(child.pid, child.started, number)
        end = time.monotonic() + patience
        while time.monotonic() < end and any(started_at(child.pid) == child.started for child in left):
            time.sleep(0.05)
    for child in report.children:
        if child.also_stop:
            subprocess.run(child.also_stop, check=False, capture_output=True)
    return len(left)


class Supervisor:
    """One run."""

    def __init__(self, state: State, extent: str) -> None:
        self._state = state
        self._secrets = Secrets(state)
        self._extent = extent
        self._stop = asyncio.Event()
        self._running: dict[str, asyncio.subprocess.Process] = {}
        started = started_at(os.getpid())
        self._report = Report(pid=os.getpid(), started=started or 0.0, extent=extent)

    async def run(self) -> int:
        """Until SIGTERM, or until a child cannot be started."""
        lock = (self._state.folder / "lock").open("w")
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        planned = stages(self._state, self._secrets, self._extent)
        self._report.children = [self._child(process) for stage in planned for process in stage]
        keepers: list[list[asyncio.Task[None]]] = []
        try:
            for stage in planned:
                ready = {process.name: asyncio.Event() for process in stage}
                keepers.append([asyncio.create_task(self._keep(process, ready[process.name])) for process in stage])
                await self._all(stage, ready)
            if self._extent == "all":
                await asyncio.to_thread(services.load_demo_data, self._state, self._secrets)
            self._tell("ready")
            await self._stop.wait()
        except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
            said = error.stderr.decode()[-2000:] if isinstance(error, subprocess.CalledProcessError) else ""
            self._tell("failed", f"{error}\n{said}".strip())
        else:
            self._tell("stopping")
        for stage, tasks in reversed(list(zip(planned, keepers, strict=False))):
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.gather(*(self._end(process) for process in stage))
        if self._report.phase == "stopping":
            report_path(self._state).unlink()
            return 0
        return 1

    def _child(self, process: Process) -> Child:
        ports = [self._state.port(name) for name in process.ports]
        return Child(process.name, ports=ports, also_stop=process.also_stop)

    def _tell(self, phase: str = "", why: str = "") -> None:
        self._report.phase = phase or self._report.phase
        self._report.why = why or self._report.why
        path = report_path(self._state)
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps(asdict(self._report)))
        fresh.replace(path)

    async def _all(self, stage: Sequence[Process], ready: dict[str, asyncio.Event]) -> None:
        """Waits until each is ready. Raises RuntimeError with the log of the one that is not."""
        waiting = asyncio.gather(*(event.wait() for event in ready.values()))
        stopped = asyncio.create_task(self._stop.wait())
        both: set[asyncio.Future[Any]] = {waiting, stopped}
        await asyncio.wait(both, timeout=START_TIMEOUT, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if not waiting.done():
            waiting.cancel()
            late = [process for process in stage if not ready[process.name].is_set()]
            logs = "\n".join(f"--- {process.name}:\n{self._tail(process.name)}" for process in late)
            raise RuntimeError(f"not ready: {', '.join(process.name for process in late)}\n{logs}")

    async def _keep(self, process: Process, ready: asyncio.Event) -> None:
        """Starts a child, and again whenever it dies."""
        child = next(child for child in self._report.children if child.name == process.name)
        failures = 0
        while True:
            child.state = "starting"
            if process.prepare is not None:
                await asyncio.to_thread(process.prepare)
            running = await self._start(process, child)
            became_ready = asyncio.create_task(self._until_ready(process, child, ready))
            code = await running.wait()
            became_ready.cancel()
            lived = time.time() - child.started
            failures = 0 if lived > 60 else failures + 1
            pause = BACKOFF[min(failures, len(BACKOFF)) - 1] if failures else 0.0
            child.state, child.pid, child.restarts = "restarting", 0, child.restarts + 1
            child.said = f"ended with {code} after {lived:.0f} s; again in {pause} s"
            self._tell()
            await asyncio.sleep(pause)

    async def _start(self, process: Process, child: Child) -> asyncio.subprocess.Process:
        for name in process.sockets:
            if not await asyncio.to_thread(_answers, self._state.run / name):
                (self._state.run / name).unlink(missing_ok=True)
        with (self._state.sub("logs") / f"{process.name}.log").open("ab") as log:
            running = await asyncio.create_subprocess_exec(
                *process.command,
                cwd=ROOT,
                env=services.common() | dict(process.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                user=process.user,
                group=process.user,
                extra_groups=None if process.user is None else [],
            )
        self._running[process.name] = running
        child.pid, child.started = running.pid, started_at(running.pid) or time.time()
        self._tell()
        return running

    async def _until_ready(self, process: Process, child: Child, ready: asyncio.Event) -> None:
        pause = 0.02
        while not await asyncio.to_thread(_is_ready, process):
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, 0.3)
        if process.finish is not None:
            await asyncio.to_thread(process.finish)
        child.state = "ready"
        self._tell()
        ready.set()

    async def _end(self, process: Process) -> None:
        running = self._running.get(process.name)
        if running is None or running.returncode is not None:
            return
        started = started_at(running.pid) or 0.0
        running.send_signal(process.stop_signal)
        try:
            async with asyncio.timeout(process.stop_after):
                await running.wait()
        except TimeoutError:
            kill_group(running.pid, started, signal.SIGKILL)
            await running.wait()
        if process.also_stop:
            command = await asyncio.create_subprocess_exec(
                *process.also_stop, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            await command.wait()

    def _tail(self, name: str) -> str:
        path = self._state.sub("logs") / f"{name}.log"
        return "\n".join(path.read_text(errors="replace").splitlines()[-15:]) if path.exists() else "(no log)"


def _is_ready(process: Process) -> bool:
    """Whatever a probe raises means that its process is not ready yet."""
    try:
        return process.ready()
    except Exception:  # noqa: BLE001 (probes speak six protocols, each with errors of its own)
        return False


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True
