"""Start of the supervisor as a process in a session of its own, after the end of its predecessor."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy.local.mesh_config import MeshConfig
from deploy.local.status import progress
from deploy.local.supervisor.supervisor_state import (
    SupervisorState,
    create_supervisor_state,
    read_running_state,
    stop_orphans,
    stop_supervisor,
    write_supervisor_state,
)

INTERRUPTED_EXIT_CODE = 130
"""Exit code of a command that was interrupted: 128 and the number of SIGINT, as in shells."""

STOPPING_PHASES = frozenset({"failed", "stopping"})
"""Phases in which a supervisor stops its children and exits."""


def wait_for_stopping_supervisor(config: MeshConfig, timeout_s: float) -> SupervisorState | None:
    """Return the state of a supervisor that is starting or ready, or None.

    Wait until a supervisor that is stopping has exited, and kill it after the timeout.
    """
    state = read_running_state(config)
    if state is None or state.phase not in STOPPING_PHASES:
        return state
    print("waiting until the previous mesh has stopped", file=sys.stderr)
    stop_supervisor(config, timeout_s)
    return None


def start_supervisor(
    config: MeshConfig,
    scope: str,
    command: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    start_timeout_s: float,
    stop_timeout_s: float,
) -> int:
    """Start the supervisor and wait until the mesh is ready. Return the exit code.

    The state is written at once, so that other commands find the supervisor before it writes its state itself. An
    interrupt stops the mesh.
    """
    with (config.ensure_subdirectory("logs") / "supervisor.log").open("ab") as log:
        supervisor = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        write_supervisor_state(config, create_supervisor_state(config, supervisor.pid, scope))
        return progress.wait_until_ready(config, supervisor.pid, start_timeout_s)
    except KeyboardInterrupt:
        print("interrupted; stopping the mesh", file=sys.stderr)
        supervisor.terminate()
        stop_supervisor(config, stop_timeout_s)
        stop_orphans(config)
        return INTERRUPTED_EXIT_CODE
