"""The servers that services stand on, for integration tests alone, so that no service consumes what they publish."""

import os
import subprocess
import sys
from pathlib import Path

from deploy.local.secrets import Secrets
from deploy.local.services import environment
from deploy.local.state import ROOT, State


class Servers:
    """PostgreSQL, RabbitMQ, Memcached and the document store in a folder and on ports of their own."""

    def __init__(self, folder: Path, offset: int) -> None:
        self.variables = {"DELIVERY_STATE": str(folder), "PORT_OFFSET": str(offset)}
        self.state = State(self.variables)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs the local runner for them."""
        return subprocess.run(
            [sys.executable, "-m", "deploy.local", *arguments],
            cwd=ROOT,
            env=os.environ | self.variables,
            capture_output=True,
            text=True,
            check=False,
        )

    def settings(self, service: str) -> dict[str, str]:
        """What a service would be told."""
        return dict(environment(self.state, Secrets(self.state), service))
