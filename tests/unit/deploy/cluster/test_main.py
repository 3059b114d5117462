"""Commands of the cluster."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.cluster import __main__ as commands
from deploy.cluster.machines import OUTSIDE, Machine, MachineConfig
from deploy.cluster.network import Network
from deploy.local.status import progress
from deploy.local.supervisor.supervisor_state import create_supervisor_state, write_supervisor_state


@pytest.mark.parametrize("command", ["up", "down", "demo"])
def test_command_of_another_user_than_root_is_rejected(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert commands.main([command]) == 1
    assert capsys.readouterr().err == "network namespaces need root\n"


def test_supervisor_runs_outside_of_the_machines() -> None:
    network = Network(Path("/state"))
    command = commands.build_command(network, "supervise", "tests.cluster")
    assert command == network.build_outside_command([sys.executable, "-m", "tests.cluster", "supervise"])


def test_addresses_name_both_edges_and_the_namespace(
    configs: dict[Machine, MachineConfig], capsys: pytest.CaptureFixture[str]
) -> None:
    network = Network(Path("/state"))
    commands.print_addresses(configs[OUTSIDE], network)
    output = capsys.readouterr().out
    assert "10.77.0.21:8080 and 10.77.0.22:8080" in output
    assert f"ip netns exec {network.get_namespace(OUTSIDE)} COMMAND" in output


def test_unknown_machine_is_rejected() -> None:
    with pytest.raises(SystemExit):
        commands.main(["disconnect", "data9"])


def test_starting_cluster_is_stopped_before_it_has_written_its_state(
    configs: dict[Machine, MachineConfig],
    supervisors: list[subprocess.Popen[bytes]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(progress, "wait_until_ready", lambda *_: 1)
    monkeypatch.setattr(Network, "create", lambda _: None)
    monkeypatch.setattr(Network, "exists", lambda _: False)
    config = configs[OUTSIDE]
    assert commands.start(config, Network(config.folder)) == 1
    assert commands.stop(config, Network(config.folder)) == 0
    assert supervisors[0].wait(5) == -signal.SIGTERM


def test_cluster_is_started_after_its_predecessor_has_stopped(
    configs: dict[Machine, MachineConfig],
    supervisors: list[subprocess.Popen[bytes]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = configs[OUTSIDE]
    predecessor = subprocess.Popen(["supervisor"], start_new_session=True)
    state = create_supervisor_state(config, predecessor.pid, "all")
    write_supervisor_state(config, replace(state, phase="failed", error="an earlier error"))
    monkeypatch.setattr(progress, "wait_until_ready", lambda _config, pid, _timeout_s: pid)
    monkeypatch.setattr(Network, "create", lambda _: None)
    assert commands.start(config, Network(config.folder)) == supervisors[1].pid
    assert predecessor.wait(5) == -signal.SIGTERM
