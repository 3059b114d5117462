"""Output of `make status` without a terminal, for a running and for a stopped mesh."""

import os
import subprocess
import sys

import httpx

from deploy.local.mesh_config import MeshConfig
from deploy.local.supervisor.supervisor_state import read_supervisor_state
from tests.conftest import ROOT, Mesh


def run_status(**overrides: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "deploy.local", "status"]
    environment = os.environ | {"COLUMNS": "80", **overrides}
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60, encoding="utf-8"
    )


def test_status_shows_every_process_queue_and_outbox(mesh: Mesh, edge: httpx.Client) -> None:
    edge.get("/catalog")
    result = run_status()
    assert result.returncode == 0, result.stdout + result.stderr
    assert "\x1b" not in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80
    report = read_supervisor_state(MeshConfig())
    assert report is not None
    processes, *_ = result.stdout.split("\noutboxes")
    lines = {line.split()[0]: line.split() for line in processes.splitlines() if line.strip()}
    for child in report.children:
        assert lines[child.name][1] == "ready"
    assert float(lines["gateway-envoy"][-1].replace(",", "")) >= 1
    for name in ("orders.history", "partners.calls", "notifications.requested", "orders.retry.1s", "outboxes"):
        assert name in result.stdout


def test_status_reports_stopped_mesh(tmp_path: object) -> None:
    result = run_status(DELIVERY_STATE=str(tmp_path))
    assert (result.returncode, result.stdout) == (1, "the mesh is not running; `make up` starts it\n")
