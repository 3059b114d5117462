"""`delivery …` on the mesh that runs here."""

import os
import sys

from deploy.local.infrastructure.servers import broker_url
from deploy.local.mesh_config import MeshConfig
from deploy.local.pki.secrets import Secrets
from services.runtime.messaging import dead_letters_cli


def main() -> int:
    """Tells the command where this machine's broker is; its exit code."""
    state = MeshConfig()
    os.environ["BROKER_URL"] = broker_url(state, Secrets(state), "gateway")
    return dead_letters_cli.main()


if __name__ == "__main__":
    sys.exit(main())
