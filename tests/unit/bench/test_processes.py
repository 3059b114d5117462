"""Processes of the benchmarks, which end with the program also when it is stopped by a signal."""

import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.conftest import ROOT
from tests.wait import wait_until

PROGRAM = """
import sys, time
from pathlib import Path
from bench.processes import ProcessGroup, stop_on_signals

stop_on_signals()
with ProcessGroup(Path(sys.argv[1])) as processes:
    print(processes.start("http.server", "--bind", "127.0.0.1", "0"), flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_processes_end_when_a_signal_stops_the_program(tmp_path: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "log")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, encoding="utf-8") as program:
        assert program.stdout is not None
        pid = int(program.stdout.readline())
        assert psutil.pid_exists(pid)
        for _ in range(2):
            program.send_signal(number)
        assert program.wait(20) == 128 + number
    wait_until(lambda: not psutil.pid_exists(pid), 5)
