"""Ports that tests choose for servers."""

import socket
import subprocess
import sys

import pytest

from tests import free_ports
from tests.conftest import ROOT


def test_ports_of_another_process_are_not_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(free_ports, "PORTS", range(24_000, 24_010))
    program = f"""
from tests import free_ports

free_ports.PORTS = {free_ports.PORTS}
free_ports.find_free_ports(6)
print("reserved", flush=True)
input()
"""
    with subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        assert other.stdout.readline() == b"reserved\n"
        with pytest.raises(ValueError, match="fewer than 5"):
            free_ports.find_free_ports(5)
        other.stdin.write(b"\n")


def test_port_with_a_server_is_not_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setattr(free_ports, "PORTS", range(port, port + 1))
        with pytest.raises(ValueError, match="fewer than 1"):
            free_ports.find_free_port()
