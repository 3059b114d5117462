"""Process specifications, and identification of processes by pid and start time."""

import os
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


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


def read_boot_id() -> str:
    """Return the id of the system's boot, to which start times of processes refer."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()


def get_start_time(pid: int) -> float | None:
    """Return the start time of a process in seconds since the boot, or None if it has exited (proc_pid_stat(5)).

    Pid and start time together identify a process until the next boot, even if the pid is reused. They do not change
    when the wall clock is set.
    """
    try:
        content = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, *fields = content.rpartition(b")")[2].split()  # the name may contain spaces and parentheses
    return None if state in {b"Z", b"X"} else int(fields[18]) / os.sysconf("SC_CLK_TCK")


def signal_process_group(pid: int, start_time: float, signal_number: int) -> bool:
    """Signal the process group of a process if its start time matches. Return whether it was signalled."""
    if get_start_time(pid) != start_time:
        return False
    try:
        os.killpg(pid, signal_number)
    except ProcessLookupError:
        return False
    return True
