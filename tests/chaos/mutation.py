"""Mutation test of the chaos test (`make test-chaos-mutations`): it must find each injected defect.

A defect becomes visible only if a fault hits the time window that it leaves unprotected. The mutations therefore extend
that window by `DELAY_STATEMENT`, and each of them is tested with several seeds. The unmutated copy must pass.
"""

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from rich.console import Console

from deploy.local.mesh_config import CALLEES
from tests.chaos.invariants import FindingKind
from tests.mutation import Mutation, copy_repository

SEEDS = (1, 2, 3)
DELAY_STATEMENT = "await asyncio.sleep(1)\n"


@dataclass(frozen=True)
class ChaosMutation(Mutation):
    """A mutation, and the processes to inject faults into so that it becomes visible."""

    targets: str = ",".join((*CALLEES, "rabbitmq", "postgres", "documents"))


MUTATIONS = (
    ChaosMutation("no mutation"),
    ChaosMutation("no mutation, faults that must not repeat a push notification", targets="rabbitmq,partners"),
    ChaosMutation(
        "inbox accepts duplicate events",
        "services/runtime/messaging/inbox.py",
        {
            "    return await transaction.execute(_INSERT": (
                f"    {DELAY_STATEMENT}    return await transaction.execute(_INSERT"
            ),
            "(_INSERT, **values) == 1": "(_INSERT, **values) >= 0",
            "        transaction.defer(_INSERT_NEW, **values)\n": "",
            "rows).on_conflict_do_nothing()": (
                'rows).on_conflict_do_update(index_elements=["queue", "event_id"], set_={"at": _table.c.at})'
            ),
            "from datetime": "import asyncio\nfrom datetime",
        },
        "rabbitmq,partners",
    ),
    ChaosMutation(
        "outbox deletes events before they are published",
        "services/runtime/messaging/outbox.py",
        {
            "            async with claim_lock:\n                held_types": (
                "            if True:\n                held_types"
            ),
            "                confirmed =": (
                f"        {DELAY_STATEMENT}"
                "        async with claim_lock:\n            if True:\n                confirmed ="
            ),
            "            returned_ids = await confirmed": "        returned_ids = await confirmed",
            "            returned = [": "        returned = [",
            "            if returned:\n                await": "        if returned:\n            await",
        },
        "rabbitmq,orders",
    ),
    ChaosMutation(
        "messages are acknowledged before they are handled",
        "services/runtime/messaging/consumer.py",
        {
            "                outcome = await self._handle_with_retry(message)\n"
            "                self._channel.acknowledge(message)": (
                "                self._channel.acknowledge(message)\n"
                f"                {DELAY_STATEMENT}"
                "                outcome = await self._handle_with_retry(message)"
            )
        },
        "orders,documents,postgres,partners,rabbitmq",
    ),
)


def run_chaos(mutation: ChaosMutation, repository_dir: Path, seed: int) -> subprocess.CompletedProcess[str]:
    """Run the chaos test in the copy of the repository."""
    parameters = {
        "ORDERS": "60",
        "KILLS": "12",
        "FAULT_INTERVAL": "1.2",
        "STABILISATION_TIMEOUT": "30",
        "ORDER_TIMEOUT": "90",
    }
    environment = {
        **os.environ,
        **parameters,
        "TARGETS": mutation.targets,
        "PYTHONPATH": str(repository_dir),
        "DELIVERY_STATE": str(repository_dir / ".local/chaos"),
        "SEED": str(seed),
    }
    return subprocess.run(
        [sys.executable, "-m", "tests.chaos"],
        cwd=repository_dir,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )


def find_failing_run(mutation: ChaosMutation) -> tuple[int, subprocess.CompletedProcess[str]] | None:
    """Run the chaos test on a mutated copy with each seed until it fails. Return the seed and the result, if any."""
    with tempfile.TemporaryDirectory(prefix="chaos-mutation-") as folder:
        repository_dir = Path(folder)
        copy_repository(repository_dir)
        mutation.apply(repository_dir)
        # One run is enough for the unmutated copy.
        for seed in SEEDS if mutation.file else SEEDS[:1]:
            result = run_chaos(mutation, repository_dir, seed)
            if result.returncode:
                return seed, result
    return None


def main() -> int:
    """Return 0 if the unmutated copy passes and each mutation is found with one of the seeds.

    Arguments select mutations whose name contains all of them.
    """
    console = Console(soft_wrap=True)
    unexpected_count = 0
    for mutation in MUTATIONS:
        if not all(word in mutation.name for word in sys.argv[1:]):
            continue
        failing_run = find_failing_run(mutation)
        output = failing_run[1].stdout.splitlines() if failing_run else []
        kinds = get_args(FindingKind.__value__)
        findings = [line for line in output if line.split(" ")[0] in kinds and ":" in line]
        is_expected = bool(findings) == bool(mutation.file)
        unexpected_count += not is_expected
        summary = f"SEED={failing_run[0]}: {len(findings)} findings" if failing_run and findings else "no findings"
        console.print(f"[{'green' if is_expected else 'red'}]{mutation.name}[/]: {summary}", highlight=False)
        errors = failing_run[1].stderr.splitlines() if failing_run else []
        lines = findings[:5] if is_expected else [*output[-15:], *errors[-5:]]
        console.print("\n".join(f"    {line}" for line in lines), highlight=False, markup=False)
    return 1 if unexpected_count else 0


if __name__ == "__main__":
    sys.exit(main())
