"""What a child of the supervisor is, and how processes are recognised again after the supervisor is gone."""

import os
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import psutil


@dataclass(frozen=True)
class Process:
    """One child. `ready` may raise while it is not; `prepare` runs before a start, `finish` once it is ready."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    ready: Callable[[], bool]
    ports: Sequence[str] = ()
    """The variables that set its ports."""
    sockets: Sequence[str] = ()
    """Unix sockets in the run folder that a killed predecessor may have left."""
    stop_signal: int = signal.SIGTERM
    stop_after: float = 15.0
    """Seconds until the stop signal is followed by SIGKILL."""
    user: int | None = None
    prepare: Callable[[], None] | None = None
    finish: Callable[[], None] | None = None
    before_stop: Callable[[], None] | None = None
    """What is said to a child before it is told to stop; an error is no reason not to stop it."""
    also_stop: Sequence[str] = field(default_factory=tuple)
    """A command that ends what the process has started outside its own session."""


def started_at(pid: int) -> float | None:
    """When a process started, in seconds since 1970, or None. With it, a reused pid is never mistaken."""
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.NoSuchProcess:
        return None


def kill_group(pid: int, started: float, number: int) -> bool:
    """Signals the whole session that a process leads, if it is still that process."""
    if started_at(pid) != started:
        return False
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return False
    return True
