"""`make test`: runs the parts of the test suite side by side and prints the duration of each part.

Each group is one pytest process with servers, ports and a state folder of its own. Parts that measure ratios or inject
faults into a whole mesh run afterwards, alone. Arguments are passed to every pytest process.
"""

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from tests.conftest import ROOT, STATE_DIR

PARALLEL_GROUPS = {
    "services": ("unit", "contract", "integration"),
    "mesh": ("docs", "e2e", "security", "browser", "fuzz", "contract_coverage"),
}
"""`contract_coverage` reads the traffic of the other parts of its group, so it is the last one there."""
EXCLUSIVE_GROUPS = {"faults": ("chaos", "performance")}
DURATION_PREFIX = "duration: "
"""Start of the lines with durations that tests/conftest.py prints."""
FAILURE_PREFIXES = ("FAILED tests/", "ERROR tests/")
"""Start of the lines with failed tests in pytest's short summary."""


@dataclass(frozen=True)
class GroupResult:
    """Result of one group."""

    name: str
    status: int
    duration_s: float
    durations: tuple[str, ...]
    failures: tuple[str, ...]
    summary: str


def run_group(name: str, parts: Sequence[str], arguments: Sequence[str]) -> GroupResult:
    """Run the parts in one pytest process and print its output line by line, prefixed with the group."""
    paths = [f"tests/{part}" for part in parts]
    started = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", *paths, *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
    )
    assert process.stdout is not None
    durations: list[str] = []
    failures: list[str] = []
    summary = ""
    for line in process.stdout:
        text = line.rstrip("\n")
        if text.startswith(DURATION_PREFIX):
            durations.append(text.removeprefix(DURATION_PREFIX))
            continue
        if text.startswith(FAILURE_PREFIXES):
            failures.append(text)
        if text.startswith("=") and " in " in text:
            summary = text.strip("= ")
        print(f"[{name}] {text}", flush=True)
    return GroupResult(name, process.wait(), time.monotonic() - started, tuple(durations), tuple(failures), summary)


def run_groups_in_parallel(groups: dict[str, tuple[str, ...]], arguments: Sequence[str]) -> list[GroupResult]:
    """Run each group in a thread of its own and return the results in the order of the groups."""
    results: dict[str, GroupResult] = {}

    def run(name: str, parts: tuple[str, ...]) -> None:
        results[name] = run_group(name, parts, arguments)

    threads = [threading.Thread(target=run, args=group) for group in groups.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [results[name] for name in groups]


def delete_state() -> None:
    """Stop the servers of an earlier run and delete their state: tests expect empty stores and logs."""
    for folder in (STATE_DIR, STATE_DIR.with_name("events")):
        if folder.exists():
            environment = os.environ | {"DELIVERY_STATE": str(folder)}
            subprocess.run([sys.executable, "-m", "deploy.local", "down"], cwd=ROOT, env=environment, check=True)
            shutil.rmtree(folder)


def main(arguments: Sequence[str]) -> int:
    """Run the whole suite. Returns the exit status: 0 if every group passed."""
    started = time.monotonic()
    delete_state()
    results = run_groups_in_parallel(PARALLEL_GROUPS, arguments)
    results += [run_group(name, parts, arguments) for name, parts in EXCLUSIVE_GROUPS.items()]
    print(f"\n{'part':<20} {'seconds':>8}")
    for result in results:
        for duration in result.durations:
            part, _, seconds = duration.partition(" ")
            print(f"{part:<20} {float(seconds):8.0f}")
    for result in results:
        print(f"group {result.name}: {result.summary or f'exit status {result.status}'}")
        for failure in result.failures:
            print(f"  {failure}")
    print(f"whole suite: {time.monotonic() - started:.0f} s")
    return max(result.status for result in results)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
