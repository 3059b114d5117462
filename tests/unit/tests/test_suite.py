"""Groups of the test suite and the exit status of a run."""

import tomllib

import pytest

from tests.conftest import ROOT
from tests.suite import MEASUREMENTS, SUITE, TESTS, GroupResult, list_unit_series, report_results


def create_result(status: int, failures: tuple[str, ...] = ()) -> GroupResult:
    return GroupResult("unit", status, 1.0, ("unit 1.0",), failures, "")


def test_every_test_path_is_in_one_group() -> None:
    options = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["pytest"]["ini_options"]
    folders = [folder for series in (*SUITE, MEASUREMENTS) for group in series for folder in group.folders]
    assert sorted(f"tests/{folder}" for folder in folders) == sorted(options["testpaths"])


def test_unit_series_contain_every_folder_once() -> None:
    groups = [group for series in list_unit_series(TESTS / "unit") for group in series]
    folders = [folder for group in groups for folder in group.folders]
    files = (path.relative_to(TESTS) for path in (TESTS / "unit").rglob("test_*.py"))
    assert sorted(folders) == sorted({"/".join(file.parts[:2]) for file in files})


@pytest.mark.parametrize(
    ("statuses", "expected"), [((0, 0), 0), ((0, 1), 1), ((5, 0), 0), ((5, 5), 5), ((2, 1), 2), ((5, 1), 1)]
)
def test_exit_status_ignores_groups_without_selected_tests(statuses: tuple[int, ...], expected: int) -> None:
    assert report_results([create_result(status) for status in statuses]) == expected


def test_failed_tests_are_listed_below_their_group(capsys: pytest.CaptureFixture[str]) -> None:
    report_results([create_result(1, ("FAILED tests/unit/test_a.py::test_b",))])
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "group unit: exit status 1",
        "  FAILED tests/unit/test_a.py::test_b",
    ]
