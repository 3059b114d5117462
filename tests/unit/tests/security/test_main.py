"""Subjects of the security tests: their tests, the groups that run them, and the report."""

from collections.abc import Sequence

import pytest

from tests.security.__main__ import build_series, load_tests, report_subjects
from tests.suite import Group, GroupResult

UNIT, FUNCTION = "tests/unit/test_a.py::test_a", "tests/security/test_b.py::test_b"


def create_result(passed: Sequence[str] = (), failures: Sequence[str] = ()) -> GroupResult:
    return GroupResult("unit", 0, 1.0, (), tuple(failures), "", tuple(passed))


def test_every_subject_has_tests() -> None:
    subjects = load_tests([])
    assert [subject.split()[0] for subject in subjects] == [str(number) for number in range(1, 19)]
    assert all(subjects.values())
    assert [*load_tests(["rate", "limits"])] == ["11 rate limits"]


def test_tests_without_the_mesh_run_beside_those_with_it() -> None:
    series = build_series([UNIT, "tests/e2e/test_c.py::test_c", FUNCTION, "tests/security"])
    assert series == [
        [Group("unit", ["unit/test_a.py::test_a"])],
        [Group("e2e", ["e2e/test_c.py::test_c"]), Group("security", ["security"])],
    ]


@pytest.mark.parametrize(
    ("tests", "passed", "failures", "expected"),
    [
        ([UNIT], [f"PASSED {UNIT}[1]", f"PASSED {UNIT}[2]"], [], True),
        ([UNIT], [f"PASSED {UNIT}[1]"], [f"FAILED {UNIT}[2] - assert 1 == 2"], False),
        ([UNIT], [], [f"ERROR {UNIT} - x"], False),
        ([UNIT], [f"PASSED {UNIT}_other"], [], False),
        ([UNIT, FUNCTION], [f"PASSED {UNIT}"], [], False),
        ([], [], [], False),
    ],
    ids=["passed", "failed", "error", "not run", "one not run", "no test"],
)
def test_subject_passes_if_it_has_tests_that_have_passed(
    tests: list[str], passed: list[str], failures: list[str], expected: bool
) -> None:
    assert report_subjects({"subject": tests}, [create_result(passed, failures)]) is expected
