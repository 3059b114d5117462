"""The supervisor with children of its own: order, restarts, stops, and what it leaves when it is killed.

In a process of its own, because a supervisor handles signals and its children are its process's.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

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

ROOT = Path(__file__).parents[2]

PROGRAM = """
import asyncio, json, sys
from pathlib import Path
from deploy.local import supervisor
from deploy.local.supervisor.process import Process
from deploy.local.mesh_config import State

folder = Path(sys.argv[1])

def child(name, code="", command=None, **more):
    command = command or [sys.executable, "-c", code]
    return Process(name, command, {"FOLDER": str(folder)}, (folder / f"{name}.ready").exists, **more)

supervisor.stages = lambda state, secrets, extent: [
    [child(**one) for one in stage] for stage in json.loads(sys.argv[2])
]
sys.exit(asyncio.run(supervisor.Supervisor(State(), "servers").run()))
"""

LIVES = """
import os, pathlib, signal, threading
folder = pathlib.Path(os.environ["FOLDER"])
(folder / "{name}.ready").touch()
signal.sigwait([signal.SIGTERM])
with (folder / "ended").open("a") as ended:
    ended.write("{name} ")
"""

DEAF = """
import os, pathlib, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
(pathlib.Path(os.environ["FOLDER"]) / "deaf.ready").touch()
time.sleep(120)
"""


def runs(pid: int) -> bool:
    """Whether a process runs; one that only waits to be reaped does not."""
    return get_start_time(pid) is not None


type Start = Callable[..., subprocess.Popen[bytes]]


def lives(name: str) -> dict[str, object]:
    """A child that is ready at once and ends on SIGTERM."""
    return {"name": name, "code": "import signal; signal.pthread_sigmask(0, [15])\n" + LIVES.format(name=name)}


def until[T](said: Callable[[], T | None], within: float = 20.0) -> T:
    """The first answer that is not None or False."""
    end = time.monotonic() + within
    while time.monotonic() < end:
        if answer := said():
            return answer
        time.sleep(0.02)
    raise AssertionError("it did not happen in time")


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MeshConfig:
    monkeypatch.setenv("DELIVERY_STATE", str(tmp_path))
    return MeshConfig()


@pytest.fixture
def start(state: MeshConfig) -> Iterator[Start]:
    begun: list[subprocess.Popen[bytes]] = []

    def of(*stages: list[dict[str, object]]) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", PROGRAM, str(state.folder), json.dumps(stages)]
        environment = os.environ | {"PYTHONPATH": str(ROOT), "DELIVERY_STATE": str(state.folder)}
        begun.append(subprocess.Popen(command, cwd=ROOT, env=environment, start_new_session=True))
        return begun[-1]

    yield of
    for supervisor in begun:
        supervisor.terminate()
        try:
            supervisor.wait(10)
        except subprocess.TimeoutExpired:
            supervisor.kill()
            supervisor.wait()
    stop_orphans(state)


def phase(state: MeshConfig, wanted: str) -> SupervisorState | None:
    """The report, once it says this."""
    report = read_supervisor_state(state)
    return report if report is not None and report.phase == wanted else None


def pids(report: SupervisorState) -> dict[str, int]:
    return {child.name: child.pid for child in report.children}


def test_a_stage_waits_for_the_one_before(state: MeshConfig, start: Start) -> None:
    start([{"name": "late", "code": "import time; time.sleep(60)"}], [lives("second")])

    def begun() -> dict[str, int] | None:
        report = read_supervisor_state(state)
        return pids(report) if report is not None and pids(report)["late"] else None

    assert until(begun)["second"] == 0
    (state.folder / "late.ready").touch()
    assert all(pids(until(lambda: phase(state, "ready"))).values())


def test_the_last_stage_stops_first_and_nothing_is_left(state: MeshConfig, start: Start) -> None:
    supervisor = start([lives("below")], [lives("above")])
    report = until(lambda: phase(state, "ready"))
    supervisor.terminate()
    assert supervisor.wait(20) == 0
    assert (state.folder / "ended").read_text().split() == ["above", "below"]
    assert not any(runs(pid) for pid in pids(report).values())
    assert read_supervisor_state(state) is None


def test_what_does_not_stop_is_killed(state: MeshConfig, start: Start) -> None:
    supervisor = start([{"name": "deaf", "code": DEAF, "stop_after": 0.5}])
    report = until(lambda: phase(state, "ready"))
    supervisor.terminate()
    assert supervisor.wait(10) == 0
    assert not runs(pids(report)["deaf"])


def test_what_dies_is_started_again(state: MeshConfig, start: Start) -> None:
    start([lives("one"), lives("other")])
    before = until(lambda: phase(state, "ready"))
    os.kill(pids(before)["one"], signal.SIGKILL)

    def again() -> SupervisorState | None:
        report = read_supervisor_state(state)
        assert report is not None
        child = next(child for child in report.children if child.name == "one")
        return report if child.state == "ready" and child.restarts == 1 else None

    after = until(again)
    assert pids(after)["one"] not in (0, pids(before)["one"])
    assert pids(after)["other"] == pids(before)["other"]
    assert "ended with -9" in next(child.message for child in after.children if child.name == "one")


def test_what_keeps_dying_is_started_ever_more_seldom(state: MeshConfig, start: Start) -> None:
    starts = state.folder / "starts"
    start([{"name": "short", "code": f"import time; print(time.time(), file=open({str(starts)!r}, 'a'))"}])

    def times() -> list[float] | None:
        said = starts.read_text().split() if starts.exists() else []
        return [float(at) for at in said] if len(said) > len(RESTART_BACKOFF_S[:3]) else None

    begun = until(times)
    pauses = [later - earlier for earlier, later in pairwise(begun)]
    assert all(pause > least for pause, least in zip(pauses, RESTART_BACKOFF_S[:3], strict=False)), pauses


def test_what_a_child_left_elsewhere_is_stopped_with_it(state: MeshConfig, start: Start) -> None:
    marker = state.folder / "also"
    supervisor = start([lives("one") | {"also_stop": ["touch", str(marker)]}])
    until(lambda: phase(state, "ready"))
    supervisor.terminate()
    assert supervisor.wait(20) == 0
    assert marker.exists()


def test_what_a_dead_child_left_elsewhere_is_stopped_too(state: MeshConfig, start: Start) -> None:
    marker = state.folder / "also"
    (state.folder / "short.ready").touch()
    supervisor = start([{"name": "short", "code": "", "also_stop": ["touch", str(marker)]}])

    def between_two_starts() -> bool:
        report = phase(state, "ready")
        return report is not None and report.children[0].restarts > 2 and report.children[0].state == "restarting"

    until(between_two_starts)
    supervisor.terminate()
    assert supervisor.wait(20) == 0
    assert marker.exists()


def test_a_mesh_can_be_stopped_while_it_starts(state: MeshConfig, start: Start) -> None:
    supervisor = start([{"name": "slow", "code": "import time; time.sleep(60)"}])
    until(lambda: phase(state, "starting"))
    supervisor.terminate()
    assert supervisor.wait(20) == 0


def test_a_program_that_is_missing_is_named_at_once(state: MeshConfig, start: Start) -> None:
    start([{"name": "absent", "command": ["no-such-program"]}])
    assert "no-such-program" in until(lambda: phase(state, "failed"), within=8).error


def test_a_second_supervisor_refuses_to_start(state: MeshConfig, start: Start) -> None:
    start([lives("one")])
    before = until(lambda: phase(state, "ready"))
    second = start([lives("one")])
    assert second.wait(20) != 0
    assert phase(state, "ready") == before


def test_what_a_killed_supervisor_leaves_is_found_and_stopped(state: MeshConfig, start: Start) -> None:
    supervisor = start([lives("one"), {"name": "deaf", "code": DEAF}])
    before = until(lambda: phase(state, "ready"))
    supervisor.kill()
    supervisor.wait()
    assert not is_supervisor_alive(before)
    assert stop_orphans(state) == 2
    assert not any(runs(pid) for pid in pids(before).values())
    assert stop_orphans(state) == 0


def test_orphans_of_a_living_supervisor_are_none(state: MeshConfig, start: Start) -> None:
    start([lives("one")])
    before = until(lambda: phase(state, "ready"))
    assert stop_orphans(state) == 0
    assert runs(pids(before)["one"])
