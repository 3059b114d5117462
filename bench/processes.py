"""Processes of the benchmarks, each in its own session, terminated together."""

import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import Self

from bench.paths import ROOT


def stop_on_signals() -> None:
    """Exit on the first SIGTERM or SIGINT, so that context managers stop their processes. Ignore further ones."""

    def stop_once(number: int, _: FrameType | None) -> None:
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, signal.SIG_IGN)
        sys.exit(128 + number)

    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, stop_once)


class ProcessGroup:
    """Context manager that terminates the processes it started. Their output goes to one log file."""

    def __init__(self, log: Path, **environment: str) -> None:
        self._log = log
        self._environment = {**os.environ, "PYTHONPATH": str(ROOT), "NO_PROXY": "127.0.0.1", **environment}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        self._log_file = self._stack.enter_context(self._log.open("w", encoding="utf-8"))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def start(self, *module: str, **environment: str) -> int:
        """Start a module as a process, and return its id."""
        process = subprocess.Popen(
            [sys.executable, "-m", *module],
            cwd=ROOT,
            env=self._environment | environment,
            stdout=self._log_file,
            stderr=self._log_file,
            start_new_session=True,
        )
        self._stack.callback(_stop_process, process)
        return process.pid


def _stop_process(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
