"""Podman, with storage and limits of its own, so that nothing else of this machine is touched."""

import os
import resource
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT

STATE_DIR = ROOT / ".local/containers"
COMPOSE_FILES = ("docker-compose.yml", "compose.local.yml")

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
    """Says what every podman of this process and its children is to use. Limits are never above the machine's own."""
    STATE_DIR.mkdir(parents=True, exist_ok=True)
    files = min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], 65536)
    told = {
        "CONTAINERS_CONF": ("containers.conf", CONTAINERS_CONFIG),
        "CONTAINERS_STORAGE_CONF": ("storage.conf", STORAGE_CONFIG),
    }
    for variable, (name, text) in told.items():
        (STATE_DIR / name).write_text(text.format(folder=STATE_DIR, files=files))
        os.environ[variable] = str(STATE_DIR / name)
    os.environ["BUILDAH_FORMAT"] = "docker"  # OCI's has no HEALTHCHECK


def run_podman(*arguments: str, check: bool = True, stdin_text: str | None = None) -> str:
    """What it prints. Raises CalledProcessError, after printing what it said."""
    done = subprocess.run(
        ["podman", *arguments], cwd=ROOT, capture_output=True, text=True, check=False, input=stdin_text
    )
    if check and done.returncode:
        print(done.stdout[-2000:], done.stderr[-4000:], sep="\n", file=sys.stderr)
        done.check_returncode()
    return done.stdout.strip()


def is_healthy(name: str) -> bool:
    """Runs a container's health check once."""
    return subprocess.run(["podman", "healthcheck", "run", name], capture_output=True, check=False).returncode == 0


def read_logs(name: str, lines: int = 15) -> str:
    """What a container said last."""
    command = ["podman", "logs", f"--tail={lines}", name]
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False).stdout


def build_image(target: str, *images: str) -> None:
    """Builds one target of the Dockerfile, which takes packages from where this machine does."""
    tags = [f"--tag={image}" for image in images]
    run_podman("build", "-q", "--network=host", f"--target={target}", *tags, "--file=deploy/containers/Dockerfile", ".")


def run_compose(*arguments: str) -> str:
    """podman-compose on the files of this repository. Raises CalledProcessError."""
    program = Path(sys.executable).with_name("podman-compose")
    named = [f"--file={name}" for name in COMPOSE_FILES]
    done = subprocess.run([program, *named, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stdout[-2000:], done.stderr[-4000:], sep="\n", file=sys.stderr)
        done.check_returncode()
    return done.stdout
