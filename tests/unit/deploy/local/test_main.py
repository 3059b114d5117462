"""Commands of the local runner, with a program that sleeps as the supervisor: locking, addresses and messages."""

import errno
import fcntl
import os
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.local import __main__ as runner
from deploy.local.mesh_config import MeshConfig
from deploy.local.pki import external_callers
from deploy.local.status import progress
from deploy.local.supervisor.launcher import INTERRUPTED_EXIT_CODE
from deploy.local.supervisor.process import ProcessSpec, get_start_time
from deploy.local.supervisor.supervisor_state import (
    SupervisorState,
    create_supervisor_state,
    is_supervisor_alive,
    read_supervisor_state,
    write_supervisor_state,
)
from tests.wait import wait_until


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MeshConfig:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(runner, "define_stages", lambda *_: [])
    return MeshConfig({"DELIVERY_STATE": str(tmp_path)})


def define_listeners(monkeypatch: pytest.MonkeyPatch, *port_variables: str) -> None:
    """Replace the processes of the mesh by one that listens on ports."""
    process = ProcessSpec("process", [], {}, bool, port_variables)
    monkeypatch.setattr(runner, "define_stages", lambda *_: [[process]])


def find_port_errors(config: MeshConfig, **variables: str) -> list[str]:
    return runner.find_ports_in_use(MeshConfig({"DELIVERY_STATE": str(config.folder), **variables}), "all")


@pytest.mark.parametrize(("name", "bind_variable"), [("EDGE_PORT", "BIND"), ("GATEWAY_ADMIN_PORT", "ADMIN_BIND")])
def test_port_is_checked_at_the_address_of_its_listener(
    config: MeshConfig, monkeypatch: pytest.MonkeyPatch, name: str, bind_variable: str
) -> None:
    define_listeners(monkeypatch, name)
    with socket.create_server(("127.0.0.2", 0)) as server:
        number = str(server.getsockname()[1])
        assert find_port_errors(config, **{name: number}) == []
        (error,) = find_port_errors(config, **{name: number, bind_variable: "127.0.0.2"})
    assert f"port {number} (" in error
    assert error.endswith(f"is in use; set {name} to another port, or PORT_OFFSET for all ports")


@pytest.mark.parametrize("variable", ["BIND", "ADMIN_BIND"])
def test_address_of_another_machine_is_reported_once(
    config: MeshConfig, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    define_listeners(monkeypatch, "EDGE_PORT", "OPS_PORT", "GATEWAY_ADMIN_PORT", "OPS_ADMIN_PORT")
    errors = find_port_errors(config, PORT_OFFSET="9000", **{variable: "192.0.2.1"})  # RFC 5737: for documentation
    assert errors == [f"{variable} is no address of this machine; set it to another address"]


def test_port_without_permission_is_reported(config: MeshConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    def bind(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    define_listeners(monkeypatch, "EDGE_PORT")
    monkeypatch.setattr(socket.socket, "bind", bind)
    (error,) = find_port_errors(config, EDGE_PORT="443")
    assert error.startswith("port 443 (")
    assert error.endswith(" cannot be used: Permission denied; set EDGE_PORT to another port")


def interrupt(*_: object) -> int:
    raise KeyboardInterrupt


def test_supervisor_is_stopped_before_it_has_written_its_state(
    config: MeshConfig, supervisors: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "wait_until_ready", lambda *_: 1)
    assert runner.start_mesh(config, "all") == 1
    assert supervisors[0].poll() is None
    assert runner.stop_mesh(config) == 0
    assert supervisors[0].wait(5) == -signal.SIGTERM
    assert read_supervisor_state(config) is None


def test_supervisor_that_has_not_written_its_state_is_started_once(
    config: MeshConfig, supervisors: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "wait_until_ready", lambda *_: 1)
    monkeypatch.setattr(external_callers, "ensure_certificates", lambda _: None)
    for _ in range(2):
        assert runner.start_mesh(config, "all") == 1
    assert len(supervisors) == 1


@pytest.mark.parametrize("phase", ["failed", "stopping"])
def test_mesh_is_started_after_its_predecessor_has_stopped(
    config: MeshConfig,
    supervisors: list[subprocess.Popen[bytes]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    phase: str,
) -> None:
    predecessor = subprocess.Popen(["supervisor"], start_new_session=True)
    state = create_supervisor_state(config, predecessor.pid, "all")
    changed_ports = state.ports | {"EDGE_PORT": 1}
    write_supervisor_state(config, replace(state, phase=phase, error="an earlier error", ports=changed_ports))
    monkeypatch.setattr(progress, "wait_until_ready", lambda _config, pid, _timeout_s: pid)
    assert runner.start_mesh(config, "all") == supervisors[1].pid
    assert predecessor.wait(5) == -signal.SIGTERM
    assert capsys.readouterr().err == "waiting until the previous mesh has stopped\n"


def test_interrupt_does_not_stop_the_mesh_of_another_command(
    config: MeshConfig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "wait_until_ready", interrupt)
    write_supervisor_state(config, create_supervisor_state(config, os.getpid(), "servers"))
    assert runner.start_mesh(config, "servers") == INTERRUPTED_EXIT_CODE
    assert is_supervisor_alive(read_supervisor_state(config))
    assert capsys.readouterr().err == "interrupted; the mesh that another command has started is running on\n"


def test_interrupted_command_prints_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "run_command", interrupt)
    assert runner.main() == INTERRUPTED_EXIT_CODE


def test_stop_includes_a_mesh_started_while_it_waits(
    config: MeshConfig, supervisors: list[subprocess.Popen[bytes]], capsys: pytest.CaptureFixture[str]
) -> None:
    exit_codes: list[int] = []
    with runner.lock_start(config):
        stop = threading.Thread(target=lambda: exit_codes.append(runner.stop_mesh(config)))
        stop.start()
        wait_until(lambda: capsys.readouterr().err, description="the command waits")
        supervisor = subprocess.Popen(["supervisor"], start_new_session=True)
        write_supervisor_state(config, create_supervisor_state(config, supervisor.pid, "all"))
    stop.join(10)
    assert exit_codes == [0]
    assert supervisor.wait(5) == -signal.SIGTERM
    assert "not running" not in capsys.readouterr().out


def test_stop_does_not_remove_the_sockets_of_a_running_mesh(
    config: MeshConfig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    deep = create_deep_config(config)
    monkeypatch.setattr(runner, "stop_supervisor", lambda *_: None)
    write_supervisor_state(deep, create_supervisor_state(deep, os.getpid(), "all"))
    assert runner.stop_mesh(deep) == 1
    assert deep.socket_dir.exists()
    assert capsys.readouterr().err == f"the supervisor with the process id {os.getpid()} has not stopped\n"


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


def create_deep_config(config: MeshConfig) -> MeshConfig:
    """Return a configuration whose folder of sockets is outside of its long folder."""
    deep = MeshConfig({"DELIVERY_STATE": str(config.folder.joinpath(*["a-rather-long-name"] * 6))})
    deep.folder.mkdir(parents=True)
    assert not deep.socket_dir.is_relative_to(deep.folder)
    return deep


def test_stop_removes_temporary_socket_dir(config: MeshConfig) -> None:
    deep = create_deep_config(config)
    socket_dir = deep.socket_dir
    assert runner.stop_mesh(deep) == 0
    assert not socket_dir.exists()


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
