"""The supervisor of a mesh that has no time: every patience that services can be told is short."""

import asyncio
import sys

from deploy.local import services
from deploy.local.state import State
from deploy.local.supervisor import Supervisor

_SCHEDULE = ",".join(["1", "2", "3", *["5"] * 30])

IMPATIENT = {
    "UNPAID_MINUTES": "0.5",
    "SWEEP_SECONDS": "1",
    "BANK_TIMEOUT": "3",
    "PARTNER_TIMEOUT": "3",
    "PARTNER_SCHEDULE": _SCHEDULE,
    "REFUND_SCHEDULE": _SCHEDULE,
    "SANDBOX_SLOW_SECONDS": "4",
}
"""What services are told on top of what they are told everywhere on this machine."""


def main() -> int:
    """Runs until it is told to stop."""
    services.INHERITED += tuple(IMPATIENT)  # type: ignore[assignment]
    state = State()
    state.folder.mkdir(parents=True, exist_ok=True)
    return asyncio.run(Supervisor(state, "all").run())


if __name__ == "__main__":
    sys.exit(main())
