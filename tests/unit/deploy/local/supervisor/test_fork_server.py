"""Fork server that shares its libraries with the process that started it."""

import json
import subprocess
import sys
from typing import Any

from tests.conftest import ROOT

PRELUDE = """
import json, os, signal
from multiprocessing import get_context
from deploy.local.supervisor.fork_server import prepare_fork_server

REPORT = '''
import json, os, sys
print(json.dumps({"parent": os.getppid(), "modules": [*sys.modules]}), flush=True)
'''

def run_process():
    process = get_context("forkserver").Process(target=exec, args=(REPORT,))
    process.start()
    process.join()

def list_children():
    with open(f"/proc/self/task/{os.getpid()}/children") as children:
        return [int(child) for child in children.read().split()]

import colorsys
prepare_fork_server()
import generated.mesh
"""


def run_program(statements: str) -> list[Any]:
    """Run statements in a program that has forked early. Return the JSON documents of it and of its processes."""
    result = subprocess.run(
        [sys.executable, "-c", PRELUDE + statements],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
        encoding="utf-8",
    )
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_processes_have_the_modules_imported_before_the_fork() -> None:
    children, *reports = run_program("print(json.dumps(list_children()), flush=True); run_process(); run_process()")
    assert len(reports) == 2
    for report in reports:
        assert report["parent"] in children
        assert "colorsys" in report["modules"]
        assert "generated.mesh" not in report["modules"]


def test_fork_server_is_started_as_a_program_after_it_was_killed() -> None:
    statements = """
run_process()
server = list_children()[0]
print(server, flush=True)
os.kill(server, signal.SIGKILL)
os.waitid(os.P_PID, server, os.WEXITED | os.WNOWAIT)
run_process()
"""
    first, server, second = run_program(statements)
    assert first["parent"] == server != second["parent"]
    assert "colorsys" not in second["modules"]


def test_unused_fork_that_was_killed_is_replaced_by_a_program() -> None:
    statements = """
fork = list_children()[0]
print(fork, flush=True)
os.kill(fork, signal.SIGKILL)
os.waitid(os.P_PID, fork, os.WEXITED | os.WNOWAIT)
run_process()
"""
    fork, report = run_program(statements)
    assert report["parent"] != fork
    assert "colorsys" not in report["modules"]


def test_unused_fork_server_exits_with_the_program() -> None:
    """It has the standard output of the program, for whose end `run_program` waits."""
    assert run_program("") == []
