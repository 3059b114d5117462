"""File of the benchmark results."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bench.provenance import Environment, Provenance
from bench.results import ResultsError, Row, load_results, save_rows

ENVIRONMENT = Environment(2, "x86_64", "Linux", "3.13.0", "with PGO, with LTO", {"uvicorn": "1.0"})
PROVENANCE = Provenance(ENVIRONMENT, "1234567", "2026-11-30")


def test_rows_are_stored_by_part_with_their_provenance(tmp_path: Path) -> None:
    file = tmp_path / "folder/results.json"
    save_rows([Row("relay: b", 1, "s"), Row("relay: a", 2, "s", "≤ 3 s", True, [1, 2, 3])], PROVENANCE, file)
    later = replace(PROVENANCE, commit="7654321+changes")
    save_rows([Row("gateway: a", 3, "s")], later, file)
    saved = load_results(file)
    assert [*saved] == ["gateway", "relay"]
    assert saved["gateway"].provenance == later
    assert saved["relay"].provenance == PROVENANCE
    assert [row.name for row in saved["relay"].rows] == ["relay: a", "relay: b"]
    assert saved["relay"].rows[0] == Row("relay: a", 2, "s", "≤ 3 s", True, [1, 2, 3])


def test_rows_of_a_part_replace_its_earlier_rows_and_provenance(tmp_path: Path) -> None:
    file, later = tmp_path / "results.json", replace(PROVENANCE, commit="7654321")
    save_rows([Row("relay: a", 1, "s"), Row("relay: b", 1, "s")], PROVENANCE, file)
    save_rows([Row("relay: a", 2, "s")], later, file)
    (results,) = load_results(file).values()
    assert results.provenance == later
    assert [(row.name, row.value) for row in results.rows] == [("relay: a", 2)]


def test_missing_file_has_no_results(tmp_path: Path) -> None:
    assert load_results(tmp_path / "results.json") == {}


@pytest.mark.parametrize(
    "content",
    [
        [{"name": "relay: a", "value": 1, "unit": "s", "goal": "", "met": None, "runs": []}],
        {"relay": {"rows": []}},
        {"relay": {"provenance": {"environment": {"processors": 2}, "commit": "1234567", "date": ""}, "rows": []}},
    ],
)
def test_file_without_provenance_is_an_error_and_is_not_replaced(tmp_path: Path, content: object) -> None:
    file = tmp_path / "results.json"
    file.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ResultsError, match=r"results\.json has no build, versions and commit of each part"):
        save_rows([Row("relay: a", 1, "s")], PROVENANCE, file)
    assert json.loads(file.read_text(encoding="utf-8")) == content
