"""Command of the benchmarks: output at the start, stored provenance, and files of earlier versions."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bench import __main__ as command
from bench import report
from bench.provenance import read_provenance
from bench.results import PartResults, Row, load_results


@pytest.fixture
def results_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the results file of a command with two parts, of which `relay` writes the file `measured`."""

    def measure_relay() -> list[Row]:
        (tmp_path / "measured").touch()
        return [Row("relay: events", 1, "events/s")]

    parts = {"relay": measure_relay, "streams": lambda: [Row("streams: latency", 1, "s")]}
    monkeypatch.setattr(command, "BENCHMARKS", parts)
    monkeypatch.setattr(command, "RESULTS_FILE", tmp_path / "results.json")
    monkeypatch.setattr(command, "stop_on_signals", lambda: None)
    return tmp_path / "results.json"


def run(monkeypatch: pytest.MonkeyPatch, *parts: str) -> int:
    """Run the command with arguments."""
    monkeypatch.setattr(sys, "argv", ["bench", *parts])
    return command.main()


def test_run_of_one_part_prints_and_stores_its_provenance(
    results_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    provenance = read_provenance()
    assert run(monkeypatch, "relay") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"commit {provenance.commit}, {provenance.environment.describe()}"
    assert lines[1] == "== relay"
    assert lines[-1] == "performance.md not written: no results of streams"
    assert {part: each.provenance for part, each in load_results(results_file).items()} == {"relay": provenance}


@pytest.mark.usefixtures("results_file")
def test_report_has_the_provenance_of_each_part(monkeypatch: pytest.MonkeyPatch) -> None:
    reported: list[dict[str, PartResults]] = []
    monkeypatch.setattr(report, "write_report", reported.append)
    provenance = replace(read_provenance(), commit="1111111")
    monkeypatch.setattr(command, "read_provenance", lambda: provenance)
    commits = iter(("1111111", "2222222"))
    monkeypatch.setattr(command, "read_commit", lambda: next(commits))
    assert run(monkeypatch) == 0
    assert run(monkeypatch, "page") == 0
    first, second = reported
    assert first == second
    expected = {"relay": "1111111", "streams": "1111111+changes"}
    assert {part: each.provenance.commit for part, each in first.items()} == expected


def test_results_of_earlier_versions_are_an_error_before_measuring(
    results_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"name": "streams: latency", "value": 1, "unit": "s"}]
    results_file.write_text(json.dumps(rows), encoding="utf-8")
    assert run(monkeypatch, "relay") == 1
    assert "has no build, versions and commit of each part; rename the file" in capsys.readouterr().err
    assert not (results_file.parent / "measured").exists()
    assert json.loads(results_file.read_text(encoding="utf-8")) == rows
