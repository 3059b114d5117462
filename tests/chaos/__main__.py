"""Chaos test (`make test-chaos`), configured by SEED, ORDERS and KILLS. Writes a summary to chaos/results.json."""

import asyncio
import os
import secrets
import sys
from pathlib import Path

from rich.console import Console

from tests.chaos.mesh import ROOT, MeshStartError, run_mesh
from tests.chaos.run import RunConfig, print_result, run

PORT_OFFSET = 5000
"""Offset of all ports. Above 5300 they would overlap the kernel's range of ephemeral ports."""


def main() -> int:
    """Run the chaos test. Return 0 if no invariant is violated."""
    environment = os.environ
    config = RunConfig(
        seed=int(environment.get("SEED") or secrets.randbelow(1_000_000)),
        order_count=int(environment.get("ORDERS") or 200),
        kill_count=int(environment.get("KILLS") or 30),
        fault_interval_s=float(environment.get("FAULT_INTERVAL") or 2.5),
        stabilisation_timeout_s=float(environment.get("STABILISATION_TIMEOUT") or 150),
        order_timeout_s=float(environment.get("ORDER_TIMEOUT") or 600),
        targets=tuple(filter(None, environment.get("TARGETS", "").split(","))),
    )
    console = Console(soft_wrap=True)
    console.print(f"SEED={config.seed}: {config.order_count} orders, {config.kill_count} kills", highlight=False)
    folder = Path(environment.get("DELIVERY_STATE", ROOT / ".local/chaos"))
    try:
        with run_mesh(folder, int(environment.get("PORT_OFFSET", PORT_OFFSET))) as mesh:
            result = asyncio.run(run(mesh, config, console))
    except MeshStartError as error:
        console.print(f"the mesh did not start: {error}", markup=False)
        return 1
    result.write_summary(ROOT / "chaos/results.json")
    print_result(result, console)
    return 1 if result.findings else 0


if __name__ == "__main__":
    sys.exit(main())
