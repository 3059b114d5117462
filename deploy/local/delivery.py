"""`delivery …` on the mesh that runs here."""

import os
import sys

from deploy.local.secrets import Secrets
from deploy.local.servers import broker_url
from deploy.local.state import State
from services.runtime import delivery


def main() -> int:
    """Tells the command where this machine's broker is; its exit code."""
    state = State()
    os.environ["BROKER_URL"] = broker_url(state, Secrets(state), "gateway")
    return delivery.main()


if __name__ == "__main__":
    sys.exit(main())
