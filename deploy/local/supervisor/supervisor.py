"""Supervisor that starts child processes in stages, restarts them and stops them in reverse order."""

import asyncio
import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from deploy.local.infrastructure import services
from deploy.local.mesh_config import MeshConfig
from deploy.local.pki.secrets import Secrets
from deploy.local.supervisor.forked_process import ForkedProcess, set_socket_folder, start_module
from deploy.local.supervisor.process import ProcessSpec, get_start_time, signal_process_group
from deploy.local.supervisor.stages import define_stages
from deploy.local.supervisor.supervisor_state import (
    ProcessState,
    create_supervisor_state,
    get_supervisor_state_path,
    write_supervisor_state,
)

RESTART_BACKOFF_S = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Seconds before an exited child is restarted, by consecutive failures; a run of over a minute resets the backoff."""

START_TIMEOUT_S = 60.0
"""Seconds that the children of a stage may take to become ready."""

MAX_START_ATTEMPTS = 5
"""Number of exits of a child that was never ready after which the start fails."""


@dataclass(frozen=True)
class Plan:
    """Stages and demo data of a supervisor; by default, those of a mesh on one machine."""

    define_stages: Callable[[MeshConfig, Secrets, str], Sequence[Sequence[ProcessSpec]]] | None = None
    load_demo_data: Callable[[MeshConfig, Secrets], None] | None = None
    start_timeout_s: float = START_TIMEOUT_S
    """Seconds that the children of a stage may take to become ready."""


class _StopRequested(Exception):
    """SIGTERM or SIGINT was received."""


class Supervisor:
    """Supervisor of one run of the mesh."""

    def __init__(self, config: MeshConfig, scope: str, plan: Plan | None = None) -> None:
        self._config = config
        self._plan = plan or Plan()
        self._secrets = Secrets(config)
        self._scope = scope
        self._stop_requested = asyncio.Event()
        self._subprocesses: dict[str, asyncio.subprocess.Process | ForkedProcess] = {}
        self._supervisor_state = create_supervisor_state(config, os.getpid(), scope)

    async def run(self) -> int:
        """Run until SIGTERM or SIGINT, or until a child fails to start. Return the exit code."""
        lock = (self._config.folder / "lock").open("w", encoding="utf-8")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("the mesh is locked: another supervisor is running")
            return 1
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop_requested.set)
        set_socket_folder(self._config.socket_dir)
        stages = (self._plan.define_stages or define_stages)(self._config, self._secrets, self._scope)
        self._supervisor_state.children = [self._create_process_state(process) for stage in stages for process in stage]
        supervision_tasks: list[list[asyncio.Task[None]]] = []
        try:
            for stage in stages:
                ready = {process.name: asyncio.Event() for process in stage}
                supervision_tasks.append(
                    [asyncio.create_task(self._supervise(process, ready[process.name])) for process in stage]
                )
                await self._wait_until_all_ready(stage, ready, supervision_tasks)
            if self._scope == "all":
                load_demo_data = self._plan.load_demo_data or services.load_demo_data
                await asyncio.to_thread(load_demo_data, self._config, self._secrets)
            self._write_state("ready")
            await self._wait_for_any([], supervision_tasks)
        except _StopRequested:
            self._write_state("stopping")
        except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
            output = error.stderr.decode()[-2000:] if isinstance(error, subprocess.CalledProcessError) else ""
            self._write_state("failed", f"{error}\n{output}".strip())
        for stage, tasks in reversed(list(zip(stages, supervision_tasks, strict=False))):
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.gather(*(self._stop_process(process) for process in stage))
        if self._supervisor_state.phase == "stopping":
            get_supervisor_state_path(self._config).unlink()
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
        """Wait until all processes of a stage are ready.

        Raises RuntimeError with the logs of those that are not, and _StopRequested.
        """
        waiting = asyncio.gather(*(event.wait() for event in ready.values()))
        try:
            async with asyncio.timeout(self._plan.start_timeout_s):
                await self._wait_for_any([waiting], supervision_tasks)
        except TimeoutError:
            not_ready = [process.name for process in stage if not ready[process.name].is_set()]
            logs = "\n".join(
                f"--- {name}: {self._find_process_state(name).message}\n{self._read_log_tail(name)}"
                for name in not_ready
            )
            raise RuntimeError(f"not ready: {', '.join(not_ready)}\n{logs}") from None
        finally:
            waiting.cancel()

    async def _wait_for_any(
        self, futures: Sequence[asyncio.Future[Any]], supervision_tasks: Sequence[Sequence[asyncio.Task[None]]]
    ) -> None:
        """Wait for one of the futures. Raises _StopRequested, and the error of a supervision task that has failed."""
        stop_requested = asyncio.create_task(self._stop_requested.wait())
        tasks = [task for stage_tasks in supervision_tasks for task in stage_tasks]
        try:
            await asyncio.wait([*futures, stop_requested, *tasks], return_when=asyncio.FIRST_COMPLETED)
            if stop_requested.done():
                raise _StopRequested
            for task in tasks:
                if task.done():
                    task.result()
        finally:
            stop_requested.cancel()

    def _find_process_state(self, name: str) -> ProcessState:
        return next(child for child in self._supervisor_state.children if child.name == name)

    async def _supervise(self, process: ProcessSpec, ready: asyncio.Event) -> None:
        """Start a child and restart it whenever it exits.

        Raises RuntimeError if the program cannot be started, or has exited too often without becoming ready.
        """
        child = self._find_process_state(process.name)
        failures = 0
        while True:
            child.state = "starting"
            if process.before_start is not None:
                await asyncio.to_thread(process.before_start)
            try:
                running = await self._start_process(process, child)
            except (OSError, EOFError) as error:
                raise RuntimeError(f"{process.name} failed to start: {error}") from error
            started_at = time.monotonic()
            readiness_check = asyncio.create_task(self._wait_until_ready(process, child, ready))
            code = await running.wait()
            readiness_check.cancel()
            uptime_s = time.monotonic() - started_at
            failures = 0 if uptime_s > 60 else failures + 1
            delay_s = RESTART_BACKOFF_S[min(failures, len(RESTART_BACKOFF_S)) - 1] if failures else 0.0
            child.state, child.pid, child.restarts = "restarting", 0, child.restarts + 1
            child.message = f"exited with {code} after {uptime_s:.0f} s; restart in {delay_s} s"
            self._write_state()
            if failures >= MAX_START_ATTEMPTS and not ready.is_set():
                raise RuntimeError(
                    f"{process.name} {child.message}\n--- {process.name}:\n{self._read_log_tail(process.name)}"
                )
            await asyncio.sleep(delay_s)

    async def _start_process(
        self, process: ProcessSpec, child: ProcessState
    ) -> asyncio.subprocess.Process | ForkedProcess:
        for name in process.sockets:
            if not await asyncio.to_thread(_is_socket_in_use, self._config.socket_dir / name):
                (self._config.socket_dir / name).unlink(missing_ok=True)
        running = await self._run_command(process)
        self._subprocesses[process.name] = running
        child.pid, child.start_time = running.pid, get_start_time(running.pid) or 0.0
        self._write_state()
        return running

    async def _run_command(self, process: ProcessSpec) -> asyncio.subprocess.Process | ForkedProcess:
        folder, environment = self._config.folder, services.build_base_environment(self._config)
        environment |= process.environment
        log_path = self._config.ensure_subdirectory("logs") / f"{process.name}.log"
        if process.user is None and process.command[:2] == [sys.executable, "-m"]:
            return await start_module(process.command[2], process.command[3:], folder, environment, log_path)
        with log_path.open("ab") as log:
            return await asyncio.create_subprocess_exec(
                *process.command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                user=process.user,
                group=process.user,
                extra_groups=None if process.user is None else [],
            )

    async def _wait_until_ready(self, process: ProcessSpec, child: ProcessState, ready: asyncio.Event) -> None:
        interval_s = 0.02
        while not await asyncio.to_thread(_is_ready, process, child):
            await asyncio.sleep(interval_s)
            interval_s = min(interval_s * 1.5, 0.3)
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

    async def _terminate(self, running: asyncio.subprocess.Process | ForkedProcess, process: ProcessSpec) -> None:
        start_time = get_start_time(running.pid) or 0.0
        with suppress(ProcessLookupError):
            running.send_signal(process.stop_signal)
        try:
            async with asyncio.timeout(process.stop_timeout_s):
                await running.wait()
        except TimeoutError:
            signal_process_group(running.pid, start_time, signal.SIGKILL)
            await running.wait()

    def _read_log_tail(self, name: str) -> str:
        path = self._config.ensure_subdirectory("logs") / f"{name}.log"
        return (
            "\n".join(path.read_text(errors="replace", encoding="utf-8").splitlines()[-15:])
            if path.exists()
            else "(no log)"
        )


def _is_ready(process: ProcessSpec, child: ProcessState) -> bool:
    """Check readiness and run `on_ready`. Any exception means not ready and becomes the child's message."""
    try:
        if not process.is_ready():
            return False
        if process.on_ready is not None:
            process.on_ready()
    except Exception as error:  # noqa: BLE001 (probes use six protocols with different exceptions)
        child.message = f"not ready: {error}"
        return False
    child.message = child.message if child.restarts else ""
    return True


def _call_ignoring_errors(callback: Callable[[], None]) -> None:
    """Call a hook and ignore connection errors, so that an unresponsive child is still stopped."""
    with suppress(OSError, httpx.HTTPError):
        callback()


def _is_socket_in_use(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True
