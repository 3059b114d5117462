"""`python -m deploy.local.dead_letters …`: run the dead-letter command against the broker of the local mesh."""

import os
import sys

from deploy.local.environment import remove_foreign_variables
from deploy.local.infrastructure.servers import BROKER_OPERATOR, build_broker_url
from deploy.local.mesh_config import MeshConfig
from deploy.local.pki.secrets import Secrets
from services.runtime.messaging import dead_letters_cli


def main() -> int:
    """Set BROKER_URL and run the command. Return its exit code."""
    config = MeshConfig()
    config.validate()
    remove_foreign_variables(config)
    os.environ["BROKER_URL"] = build_broker_url(config, Secrets(config), BROKER_OPERATOR)
    return dead_letters_cli.main()


if __name__ == "__main__":
    sys.exit(main())
