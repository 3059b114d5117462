"""Supervisor with test children: stages, restarts, shutdown and orphans.

The supervisor runs in a subprocess, because it handles signals and starts child processes.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

from deploy.local.mesh_config import MeshConfig
from deploy.local.supervisor.process import get_start_time
from deploy.local.supervisor.supervisor import RESTART_BACKOFF_S
from deploy.local.supervisor.supervisor_state import (
    SupervisorState,
    is_supervisor_alive,
    read_supervisor_state,
    stop_orphans,
)
from tests.wait import wait_until

ROOT = Path(__file__).parents[2]

PROGRAM = """
import asyncio, json, sys
from pathlib import Path
from deploy.local.mesh_config import MeshConfig
from deploy.local.supervisor import supervisor
from deploy.local.supervisor.process import ProcessSpec

folder = Path(sys.argv[1])

def define_child(name, code="", command=None, **options):
    command = command or [sys.executable, "-c", code]
    return ProcessSpec(name, command, {"FOLDER": str(folder)}, (folder / f"{name}.ready").exists, **options)

supervisor.define_stages = lambda config, secrets, scope: [
    [define_child(**child) for child in stage] for stage in json.loads(sys.argv[2])
]
sys.exit(asyncio.run(supervisor.Supervisor(MeshConfig(), "servers").run()))
"""

STOPPABLE_CHILD = """
import os, pathlib, signal, threading
folder = pathlib.Path(os.environ["FOLDER"])
(folder / "{name}.ready").touch()
signal.sigwait([signal.SIGTERM])
with (folder / "stopped").open("a") as stopped:
    stopped.write("{name} ")
"""

UNRESPONSIVE_CHILD = """
import os, pathlib, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
(pathlib.Path(os.environ["FOLDER"]) / "unresponsive.ready").touch()
time.sleep(120)
"""


def is_running(pid: int) -> bool:
    """Return whether a process runs; a zombie does not."""
    return get_start_time(pid) is not None


type Start = Callable[..., subprocess.Popen[bytes]]


def stoppable_child(name: str) -> dict[str, object]:
    """Return a child that is immediately ready and exits on SIGTERM."""
    code = "import signal; signal.pthread_sigmask(0, [15])\n" + STOPPABLE_CHILD.format(name=name)
    return {"name": name, "code": code}


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MeshConfig:
    monkeypatch.setenv("DELIVERY_STATE", str(tmp_path))
    return MeshConfig()


@pytest.fixture
def start(config: MeshConfig) -> Iterator[Start]:
    supervisors: list[subprocess.Popen[bytes]] = []

    def start_supervisor(*stages: list[dict[str, object]]) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", PROGRAM, str(config.folder), json.dumps(stages)]
        environment = os.environ | {"PYTHONPATH": f"{ROOT}:{config.folder}", "DELIVERY_STATE": str(config.folder)}
        supervisors.append(subprocess.Popen(command, cwd=ROOT, env=environment, start_new_session=True))
        return supervisors[-1]

    yield start_supervisor
    for supervisor in supervisors:
        supervisor.terminate()
        try:
            supervisor.wait(10)
        except subprocess.TimeoutExpired:
            supervisor.kill()
            supervisor.wait()
    stop_orphans(config)


def read_state_in_phase(config: MeshConfig, phase: str) -> SupervisorState | None:
    """Return the supervisor's state if it is in a phase, else None."""
    state = read_supervisor_state(config)
    return state if state is not None and state.phase == phase else None


def get_pids(state: SupervisorState) -> dict[str, int]:
    return {child.name: child.pid for child in state.children}


def test_stage_starts_when_previous_stage_is_ready(config: MeshConfig, start: Start) -> None:
    start([{"name": "late", "code": "import time; time.sleep(60)"}], [stoppable_child("second")])

    def read_pids_once_started() -> dict[str, int] | None:
        state = read_supervisor_state(config)
        return get_pids(state) if state is not None and get_pids(state)["late"] else None

    assert wait_until(read_pids_once_started)["second"] == 0
    (config.folder / "late.ready").touch()
    assert all(get_pids(wait_until(lambda: read_state_in_phase(config, "ready"))).values())


def test_stages_stop_in_reverse_order(config: MeshConfig, start: Start) -> None:
    supervisor = start([stoppable_child("first")], [stoppable_child("second")])
    state = wait_until(lambda: read_state_in_phase(config, "ready"))
    supervisor.terminate()
    assert supervisor.wait(20) == 0
    assert (config.folder / "stopped").read_text(encoding="utf-8").split() == ["second", "first"]
    assert not any(is_running(pid) for pid in get_pids(state).values())
    assert read_supervisor_state(config) is None


def test_unresponsive_child_is_killed(config: MeshConfig, start: Start) -> None:
    supervisor = start([{"name": "unresponsive", "code": UNRESPONSIVE_CHILD, "stop_timeout_s": 0.5}])
    state = wait_until(lambda: read_state_in_phase(config, "ready"))
    supervisor.terminate()
    assert supervisor.wait(10) == 0
    assert not is_running(get_pids(state)["unresponsive"])


def test_killed_child_is_restarted(config: MeshConfig, start: Start) -> None:
    start([stoppable_child("one"), stoppable_child("other")])
    before = wait_until(lambda: read_state_in_phase(config, "ready"))
    os.kill(get_pids(before)["one"], signal.SIGKILL)

    def read_state_after_restart() -> SupervisorState | None:
        state = read_supervisor_state(config)
        assert state is not None
        child = next(child for child in state.children if child.name == "one")
        return state if child.state == "ready" and child.restarts == 1 else None

    after = wait_until(read_state_after_restart)
    assert get_pids(after)["one"] not in (0, get_pids(before)["one"])
    assert get_pids(after)["other"] == get_pids(before)["other"]
    assert "exited with -9" in next(child.message for child in after.children if child.name == "one")


def test_python_module_is_forked_restarted_and_stopped(config: MeshConfig, start: Start) -> None:
    """Run deploy/local/supervisor/forked_process.py and deploy/local/supervisor/preloaded_libraries.py."""
    code = f'import sys; assert "sqlalchemy" in sys.modules\n{stoppable_child("forked")["code"]}'
    (config.folder / "forked_module.py").write_text(code, encoding="utf-8")
    command = [sys.executable, "-m", "forked_module", "argument"]
    supervisor = start([{"name": "forked", "command": command}], [stoppable_child("last")])
    before = get_pids(wait_until(lambda: read_state_in_phase(config, "ready")))["forked"]
    wait_until(lambda: psutil.Process(before).cmdline()[0] == "forked_module argument")
    assert os.getsid(before) == before
    assert psutil.Process(before).cwd() == str(config.folder)
    os.kill(before, signal.SIGKILL)

    def read_pid_after_restart() -> int | None:
        state = read_supervisor_state(config)
        child = next(child for child in state.children if child.name == "forked") if state else None
        return child.pid if child is not None and child.restarts == 1 and child.state == "ready" else None

    after = wait_until(read_pid_after_restart)
    assert after != before
    supervisor.terminate()
    assert supervisor.wait(20) == 0
    assert (config.folder / "stopped").read_text(encoding="utf-8").split() == ["last", "forked"]
    assert not is_running(after)


def test_module_is_restarted_after_the_end_of_the_process_that_forked_it(config: MeshConfig, start: Start) -> None:
    (config.folder / "forked_module.py").write_text(str(stoppable_child("forked")["code"]), encoding="utf-8")
    start([{"name": "forked", "command": [sys.executable, "-m", "forked_module", "argument"]}])
    before = get_pids(wait_until(lambda: read_state_in_phase(config, "ready")))["forked"]
    assert len([*config.socket_dir.glob("pymp-*/listener-*")]) == 1
    fork_server = psutil.Process(before).parent()
    assert fork_server is not None
    fork_server.kill()

    def is_replaced() -> bool:
        state = read_supervisor_state(config)
        children = state.children if state else ()
        return any(child.pid not in {None, before} and child.state == "ready" for child in children)

    wait_until(is_replaced)
    wait_until(lambda: not is_running(before))


def test_supervisor_stops_while_a_module_is_forked(config: MeshConfig, start: Start) -> None:
    (config.folder / "forked_module.py").write_text("import time; time.sleep(60)", encoding="utf-8")
    supervisor = start([{"name": "forked", "command": [sys.executable, "-m", "forked_module"]}])
    wait_until(lambda: read_supervisor_state(config))
    children = wait_until(lambda: psutil.Process(supervisor.pid).children(recursive=True))
    supervisor.terminate()
    assert supervisor.wait(20) == 0
    psutil.wait_procs(children, 10)
    assert not any(is_running(child.pid) for child in children)


def test_restarts_use_backoff(config: MeshConfig, start: Start) -> None:
    starts = config.folder / "starts"
    start([{"name": "short", "code": f"import time; print(time.time(), file=open({str(starts)!r}, 'a'))"}])

    def read_start_times() -> list[float] | None:
        lines = starts.read_text(encoding="utf-8").split() if starts.exists() else []
        return [float(line) for line in lines] if len(lines) > len(RESTART_BACKOFF_S[:3]) else None

    start_times = wait_until(read_start_times)
    delays = [later - earlier for earlier, later in pairwise(start_times)]
    assert all(delay > backoff for delay, backoff in zip(delays, RESTART_BACKOFF_S[:3], strict=False)), delays


def test_cleanup_command_runs_on_stop(config: MeshConfig, start: Start) -> None:
    marker = config.folder / "cleaned-up"
    supervisor = start([stoppable_child("one") | {"cleanup_command": ["touch", str(marker)]}])
    wait_until(lambda: read_state_in_phase(config, "ready"))
    supervisor.terminate()
    assert supervisor.wait(20) == 0
    assert marker.exists()


def test_cleanup_command_runs_for_exited_child(config: MeshConfig, start: Start) -> None:
    marker = config.folder / "cleaned-up"
    (config.folder / "short.ready").touch()
    supervisor = start([{"name": "short", "code": "", "cleanup_command": ["touch", str(marker)]}])

    def is_between_restarts() -> bool:
        state = read_state_in_phase(config, "ready")
        return state is not None and state.children[0].restarts > 2 and state.children[0].state == "restarting"

    wait_until(is_between_restarts)
    supervisor.terminate()
    assert supervisor.wait(20) == 0
    assert marker.exists()


def test_supervisor_stops_during_start(config: MeshConfig, start: Start) -> None:
    supervisor = start([{"name": "slow", "code": "import time; time.sleep(60)"}])
    wait_until(lambda: read_state_in_phase(config, "starting"))
    supervisor.terminate()
    assert supervisor.wait(20) == 0


def test_missing_program_is_reported(config: MeshConfig, start: Start) -> None:
    start([{"name": "absent", "command": ["no-such-program"]}])
    assert "no-such-program" in wait_until(lambda: read_state_in_phase(config, "failed"), timeout_s=8).error


def test_second_supervisor_does_not_start(config: MeshConfig, start: Start) -> None:
    start([stoppable_child("one")])
    before = wait_until(lambda: read_state_in_phase(config, "ready"))
    second = start([stoppable_child("one")])
    assert second.wait(20) != 0
    assert read_state_in_phase(config, "ready") == before


def test_orphans_of_killed_supervisor_are_stopped(config: MeshConfig, start: Start) -> None:
    supervisor = start([stoppable_child("one"), {"name": "unresponsive", "code": UNRESPONSIVE_CHILD}])
    before = wait_until(lambda: read_state_in_phase(config, "ready"))
    supervisor.kill()
    supervisor.wait()
    assert not is_supervisor_alive(before)
    assert stop_orphans(config) == 2
    assert not any(is_running(pid) for pid in get_pids(before).values())
    assert stop_orphans(config) == 0


def test_children_of_running_supervisor_are_not_orphans(config: MeshConfig, start: Start) -> None:
    start([stoppable_child("one")])
    before = wait_until(lambda: read_state_in_phase(config, "ready"))
    assert stop_orphans(config) == 0
    assert is_running(get_pids(before)["one"])
