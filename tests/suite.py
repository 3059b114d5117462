"""Runs the parts of the test suite side by side and prints the duration of each part.

`python -m tests.suite` is `make test`, `python -m tests.suite unit` is `make test-unit`. Each group is one pytest
process with servers, ports and a state folder of its own. Further arguments are passed to every pytest process.
"""

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import ROOT, STATE_DIR

TESTS = ROOT / "tests"
LARGEST_UNITS = ("deploy", "runtime")
"""Packages whose unit tests take as long as those of all others."""
DURATION_PREFIX = "duration: "
"""Start of the lines with durations that tests/conftest.py prints."""
FAILURE_PREFIXES = ("FAILED tests/", "ERROR tests/")
"""Start of the lines with failed tests in pytest's short summary."""
PASSED_PREFIX = "PASSED tests/"
"""Start of the lines with passed tests in pytest's short summary, which contains them with the argument `-rp`."""


@dataclass(frozen=True)
class Group:
    """Name of a group and its folders in tests/, or single tests there, in the order in which they run."""

    name: str
    folders: Sequence[str]


type Series = Sequence[Group]
"""Groups that run one after another."""

SUITE: Sequence[Series] = (
    (
        Group("unit", ["unit"]),
        Group("contract", ["contract"]),
        Group("docs", ["docs"]),
        Group("second domain", ["second_domain"]),
        Group("chaos", ["chaos"]),
    ),
    (Group("integration", ["integration"]),),
    # The contract coverage reads the traffic of the other parts of its group, so it is the last one there.
    (Group("mesh", ["e2e", "security", "browser", "fuzz", "contract_coverage"]),),
)
MEASUREMENTS: Series = (Group("performance", ["performance"]),)
"""Measures ratios, so no other group runs at the same time."""


@dataclass(frozen=True)
class GroupResult:
    """Result of one group."""

    name: str
    status: int
    duration_s: float
    durations: tuple[str, ...]
    failures: tuple[str, ...]
    summary: str
    passed: tuple[str, ...] = ()


def list_unit_series(unit_tests: Path) -> Sequence[Series]:
    """Return two series of about the same duration that contain all folders of unit tests."""
    folders = sorted(path.name for path in unit_tests.iterdir() if path.is_dir() and path.name != "__pycache__")
    others = [name for name in folders if name not in LARGEST_UNITS]
    halves = {"unit 1": LARGEST_UNITS, "unit 2": others}
    return [[Group(name, [f"unit/{folder}" for folder in half])] for name, half in halves.items()]


def run_group(group: Group, arguments: Sequence[str]) -> GroupResult:
    """Run the folders in one pytest process and print its output line by line, prefixed with the group."""
    started = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", *(f"tests/{folder}" for folder in group.folders), *arguments],
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
    passed: list[str] = []
    summary = ""
    for line in process.stdout:
        text = line.rstrip("\n")
        if text.startswith(DURATION_PREFIX):
            durations.append(text.removeprefix(DURATION_PREFIX))
            continue
        if text.startswith(PASSED_PREFIX):
            passed.append(text)
            continue
        if text.startswith(FAILURE_PREFIXES):
            failures.append(text)
        if text.startswith("=") and " in " in text:
            summary = text.strip("= ")
        print(f"[{group.name}] {text}", flush=True)
    status = process.wait()
    duration_s = time.monotonic() - started
    return GroupResult(group.name, status, duration_s, tuple(durations), tuple(failures), summary, passed=tuple(passed))


def run_in_parallel(series: Sequence[Series], arguments: Sequence[str]) -> list[GroupResult]:
    """Run each series in a thread of its own and return the results in the order given."""
    results: dict[str, GroupResult] = {}

    def run_series(groups: Series) -> None:
        for group in groups:
            results[group.name] = run_group(group, arguments)

    threads = [threading.Thread(target=run_series, args=(each,)) for each in series]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [results[group.name] for each in series for group in each]


def delete_state() -> None:
    """Stop the servers of an earlier run and delete their state: tests expect empty stores and logs."""
    for folder in (STATE_DIR, STATE_DIR.with_name("events")):
        if folder.exists():
            environment = os.environ | {"DELIVERY_STATE": str(folder)}
            subprocess.run([sys.executable, "-m", "deploy.local", "down"], cwd=ROOT, env=environment, check=True)
            shutil.rmtree(folder)


def report_results(results: Sequence[GroupResult]) -> int:
    """Print durations, summaries and failed tests. Return the exit status: 0 if all selected tests passed."""
    print(f"\n{'part':<20} {'seconds':>8}")
    for result in results:
        for duration in result.durations:
            part, _, seconds = duration.partition(" ")
            print(f"{part:<20} {float(seconds):8.0f}")
    for result in results:
        print(f"group {result.name}: {result.summary or f'exit status {result.status}'}")
        for failure in result.failures:
            print(f"  {failure}")
    # A selection such as `-k` may leave a group without tests.
    statuses = {result.status for result in results} - {int(pytest.ExitCode.NO_TESTS_COLLECTED)}
    return max(statuses, default=int(pytest.ExitCode.NO_TESTS_COLLECTED))


def main(arguments: Sequence[str]) -> int:
    """Run the whole suite or the unit tests. Return the exit status."""
    started = time.monotonic()
    if arguments[:1] == ["unit"]:
        results = run_in_parallel(list_unit_series(TESTS / "unit"), arguments[1:])
    else:
        delete_state()
        results = run_in_parallel(SUITE, arguments)
        results += run_in_parallel([MEASUREMENTS], arguments)
    status = report_results(results)
    print(f"all groups: {time.monotonic() - started:.0f} s")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
