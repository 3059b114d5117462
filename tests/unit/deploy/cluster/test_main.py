"""Commands of the cluster."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.cluster import __main__ as commands
from deploy.cluster.machines import OUTSIDE, Machine, MachineConfig
from deploy.cluster.network import Network
from deploy.local.status import progress


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
