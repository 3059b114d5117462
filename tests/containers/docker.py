"""Docker Engine: a running one, or one with a socket, data root and exec root of its own that is stopped again."""

import os
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Self

import psutil

from tests.conftest import ROOT
from tests.containers.firewall import Firewall
from tests.containers.terminal import ContainerTestError, run_command
from tests.wait import wait_until

STATE_DIR = ROOT / ".local/containers/docker"
EXEC_ROOT = Path("/run/delivery-docker")
"""Short, since the path of a Unix socket is limited to 107 bytes."""

START_TIMEOUT_S, STOP_TIMEOUT_S = 60.0, 60.0
COMPOSE_FILES = ("docker-compose.yml", "compose.local.yml")
COMPOSE_PROJECT = "delivery-test"
"""Different from the name in docker-compose.yml, so that `down -v` never deletes the volumes of a user."""


VARIABLES = (
    *("COMPOSE_FILE", "COMPOSE_PROJECT_NAME", "RATE_LIMIT_FACTOR"),
    *("DOCKER_HOST", "DOCKER_BUILDKIT", "DOCKER_CONFIG"),
)
"""Variables that are set while the engine is used. Podman reads DOCKER_CONFIG too, and fails without a file in it."""


class DockerError(ContainerTestError):
    """Docker Engine is missing or did not start."""


def run_docker(*arguments: str) -> str:
    """Run docker and return its standard output. Raises CommandError."""
    return run_command("docker", *arguments)


def is_engine_running() -> bool:
    """Return whether an engine responds at DOCKER_HOST or the default socket."""
    return subprocess.run(["docker", "version"], capture_output=True, check=False).returncode == 0


class DockerEngine:
    """Docker Engine during the block, with VARIABLES for child processes."""

    def __init__(self) -> None:
        self._process: psutil.Process | None = None
        self._firewall: Firewall | None = None
        self._pid_file = EXEC_ROOT / "docker.pid"
        self._environment: dict[str, str | None] = {}
        self.is_own = False

    def __enter__(self) -> Self:
        self._environment = {name: os.environ.get(name) for name in VARIABLES}
        os.environ |= {"COMPOSE_FILE": ":".join(COMPOSE_FILES), "COMPOSE_PROJECT_NAME": COMPOSE_PROJECT}
        os.environ.setdefault("RATE_LIMIT_FACTOR", "10000")
        if shutil.which("docker") is None or not is_engine_running():
            self._start()
        if self.is_own or subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode:
            install_compose_plugin(STATE_DIR / "config")
        return self

    def __exit__(self, *_: object) -> None:
        if self.is_own:
            self._stop()
        for name, value in self._environment.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value

    def describe(self) -> str:
        """Return the versions of engine and Compose."""
        engine = run_docker("version", "--format", "{{.Server.Version}}")
        origin = "started by this test" if self.is_own else "was running"
        return f"Docker Engine {engine} ({origin}), Compose {run_docker('compose', 'version', '--short')}"

    def _start(self) -> None:
        """Start the engine, or adopt one that an interrupted run has left. Raises DockerError."""
        program = shutil.which("dockerd", path=f"{os.environ['PATH']}:/usr/sbin")
        if program is None or os.getuid() != 0:
            raise DockerError("no Docker Engine is running, and starting one needs the package docker.io and root")
        self.is_own = True
        for folder in (STATE_DIR, EXEC_ROOT):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Without a plugin for BuildKit, both programs use the builder of the engine.
        os.environ |= {"DOCKER_HOST": f"unix://{EXEC_ROOT}/docker.sock", "DOCKER_BUILDKIT": "0"}
        self._firewall = Firewall.read()
        self._process = self._find_running()
        if self._process is None:
            self._pid_file.unlink(missing_ok=True)
            self._process = self._launch(program)
        try:
            wait_until(self._is_ready, START_TIMEOUT_S, interval_s=0.2, description="Docker Engine")
        except (TimeoutError, DockerError):
            self._stop()
            raise

    def _launch(self, program: str) -> psutil.Process:
        (STATE_DIR / "daemon.json").write_text("{}", encoding="utf-8")
        options = {
            "host": os.environ["DOCKER_HOST"],
            "config-file": STATE_DIR / "daemon.json",
            "data-root": STATE_DIR / "data",
            "exec-root": EXEC_ROOT,
            "pidfile": self._pid_file,
            "log-level": "warn",
        }
        with (STATE_DIR / "dockerd.log").open("w", encoding="utf-8") as log:
            process = subprocess.Popen(
                [program, *(f"--{name}={value}" for name, value in options.items())],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # an interrupt stops the containers first
            )
        return psutil.Process(process.pid)

    def _find_running(self) -> psutil.Process | None:
        with suppress(OSError, ValueError, psutil.NoSuchProcess):
            process = psutil.Process(int(self._pid_file.read_text(encoding="utf-8")))
            if process.name() == "dockerd":
                return process
        return None

    def _is_ready(self) -> bool:
        """Return whether the engine responds. Raises DockerError if it has exited."""
        if self._process is None or not self._process.is_running() or self._process.status() == psutil.STATUS_ZOMBIE:
            log = (STATE_DIR / "dockerd.log").read_text(encoding="utf-8").splitlines()
            raise DockerError("\n".join(["dockerd exited:", *log[-8:]]))
        return is_engine_running()

    def _stop(self) -> None:
        """Stop the engine and remove its processes, mounts, network interface and firewall rules."""
        if self._process is not None:
            descendants = self._process.children(recursive=True) if self._process.is_running() else []
            with suppress(psutil.NoSuchProcess):
                self._process.send_signal(signal.SIGTERM)
            _, alive = psutil.wait_procs([self._process, *descendants], timeout=STOP_TIMEOUT_S)
            for process in alive:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            psutil.wait_procs(alive, timeout=5)
        for path in find_mounts(Path("/proc/self/mountinfo").read_text(encoding="utf-8"), (EXEC_ROOT, STATE_DIR)):
            subprocess.run(["umount", path], check=False, capture_output=True)
        subprocess.run(["ip", "link", "delete", "docker0"], check=False, capture_output=True)
        if self._firewall is not None:
            self._firewall.restore()
        shutil.rmtree(EXEC_ROOT, ignore_errors=True)


def find_mounts(mountinfo: str, folders: tuple[Path, ...]) -> list[str]:
    """Return the mount points below the folders, the deepest first."""
    points = [line.split()[4] for line in mountinfo.splitlines()]
    below = [point for point in points if any(Path(point).is_relative_to(folder) for folder in folders)]
    return sorted(below, key=len, reverse=True)


def install_compose_plugin(config_dir: Path) -> None:
    """Make `docker compose` run the Compose of the virtual environment, and set DOCKER_CONFIG.

    Raises DockerError.
    """
    program = shutil.which("docker-compose")
    if program is None:
        raise DockerError("Compose is missing in the virtual environment; install it with: make setup")
    plugin = config_dir / "cli-plugins/docker-compose"
    plugin.parent.mkdir(parents=True, exist_ok=True)
    plugin.unlink(missing_ok=True)
    plugin.symlink_to(program)
    os.environ["DOCKER_CONFIG"] = str(config_dir)
