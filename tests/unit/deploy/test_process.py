"""Processes are recognised by their start, too, so that a reused pid is never signalled."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import psutil
import pytest

from deploy.local.supervisor.process import get_start_time, signal_process_group

PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(child.pid, flush=True)
time.sleep(60)
"""


@pytest.fixture
def family() -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A process that leads a session, and the pid of its child in it."""
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        yield parent, child
        if parent.poll() is None:
            os.killpg(parent.pid, signal.SIGKILL)


def ends(pid: int, within: float = 5.0) -> bool:
    """Whether a process is gone, or waits only to be reaped, before `within` seconds have passed."""
    end = time.monotonic() + within
    while time.monotonic() < end:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.02)
    return False


def test_a_group_is_signalled_whole(family: tuple[subprocess.Popen[str], int]) -> None:
    parent, child = family
    started = get_start_time(parent.pid)
    assert started is not None
    assert signal_process_group(parent.pid, started, signal.SIGKILL)
    assert parent.wait(5) == -signal.SIGKILL
    assert ends(child)


def test_a_reused_pid_is_left_alone(family: tuple[subprocess.Popen[str], int]) -> None:
    parent, _ = family
    started = get_start_time(parent.pid)
    assert started is not None
    assert not signal_process_group(parent.pid, started - 1, signal.SIGKILL)
    assert parent.poll() is None


def test_what_has_ended_is_not_signalled() -> None:
    with subprocess.Popen(["true"], start_new_session=True) as gone:
        started = get_start_time(gone.pid) or 0.0
        gone.wait()
    assert get_start_time(gone.pid) is None
    assert not signal_process_group(gone.pid, started, signal.SIGKILL)


def test_what_waits_to_be_reaped_has_ended() -> None:
    with subprocess.Popen(["true"], start_new_session=True) as zombie:
        os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
        assert get_start_time(zombie.pid) is None
