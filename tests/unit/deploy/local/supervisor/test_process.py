"""Identification of processes by pid and start time, and signals to process groups."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from deploy.local.supervisor.process import get_start_time, signal_process_group
from tests.wait import wait_until

PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(child.pid, flush=True)
time.sleep(60)
"""


@pytest.fixture
def process_tree() -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Return a session leader and the pid of its child."""
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True, start_new_session=True, encoding="utf-8"
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        yield parent, child
        if parent.poll() is None:
            os.killpg(parent.pid, signal.SIGKILL)


def has_exited(pid: int) -> bool:
    """Return whether a process has exited or is a zombie."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_signal_reaches_whole_process_group(process_tree: tuple[subprocess.Popen[str], int]) -> None:
    parent, child = process_tree
    start_time = get_start_time(parent.pid)
    assert start_time is not None
    assert signal_process_group(parent.pid, start_time, signal.SIGKILL)
    assert parent.wait(5) == -signal.SIGKILL
    wait_until(lambda: has_exited(child), 5, description="child has exited")


def test_reused_pid_is_not_signalled(process_tree: tuple[subprocess.Popen[str], int]) -> None:
    parent, _ = process_tree
    start_time = get_start_time(parent.pid)
    assert start_time is not None
    assert not signal_process_group(parent.pid, start_time - 1, signal.SIGKILL)
    assert parent.poll() is None


def test_exited_process_is_not_signalled() -> None:
    with subprocess.Popen(["true"], start_new_session=True) as process:
        start_time = get_start_time(process.pid) or 0.0
        process.wait()
    assert get_start_time(process.pid) is None
    assert not signal_process_group(process.pid, start_time, signal.SIGKILL)


def test_zombie_counts_as_exited() -> None:
    with subprocess.Popen(["true"], start_new_session=True) as zombie:
        os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
        assert get_start_time(zombie.pid) is None


def test_start_time_does_not_change_when_the_clock_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    start_time, boot_time = get_start_time(os.getpid()), psutil.boot_time()
    monkeypatch.setattr("psutil._pslinux.boot_time", lambda: boot_time + 5)
    assert get_start_time(os.getpid()) == start_time


def test_start_time_of_program_with_parentheses_in_its_name(tmp_path: Path) -> None:
    program = tmp_path / "a) Z 1 (b"
    shutil.copy(shutil.which("sleep") or "", program)
    now_s = time.clock_gettime(time.CLOCK_BOOTTIME)
    with subprocess.Popen([program, "60"]) as process:
        start_time = get_start_time(process.pid)
        process.kill()
    assert start_time == pytest.approx(now_s, abs=5)
