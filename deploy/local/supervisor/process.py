"""Process specifications, and identification of processes by pid and start time."""

import os
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import psutil


@dataclass(frozen=True)
class ProcessSpec:
    """Specification of a child process.

    `is_ready` may raise while the process is not ready. `before_start` runs before each start. `on_ready` runs when the
    readiness check succeeds, again until it does not raise; then the process is ready.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    is_ready: Callable[[], bool]
    port_variables: Sequence[str] = ()
    """Environment variables that set its ports."""
    sockets: Sequence[str] = ()
    """Unix sockets in the run folder; stale sockets of a killed predecessor are removed before a start."""
    stop_signal: int = signal.SIGTERM
    stop_timeout_s: float = 15.0
    """Seconds between the stop signal and SIGKILL."""
    user: int | None = None
    before_start: Callable[[], None] | None = None
    on_ready: Callable[[], None] | None = None
    before_stop: Callable[[], None] | None = None
    """Called before the stop signal; connection errors are ignored."""
    cleanup_command: Sequence[str] = field(default_factory=tuple)
    """Command that stops processes which the child has started outside its session."""


def get_start_time(pid: int) -> float | None:
    """Return the start time of a process as a Unix timestamp, or None if it has exited.

    Pid and start time together identify a process even if the pid is reused.
    """
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.NoSuchProcess:
        return None


def signal_process_group(pid: int, start_time: float, signal_number: int) -> bool:
    """Signal the process group of a process if its start time matches. Return whether it was signalled."""
    if get_start_time(pid) != start_time:
        return False
    try:
        os.killpg(pid, signal_number)
    except ProcessLookupError:
        return False
    return True
