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

from deploy.local.infrastructure import services
from deploy.local.mesh_config import ROOT, MeshConfig
from deploy.local.pki.secrets import Secrets
from deploy.local.supervisor.process import ProcessSpec, get_start_time, signal_process_group
from deploy.local.supervisor.stages import define_stages
from deploy.local.supervisor.supervisor_state import (
    ProcessState,
    SupervisorState,
    supervisor_state_path,
    write_supervisor_state,
)

RESTART_BACKOFF_S = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Seconds before a child that died is started again; a child that lived for a minute starts over at the first."""

START_TIMEOUT_S = 60.0
"""Seconds until a child that is not ready counts as failed."""

MAX_START_ATTEMPTS = 5
"""How often a child may die before it was ever ready; then the mesh does not start."""


class _StopRequested(Exception):
    """The mesh is told to stop before it was ready."""


class Supervisor:
    """One run."""

    def __init__(self, config: MeshConfig, scope: str) -> None:
        self._config = config
        self._secrets = Secrets(config)
        self._scope = scope
        self._stop_requested = asyncio.Event()
        self._subprocesses: dict[str, asyncio.subprocess.Process] = {}
        started = get_start_time(os.getpid())
        self._supervisor_state = SupervisorState(pid=os.getpid(), start_time=started or 0.0, scope=scope)

    async def run(self) -> int:
        """Until SIGTERM, or until a child cannot be started."""
        lock = (self._config.folder / "lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("another process runs this mesh, or is about to")
            return 1
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop_requested.set)
        planned = define_stages(self._config, self._secrets, self._scope)
        self._supervisor_state.children = [
            self._create_process_state(process) for stage in planned for process in stage
        ]
        keepers: list[list[asyncio.Task[None]]] = []
        try:
            for stage in planned:
                ready = {process.name: asyncio.Event() for process in stage}
                keepers.append(
                    [asyncio.create_task(self._supervise(process, ready[process.name])) for process in stage]
                )
                await self._wait_until_all_ready(stage, ready, keepers)
            if self._scope == "all":
                await asyncio.to_thread(services.load_demo_data, self._config, self._secrets)
            self._write_state("ready")
            await self._wait_for_any([], keepers)
        except _StopRequested:
            self._write_state("stopping")
        except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
            said = error.stderr.decode()[-2000:] if isinstance(error, subprocess.CalledProcessError) else ""
            self._write_state("failed", f"{error}\n{said}".strip())
        for stage, tasks in reversed(list(zip(planned, keepers, strict=False))):
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.gather(*(self._stop_process(process) for process in stage))
        if self._supervisor_state.phase == "stopping":
            supervisor_state_path(self._config).unlink()
            return 0
        return 1

    def _create_process_state(self, process: ProcessSpec) -> ProcessState:
        ports = [self._config.get_port(name) for name in process.port_variables]
        return ProcessState(
            process.name, ports=ports, stop_signal=process.stop_signal, cleanup_command=process.cleanup_command
        )

    def _write_state(self, phase: str = "", error: str = "") -> None:
        self._supervisor_state.phase = phase or self._supervisor_state.phase
        self._supervisor_state.error = error or self._supervisor_state.error
        write_supervisor_state(self._config, self._supervisor_state)

    async def _wait_until_all_ready(
        self,
        stage: Sequence[ProcessSpec],
        ready: dict[str, asyncio.Event],
        supervision_tasks: Sequence[Sequence[asyncio.Task[None]]],
    ) -> None:
        """Waits until each is ready. Raises RuntimeError with the log of the one that is not, and _Stopped."""
        waiting = asyncio.gather(*(event.wait() for event in ready.values()))
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                await self._wait_for_any([waiting], supervision_tasks)
        except TimeoutError:
            late = [process.name for process in stage if not ready[process.name].is_set()]
            logs = "\n".join(
                f"--- {name}: {self._find_process_state(name).message}\n{self._read_log_tail(name)}" for name in late
            )
            raise RuntimeError(f"not ready: {', '.join(late)}\n{logs}") from None
        finally:
            waiting.cancel()

    async def _wait_for_any(
        self, futures: Sequence[asyncio.Future[Any]], supervision_tasks: Sequence[Sequence[asyncio.Task[None]]]
    ) -> None:
        """Waits for what is wanted. Raises _Stopped, and what a keeper raises that has given up."""
        stopped = asyncio.create_task(self._stop_requested.wait())
        given_up = [task for tasks in supervision_tasks for task in tasks]
        try:
            await asyncio.wait([*futures, stopped, *given_up], return_when=asyncio.FIRST_COMPLETED)
            if stopped.done():
                raise _StopRequested
            for task in given_up:
                if task.done():
                    task.result()
        finally:
            stopped.cancel()

    def _find_process_state(self, name: str) -> ProcessState:
        return next(child for child in self._supervisor_state.children if child.name == name)

    async def _supervise(self, process: ProcessSpec, ready: asyncio.Event) -> None:
        """Starts a child, and again whenever it dies. Raises RuntimeError when it dies too often to become ready."""
        child = self._find_process_state(process.name)
        failures = 0
        while True:
            child.state = "starting"
            if process.before_start is not None:
                await asyncio.to_thread(process.before_start)
            try:
                running = await self._start_process(process, child)
            except OSError as error:
                raise RuntimeError(f"{process.name} cannot be started: {error}") from error
            became_ready = asyncio.create_task(self._wait_until_ready(process, child, ready))
            code = await running.wait()
            became_ready.cancel()
            lived = time.time() - child.start_time
            failures = 0 if lived > 60 else failures + 1
            pause = RESTART_BACKOFF_S[min(failures, len(RESTART_BACKOFF_S)) - 1] if failures else 0.0
            child.state, child.pid, child.restarts = "restarting", 0, child.restarts + 1
            child.message = f"ended with {code} after {lived:.0f} s; again in {pause} s"
            self._write_state()
            if failures >= MAX_START_ATTEMPTS and not ready.is_set():
                raise RuntimeError(
                    f"{process.name} {child.message}\n--- {process.name}:\n{self._read_log_tail(process.name)}"
                )
            await asyncio.sleep(pause)

    async def _start_process(self, process: ProcessSpec, child: ProcessState) -> asyncio.subprocess.Process:
        for name in process.sockets:
            if not await asyncio.to_thread(_is_socket_in_use, self._config.socket_dir / name):
                (self._config.socket_dir / name).unlink(missing_ok=True)
        with (self._config.ensure_subdirectory("logs") / f"{process.name}.log").open("ab") as log:
            running = await asyncio.create_subprocess_exec(
                *process.command,
                cwd=ROOT,
                env=services.build_base_environment() | dict(process.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                user=process.user,
                group=process.user,
                extra_groups=None if process.user is None else [],
            )
        self._subprocesses[process.name] = running
        child.pid, child.start_time = running.pid, get_start_time(running.pid) or time.time()
        self._write_state()
        return running

    async def _wait_until_ready(self, process: ProcessSpec, child: ProcessState, ready: asyncio.Event) -> None:
        pause = 0.02
        while not await asyncio.to_thread(_is_ready, process, child):
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, 0.3)
        child.state = "ready"
        self._write_state()
        ready.set()

    async def _stop_process(self, process: ProcessSpec) -> None:
        running = self._subprocesses.get(process.name)
        if running is not None and running.returncode is None:
            if process.before_stop is not None:
                await asyncio.to_thread(_call_ignoring_errors, process.before_stop)
            await self._terminate(running, process)
        if running is not None and process.cleanup_command:
            command = await asyncio.create_subprocess_exec(
                *process.cleanup_command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            await command.wait()

    async def _terminate(self, running: asyncio.subprocess.Process, process: ProcessSpec) -> None:
        started = get_start_time(running.pid) or 0.0
        with suppress(ProcessLookupError):
            running.send_signal(process.stop_signal)
        try:
            async with asyncio.timeout(process.stop_timeout_s):
                await running.wait()
        except TimeoutError:
            signal_process_group(running.pid, started, signal.SIGKILL)
            await running.wait()

    def _read_log_tail(self, name: str) -> str:
        path = self._config.ensure_subdirectory("logs") / f"{name}.log"
        return "\n".join(path.read_text(errors="replace").splitlines()[-15:]) if path.exists() else "(no log)"


def _is_ready(process: ProcessSpec, child: ProcessState) -> bool:
    """Whatever a probe, or what follows it, raises means that its process is not ready yet; `status` shows it."""
    try:
        if not process.is_ready():
            return False
        if process.on_ready is not None:
            process.on_ready()
    except Exception as error:  # noqa: BLE001 (probes speak six protocols, each with errors of its own)
        child.message = f"not ready: {error}"
        return False
    child.message = child.message if child.restarts else ""
    return True


def _call_ignoring_errors(callback: Callable[[], None]) -> None:
    """A child that does not listen any more is stopped all the same."""
    with suppress(OSError, httpx.HTTPError):
        callback()


def _is_socket_in_use(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True
