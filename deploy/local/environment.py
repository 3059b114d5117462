"""Environment variables of the local runner and of its child processes."""

import os
import re
from collections.abc import MutableMapping

from deploy.local.mesh_config import ROOT, MeshConfig

FOREIGN_NAME_PATTERN = re.compile(
    r"PG[A-Z]+|(RABBITMQ|ERL|NODE|LC)_\w+|PYTHON\w+|LANG(UAGE)?|TZ|(GRPC|HTTPS?|FTP|ALL|NO)_PROXY", re.IGNORECASE
)
"""Variables with which libpq, RabbitMQ, Erlang, Python, Node.js and HTTP clients are configured by the environment."""


def remove_foreign_variables(config: MeshConfig, environment: MutableMapping[str, str] = os.environ) -> None:
    """Remove variables that would misdirect the runner's own connections and commands; ports of the mesh remain."""
    for name in [*environment]:
        if FOREIGN_NAME_PATTERN.fullmatch(name) and name not in config.ports:
            del environment[name]


def build_own_environment(config: MeshConfig) -> dict[str, str]:
    """Return the variables that every child process has instead of the caller's: locale, home, temporary output."""
    return {
        "HOME": str(config.ensure_subdirectory("home")),
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        "PYTHONUTF8": "1",
        "TZ": "UTC",
    }
