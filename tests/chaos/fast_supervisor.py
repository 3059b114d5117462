"""Supervisor of a mesh with short timeouts and retry delays."""

import asyncio
import sys

from deploy.local.infrastructure import services
from deploy.local.mesh_config import MeshConfig
from deploy.local.supervisor.supervisor import Supervisor

_RETRY_SCHEDULE = ",".join(["1", "2", "3", *["5"] * 30])

SHORT_TIMEOUTS = {
    "UNPAID_ORDER_TIMEOUT_MINUTES": "0.5",
    "EXPIRY_POLL_INTERVAL_SECONDS": "1",
    "BANK_TIMEOUT_SECONDS": "3",
    "PARTNER_TIMEOUT_SECONDS": "3",
    "PARTNER_RETRY_DELAYS_SECONDS": _RETRY_SCHEDULE,
    "REFUND_RETRY_DELAYS_SECONDS": _RETRY_SCHEDULE,
    "SANDBOX_FAULT_DELAY_SECONDS": "4",
}
"""Environment variables of services, in addition to those of the local runner."""


def main() -> int:
    """Run the supervisor until it receives a stop signal."""
    services.INHERITED_VARIABLES += tuple(SHORT_TIMEOUTS)  # type: ignore[assignment]
    config = MeshConfig()
    config.create_folder()
    return asyncio.run(Supervisor(config, "all").run())


if __name__ == "__main__":
    sys.exit(main())
