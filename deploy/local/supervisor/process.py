"""What a child of the supervisor is, and how processes are recognised again after the supervisor is gone."""

import os
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import psutil


@dataclass(frozen=True)
class ProcessSpec:
    """One child. `ready` may raise while it is not; `prepare` runs before a start, `finish` once it is ready."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    is_ready: Callable[[], bool]
    port_variables: Sequence[str] = ()
    """The variables that set its ports."""
    sockets: Sequence[str] = ()
    """Unix sockets in the run folder that a killed predecessor may have left."""
    stop_signal: int = signal.SIGTERM
    stop_timeout_s: float = 15.0
    """Seconds until the stop signal is followed by SIGKILL."""
    user: int | None = None
    before_start: Callable[[], None] | None = None
    on_ready: Callable[[], None] | None = None
    before_stop: Callable[[], None] | None = None
    """What is said to a child before it is told to stop; an error is no reason not to stop it."""
    cleanup_command: Sequence[str] = field(default_factory=tuple)
    """A command that ends what the process has started outside its own session."""


def get_start_time(pid: int) -> float | None:
    """When a process started, in seconds since 1970, or None. With it, a reused pid is never mistaken."""
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.NoSuchProcess:
        return None


def signal_process_group(pid: int, start_time: float, signal_number: int) -> bool:
    """Signals the whole session that a process leads, if it is still that process."""
    if get_start_time(pid) != start_time:
        return False
    try:
        os.killpg(pid, signal_number)
    except ProcessLookupError:
        return False
    return True
