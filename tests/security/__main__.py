"""Run the tests of every measure against hostile clients and overload (`make test-security`).

The tests of a measure are those that must find its defects in injected_defects.yaml. They are in several folders, since
most measures can be shown without servers. All tests of tests/security run as well.
"""

import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import pytest

from tests.mutation import find_lines
from tests.security.mutation import load_mutations
from tests.suite import Group, GroupResult, Series, delete_state, report_results, run_in_parallel

MESH_FOLDERS = ("e2e", "security")
"""Folders whose tests share the running mesh."""

PASSED = "passed"


def load_tests(words: Sequence[str]) -> dict[str, list[str]]:
    """Return the tests of each numbered subject that contains all words."""
    return {
        f"{number:>2} {subject}": sorted({mutation.found_by for mutation in mutations})
        for number, (subject, mutations) in enumerate(load_mutations().items(), 1)
        if all(word in subject for word in words)
    }


def build_series(tests: Iterable[str]) -> list[Series]:
    """Return a group for each folder with tests, in two series: those without the mesh, and those with it."""
    paths: defaultdict[str, list[str]] = defaultdict(list)
    for path in sorted({test.removeprefix("tests/") for test in tests}):
        paths[path.partition("/")[0]].append(path)
    series: tuple[list[Group], list[Group]] = ([], [])
    for folder, members in paths.items():
        series[folder in MESH_FOLDERS].append(Group(folder, [folder] if folder in members else members))
    return [each for each in series if each]


def summarise_outcome(test: str, results: Sequence[GroupResult]) -> str:
    """Return `passed` if the test has run with all its parameters, and passed."""
    failures = [line for result in results for line in result.failures]
    if any(find_lines(failures, outcome, test) for outcome in ("FAILED", "ERROR")):
        return "failed"
    return PASSED if find_lines([line for result in results for line in result.passed], "PASSED", test) else "not run"


def report_subjects(tests: Mapping[str, Sequence[str]], results: Sequence[GroupResult]) -> bool:
    """Print the outcome of each subject and its tests. Return whether every subject has tests, and all have passed."""
    verdicts = []
    for subject, members in tests.items():
        outcomes = {test: summarise_outcome(test, results) for test in members}
        verdicts.append(bool(outcomes) and set(outcomes.values()) == {PASSED})
        print(f"\n{subject}: {PASSED if verdicts[-1] else 'FAILED'}")
        for test, outcome in outcomes.items():
            print(f"   {outcome:<7} {test}")
    return bool(verdicts) and all(verdicts)


def main(words: Sequence[str]) -> int:
    """Run the tests of the subjects that contain all words, or all tests. Return 0 if every subject has passed."""
    tests = load_tests(words)
    delete_state()
    selected = [test for members in tests.values() for test in members]
    results = run_in_parallel(build_series([*selected, *([] if words else ["tests/security"])]), ["-rpfE"])
    have_passed = report_subjects(tests, results)
    return report_results(results) or (pytest.ExitCode.OK if have_passed else pytest.ExitCode.TESTS_FAILED)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
