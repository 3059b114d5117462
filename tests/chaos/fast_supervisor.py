"""The supervisor of a mesh that has no time: every patience that services can be told is short."""

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
"""What services are told on top of what they are told everywhere on this machine."""


def main() -> int:
    """Runs until it is told to stop."""
    services.INHERITED_VARIABLES += tuple(SHORT_TIMEOUTS)  # type: ignore[assignment]
    state = MeshConfig()
    state.folder.mkdir(parents=True, exist_ok=True)
    return asyncio.run(Supervisor(state, "all").run())


if __name__ == "__main__":
    sys.exit(main())
