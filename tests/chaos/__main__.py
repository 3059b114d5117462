"""`make chaos`: SEED, ORDERS and KILLS say what is done; chaos/results.json says what came of it."""

import asyncio
import os
import secrets
import sys
from pathlib import Path

from rich.console import Console

from tests.chaos.mesh import ROOT, MeshStartError, running_mesh
from tests.chaos.run import RunConfig, print_result, run

PORT_OFFSET = 5000
"""Shifts every port; beyond 5300 they would lie where the kernel takes ports from for connections that leave."""


def main() -> int:
    """0 when nothing is wrong."""
    told = os.environ
    asked = RunConfig(
        seed=int(told.get("SEED") or secrets.randbelow(1_000_000)),
        order_count=int(told.get("ORDERS") or 200),
        kill_count=int(told.get("KILLS") or 30),
        fault_interval_s=float(told.get("GAP") or 2.5),
        stabilisation_timeout_s=float(told.get("QUIET") or 150),
        order_timeout_s=float(told.get("LONGEST") or 600),
        targets=tuple(filter(None, told.get("TARGETS", "").split(","))),
    )
    console = Console(soft_wrap=True)
    console.print(f"SEED={asked.seed}: {asked.order_count} orders, {asked.kill_count} kills", highlight=False)
    folder = Path(told.get("DELIVERY_STATE", ROOT / ".local/chaos"))
    try:
        with running_mesh(folder, int(told.get("PORT_OFFSET", PORT_OFFSET))) as mesh:
            result = asyncio.run(run(mesh, asked, console))
    except MeshStartError as error:
        console.print(f"the mesh did not start: {error}", markup=False)
        return 1
    result.write_summary(ROOT / "chaos/results.json")
    print_result(result, console)
    return 1 if result.findings else 0


if __name__ == "__main__":
    sys.exit(main())
