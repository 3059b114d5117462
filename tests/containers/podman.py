"""Podman with separate storage and configuration, so that other containers of the machine are not affected."""

import os
import resource
import subprocess
from collections.abc import Sequence

from tests.conftest import ROOT
from tests.containers.terminal import CommandError, format_failure

STATE_DIR = ROOT / ".local/containers"

CONTAINERS_CONFIG = """
[containers]
default_ulimits = ["nofile={files}:{files}", "nproc=4096:4096"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[network]
network_config_dir = "{folder}/networks"
"""
STORAGE_CONFIG = """
[storage]
driver = "overlay"
graphroot = "{folder}/storage"
runroot = "/run/delivery-containers"
"""


def configure_podman() -> None:
    """Configure Podman for this process and its children. Limits do not exceed those of the machine."""
    STATE_DIR.mkdir(parents=True, exist_ok=True)
    files = min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], 65536)
    config_files = {
        "CONTAINERS_CONF": ("containers.conf", CONTAINERS_CONFIG),
        "CONTAINERS_STORAGE_CONF": ("storage.conf", STORAGE_CONFIG),
    }
    for variable, (name, template) in config_files.items():
        (STATE_DIR / name).write_text(template.format(folder=STATE_DIR, files=files), encoding="utf-8")
        os.environ[variable] = str(STATE_DIR / name)


def run_podman(*arguments: str, check: bool = True, stdin_text: str | None = None) -> str:
    """Run podman and return its standard output. Raises CommandError."""
    result = subprocess.run(
        ["podman", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        input=stdin_text,
        encoding="utf-8",
    )
    if check and result.returncode:
        raise CommandError(format_failure(("podman", *arguments), (result.stdout + result.stderr).splitlines()))
    return result.stdout.strip()


def read_logs(name: str, lines: int = 15) -> str:
    """Return the last log lines of a container."""
    command = ["podman", "logs", f"--tail={lines}", name]
    return subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, encoding="utf-8"
    ).stdout


def load_images(images: Sequence[str]) -> None:
    """Copy images from Docker. Raises CommandError."""
    with subprocess.Popen(["docker", "save", *images], stdout=subprocess.PIPE) as saved:
        command = ("podman", "load", "--quiet")
        loaded = subprocess.run(
            command, stdin=saved.stdout, capture_output=True, text=True, check=False, encoding="utf-8"
        )
    if saved.returncode or loaded.returncode:
        raise CommandError(format_failure(("docker", "save", *images, "|", *command), loaded.stderr.splitlines()))
