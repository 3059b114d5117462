"""Python programs that are forked from a process with their libraries, whose memory they share."""

import asyncio
import multiprocessing
import os
import runpy
import shutil
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from setproctitle import setproctitle

from deploy.local.supervisor.process import get_start_time, signal_process_group

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["deploy.local.supervisor.preloaded_libraries"])


def set_socket_folder(folder: Path) -> None:
    """Set the folder of the socket by which processes are forked, and remove the one of a killed supervisor."""
    for stale in folder.glob("pymp-*"):
        shutil.rmtree(stale)
    tempfile.tempdir = str(folder)


class ForkedProcess:
    """Running program, with the attributes of `asyncio.subprocess.Process` that the supervisor uses."""

    def __init__(self, process: ForkServerProcess) -> None:
        self._process = process
        self._exited = asyncio.Event()
        self.pid = process.pid or 0
        self._start_time = get_start_time(self.pid)
        self.returncode: int | None = None
        asyncio.get_running_loop().add_reader(process.sentinel, self._record_exit)

    async def wait(self) -> int:
        """Wait until the process has exited. Return its exit code, or the negative number of the signal."""
        await self._exited.wait()
        return self.returncode or 0

    def send_signal(self, number: int) -> None:
        """Send a signal. Raises ProcessLookupError if the process has exited."""
        os.kill(self.pid, number)

    def _record_exit(self) -> None:
        """Record the exit code. After the end of the process that forked it, the program still runs and is killed."""
        asyncio.get_running_loop().remove_reader(self._process.sentinel)
        self.returncode = self._process.exitcode
        if self._start_time is not None:
            signal_process_group(self.pid, self._start_time, signal.SIGKILL)
        self._process.close()
        self._exited.set()


async def start_module(
    module: str, arguments: Sequence[str], folder: Path, environment: Mapping[str, str], log: Path
) -> ForkedProcess:
    """Run `python -m MODULE ARGUMENTS` in a session of its own, which appends its output to the log.

    Raises OSError or EOFError if the process cannot be forked.
    """
    process = _CONTEXT.Process(target=_run_module, args=(module, arguments, folder, dict(environment), log))
    starting = asyncio.create_task(asyncio.to_thread(process.start))
    try:
        await asyncio.shield(starting)
    except asyncio.CancelledError:
        await starting
        process.kill()
        raise
    return ForkedProcess(process)


def _run_module(module: str, arguments: Sequence[str], folder: Path, environment: Mapping[str, str], log: Path) -> None:
    os.setsid()
    setproctitle(" ".join([module, *arguments]))  # it finds its place by the initial environment
    os.chdir(folder)
    with log.open("ab") as output:
        for descriptor in (1, 2):
            os.dup2(output.fileno(), descriptor)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv[1:] = arguments
    runpy.run_module(module, run_name="__main__", alter_sys=True)
