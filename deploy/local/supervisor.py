"""Starts the children stage by stage, starts again what dies, and stops them all, the last stage first."""

import asyncio
import fcntl
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

from deploy.local import services
from deploy.local.plan import stages
from deploy.local.process import Process, kill_group, started_at
from deploy.local.report import Child, Report, report_path, write_report
from deploy.local.secrets import Secrets
from deploy.local.state import ROOT, State

BACKOFF = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Seconds before a child that died is started again; a child that lived for a minute starts over at the first."""

START_TIMEOUT = 60.0
"""Seconds until a child that is not ready counts as failed."""

FIRST_STARTS = 5
"""How often a child may die before it was ever ready; then the mesh does not start."""


class _Stopped(Exception):
    """The mesh is told to stop before it was ready."""


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
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("another process runs this mesh, or is about to")
            return 1
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
                await self._all(stage, ready, keepers)
            if self._extent == "all":
                await asyncio.to_thread(services.load_demo_data, self._state, self._secrets)
            self._tell("ready")
            await self._any([], keepers)
        except _Stopped:
            self._tell("stopping")
        except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
            said = error.stderr.decode()[-2000:] if isinstance(error, subprocess.CalledProcessError) else ""
            self._tell("failed", f"{error}\n{said}".strip())
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
        return Child(process.name, ports=ports, stop_signal=process.stop_signal, also_stop=process.also_stop)

    def _tell(self, phase: str = "", why: str = "") -> None:
        self._report.phase = phase or self._report.phase
        self._report.why = why or self._report.why
        write_report(self._state, self._report)

    async def _all(
        self, stage: Sequence[Process], ready: dict[str, asyncio.Event], keepers: Sequence[Sequence[asyncio.Task[None]]]
    ) -> None:
        """Waits until each is ready. Raises RuntimeError with the log of the one that is not, and _Stopped."""
        waiting = asyncio.gather(*(event.wait() for event in ready.values()))
        try:
            async with asyncio.timeout(START_TIMEOUT):
                await self._any([waiting], keepers)
        except TimeoutError:
            late = [process.name for process in stage if not ready[process.name].is_set()]
            logs = "\n".join(f"--- {name}: {self._named(name).said}\n{self._tail(name)}" for name in late)
            raise RuntimeError(f"not ready: {', '.join(late)}\n{logs}") from None
        finally:
            waiting.cancel()

    async def _any(
        self, wanted: Sequence[asyncio.Future[Any]], keepers: Sequence[Sequence[asyncio.Task[None]]]
    ) -> None:
        """Waits for what is wanted. Raises _Stopped, and what a keeper raises that has given up."""
        stopped = asyncio.create_task(self._stop.wait())
        given_up = [task for tasks in keepers for task in tasks]
        try:
            await asyncio.wait([*wanted, stopped, *given_up], return_when=asyncio.FIRST_COMPLETED)
            if stopped.done():
                raise _Stopped
            for task in given_up:
                if task.done():
                    task.result()
        finally:
            stopped.cancel()

    def _named(self, name: str) -> Child:
        return next(child for child in self._report.children if child.name == name)

    async def _keep(self, process: Process, ready: asyncio.Event) -> None:
        """Starts a child, and again whenever it dies. Raises RuntimeError when it dies too often to become ready."""
        child = self._named(process.name)
        failures = 0
        while True:
            child.state = "starting"
            if process.prepare is not None:
                await asyncio.to_thread(process.prepare)
            try:
                running = await self._start(process, child)
            except OSError as error:
                raise RuntimeError(f"{process.name} cannot be started: {error}") from error
            became_ready = asyncio.create_task(self._until_ready(process, child, ready))
            code = await running.wait()
            became_ready.cancel()
            lived = time.time() - child.started
            failures = 0 if lived > 60 else failures + 1
            pause = BACKOFF[min(failures, len(BACKOFF)) - 1] if failures else 0.0
            child.state, child.pid, child.restarts = "restarting", 0, child.restarts + 1
            child.said = f"ended with {code} after {lived:.0f} s; again in {pause} s"
            self._tell()
            if failures >= FIRST_STARTS and not ready.is_set():
                raise RuntimeError(f"{process.name} {child.said}\n--- {process.name}:\n{self._tail(process.name)}")
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
        while not await asyncio.to_thread(_is_ready, process, child):
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, 0.3)
        child.state = "ready"
        self._tell()
        ready.set()

    async def _end(self, process: Process) -> None:
        running = self._running.get(process.name)
        if running is not None and running.returncode is None:
            if process.before_stop is not None:
                await asyncio.to_thread(_say, process.before_stop)
            await self._end_running(running, process)
        if running is not None and process.also_stop:
            command = await asyncio.create_subprocess_exec(
                *process.also_stop, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            await command.wait()

    async def _end_running(self, running: asyncio.subprocess.Process, process: Process) -> None:
        started = started_at(running.pid) or 0.0
        with suppress(ProcessLookupError):
            running.send_signal(process.stop_signal)
        try:
            async with asyncio.timeout(process.stop_after):
                await running.wait()
        except TimeoutError:
            kill_group(running.pid, started, signal.SIGKILL)
            await running.wait()

    def _tail(self, name: str) -> str:
        path = self._state.sub("logs") / f"{name}.log"
        return "\n".join(path.read_text(errors="replace").splitlines()[-15:]) if path.exists() else "(no log)"


def _is_ready(process: Process, child: Child) -> bool:
    """Whatever a probe, or what follows it, raises means that its process is not ready yet; `status` shows it."""
    try:
        if not process.ready():
            return False
        if process.finish is not None:
            process.finish()
    except Exception as error:  # noqa: BLE001 (probes speak six protocols, each with errors of its own)
        child.said = f"not ready: {error}"
        return False
    child.said = child.said if child.restarts else ""
    return True


def _say(what: Callable[[], None]) -> None:
    """A child that does not listen any more is stopped all the same."""
    with suppress(OSError, httpx.HTTPError):
        what()


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True
