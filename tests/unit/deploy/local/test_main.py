"""Commands of the local runner that start no process: locking, addresses and messages."""

import fcntl
import os
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.local import __main__ as runner
from deploy.local.mesh_config import MeshConfig
from deploy.local.supervisor.process import get_start_time
from deploy.local.supervisor.supervisor_state import SupervisorState, write_supervisor_state
from tests.wait import wait_until


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MeshConfig:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return MeshConfig({"DELIVERY_STATE": str(tmp_path)})


def write_running_state(config: MeshConfig) -> MeshConfig:
    """Write the state of a running mesh; return a configuration of the same folder with other ports."""
    ports = {"EDGE_PORT": config.get_port("EDGE_PORT")}
    start_time = get_start_time(os.getpid())
    assert start_time is not None
    write_supervisor_state(config, SupervisorState(os.getpid(), start_time, "all", "ready", ports=ports))
    return MeshConfig({"DELIVERY_STATE": str(config.folder), "PORT_OFFSET": "1000"})


def start_with_other_ports(config: MeshConfig) -> int:
    """Start a mesh, which is rejected because it is running with other ports."""
    return runner.start_mesh(write_running_state(config), "all")


@pytest.mark.parametrize(
    ("command", "exit_code"), [(start_with_other_ports, 1), (runner.stop_mesh, 0)], ids=["start", "stop"]
)
def test_second_command_waits_for_the_first(
    config: MeshConfig,
    capsys: pytest.CaptureFixture[str],
    command: Callable[[MeshConfig], int],
    exit_code: int,
) -> None:
    exit_codes: list[int] = []
    with (config.folder / "start.lock").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        second = threading.Thread(target=lambda: exit_codes.append(command(config)))
        second.start()
        error = wait_until(lambda: capsys.readouterr().err, description="the second command waits")
        assert error == "another command is starting this mesh; waiting until it has ended\n"
        assert not exit_codes
    second.join(10)
    assert exit_codes == [exit_code]


def test_running_mesh_is_not_reused_with_other_ports(config: MeshConfig, capsys: pytest.CaptureFixture[str]) -> None:
    assert start_with_other_ports(config) == 1
    error = capsys.readouterr().err
    assert "EDGE_PORT is 8080, not 9080" in error
    assert "make down" in error


def test_stop_without_mesh_prints_that_it_is_not_running(
    config: MeshConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    assert runner.stop_mesh(config) == 0
    assert capsys.readouterr().out == "the mesh is not running\n"


def test_stop_removes_temporary_socket_dir(config: MeshConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = MeshConfig({"DELIVERY_STATE": str(config.folder.joinpath(*["a-rather-long-name"] * 6))})
    deep.folder.mkdir(parents=True)
    assert not deep.socket_dir.is_relative_to(deep.folder)
    runner.stop_mesh(deep)
    assert not deep.socket_dir.exists()


def test_addresses_of_developers_are_printed(config: MeshConfig, capsys: pytest.CaptureFixture[str]) -> None:
    runner.print_addresses(config)
    output = capsys.readouterr().out
    for address in (
        "http://127.0.0.1:8080/shop",
        "http://127.0.0.1:8080/console",
        "http://127.0.0.1:8080/docs",
        "http://127.0.0.1:8080/api/v1",
        config.sandbox_url,
        config.traces_url,
    ):
        assert address in output


@pytest.mark.parametrize("exit_code", [0, 1])
def test_demo_ends_with_the_addresses(
    config: MeshConfig, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, exit_code: int
) -> None:
    def run_scenarios(*_: str) -> int:
        print("scenarios")
        return exit_code

    monkeypatch.setattr(runner, "start_mesh", lambda *_: 0)
    monkeypatch.setattr(runner.scenarios, "main", run_scenarios)
    assert runner.run_demo(config) == exit_code
    first, *addresses = capsys.readouterr().out.splitlines()
    assert first == "scenarios"
    assert "http://127.0.0.1:8080/shop" in addresses[0]


def test_invalid_setting_ends_the_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sys.argv", ["deploy.local", "status"])
    monkeypatch.setenv("DELIVERY_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("PORT_OFFSET", "99999")
    with pytest.raises(SystemExit, match="PORT_OFFSET: is too high"):
        runner.main()
    assert not (tmp_path / "state").exists()
