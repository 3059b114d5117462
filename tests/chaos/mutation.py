"""`make chaos-proof`: that chaos finds what it is there to find. Each defect is planted into a copy of the repository.

What is planted never was in the repository itself. A defect shows only when a blow meets the moment that it leaves
unguarded, so that moment is made long (`MOMENT`), and each has a few seeds to be caught with; the copy without any
must pass.
"""

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from tests.mutation import Mutation, copy_repository

SEEDS = (1, 2, 3)
DELAY_STATEMENT = "await asyncio.sleep(1)\n"


@dataclass(frozen=True)
class ChaosMutation(Mutation):
    """A defect, and which processes are beaten, so that it shows."""

    targets: str = "orders,partners,notifications,rabbitmq,postgres,documents"


MUTATIONS = (
    ChaosMutation("nothing"),
    ChaosMutation("nothing, where each push must come once", targets="rabbitmq,partners"),
    ChaosMutation(
        "the inbox lets every repetition pass",
        "services/runtime/messaging/inbox.py",
        {
            "event_id=event_id, at=datetime.now(UTC)) == 1": "event_id=event_id, at=datetime.now(UTC)) >= 0",
            'return {(row["queue"], row["event_id"]) for row in rows}': f"{DELAY_STATEMENT}    return {{*pairs}}",
            "from collections.abc": "import asyncio\nfrom collections.abc",
        },
        "rabbitmq,partners",
    ),
    ChaosMutation(
        "an event leaves the outbox before it is published",
        "services/runtime/messaging/outbox.py",
        {
            "            async with turn:\n                rows =": "            rows =",
            "                confirmed =": (
                f"        {DELAY_STATEMENT}        async with turn:\n            if True:\n                confirmed ="
            ),
            "            await confirmed": "        await confirmed",
        },
        "rabbitmq,orders",
    ),
    ChaosMutation(
        "a message is acknowledged before its work is done",
        "services/runtime/messaging/consumer.py",
        {
            "            outcome = await _take(channel, consumer, message)\n            channel.acknowledge(message)": (
                "            channel.acknowledge(message)\n"
                f"            {DELAY_STATEMENT}"
                "            outcome = await _take(channel, consumer, message)"
            )
        },
        "orders,documents,postgres,partners,rabbitmq",
    ),
)


def run_with_mutation(mutation: ChaosMutation, repository_dir: Path, seed: int) -> subprocess.CompletedProcess[str]:
    """One run of chaos in the copy."""
    size = {"ORDERS": "60", "KILLS": "12", "GAP": "1.2", "QUIET": "30", "LONGEST": "90", "TARGETS": mutation.targets}
    told = {
        **os.environ,
        "PYTHONPATH": str(repository_dir),
        "DELIVERY_STATE": str(repository_dir / ".local/chaos"),
        "SEED": str(seed),
    }
    return subprocess.run(
        [sys.executable, "-m", "tests.chaos"],
        cwd=repository_dir,
        env=told | size,
        check=False,
        capture_output=True,
        text=True,
    )


def main() -> int:
    """0 when chaos passes with nothing planted, and catches each defect with one of the seeds; words choose some."""
    console = Console(soft_wrap=True)
    wrong = 0
    for defect in [planted for planted in MUTATIONS if all(word in planted.name for word in sys.argv[1:])]:
        with tempfile.TemporaryDirectory(prefix="chaos-proof-") as folder:
            where = Path(folder)
            copy_repository(where)
            defect.apply(where)
            caught = None
            for seed in SEEDS:
                done = run_with_mutation(defect, where, seed)
                if done.returncode or not defect.file:
                    caught = done if done.returncode else None
                    break
        said = [] if caught is None else caught.stdout.splitlines()
        found = [line for line in said if line.split(" ")[0] in ("lost", "doubled", "stuck") and ":" in line]
        good = bool(found) == bool(defect.file)
        wrong += not good
        verdict = f"caught with SEED={seed}, {len(found)} findings" if found else "nothing found"
        console.print(f"[{'green' if good else 'red'}]{defect.name}[/]: {verdict}", highlight=False)
        shown = found[:5] if good else [*said[-15:], *(caught.stderr.splitlines()[-5:] if caught else [])]
        console.print("\n".join(f"    {line}" for line in shown), highlight=False, markup=False)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
