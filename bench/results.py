"""Benchmark results, their goals, and the file that stores them by part with their provenance."""

import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import groupby
from pathlib import Path

from bench.load_generator import Sample
from bench.paths import RESULTS_FOLDER
from bench.provenance import Provenance

RESULTS_FILE = RESULTS_FOLDER / "results.json"


class ResultsError(Exception):
    """The results file has another format, such as that of earlier versions, which has no provenance."""


@dataclass(frozen=True)
class Row:
    """One metric. `goal` describes its bound. `met` is `None` without a goal."""

    name: str
    value: float
    unit: str
    goal: str = ""
    met: bool | None = None
    runs: Sequence[float] = field(default=())

    @property
    def part(self) -> str:
        """Return the part of the benchmark that measured the row."""
        return self.name.partition(":")[0]

    def format_status_label(self) -> str:
        """Return "yes" or "no" if the row has a goal, otherwise an empty text."""
        return {None: "", True: "yes", False: "no"}[self.met]

    def format_quartiles(self) -> str:
        """Return the first and the third quartile."""
        if len(self.runs) < 2:
            return ""
        low, _, high = statistics.quantiles(self.runs, n=4, method="inclusive")
        return f"{format_value(low)} … {format_value(high)}"


@dataclass(frozen=True)
class PartResults:
    """Rows of one part of the benchmark, and their provenance."""

    provenance: Provenance
    rows: Sequence[Row]


def format_value(value: float) -> str:
    """Return the value with three significant digits."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def require_at_least(name: str, goal: float, runs: Sequence[float], unit: str = "×") -> Row:
    """Return a row whose median must be at least the goal."""
    value = statistics.median(runs)
    return Row(name, value, unit, f"≥ {goal:g} {unit}", value >= goal, [*runs])


def require_at_most(name: str, goal: float, runs: Sequence[float], unit: str = "×") -> Row:
    """Return a row whose median must be at most the goal."""
    value = statistics.median(runs)
    return Row(name, value, unit, f"≤ {goal:g} {unit}", value <= goal, [*runs])


def create_informational_row(name: str, runs: Sequence[float], unit: str) -> Row:
    """Return a row without a goal."""
    return Row(name, statistics.median(runs), unit, runs=[*runs])


def compute_ratios(
    samples: Sequence[Sample], baseline_samples: Sequence[Sample], read_metric: Callable[[Sample], float]
) -> list[float]:
    """Return the ratios to the baseline, one per repeat."""
    return [read_metric(a) / read_metric(b) for a, b in zip(samples, baseline_samples, strict=True)]


def compute_ratio_of_minima(runs: Sequence[float], baseline_runs: Sequence[float]) -> float:
    """Return the smallest cost compared with the smallest one of the baseline.

    Other work on the machine only adds processor time, so the smallest of some runs contains the least of it.
    """
    return min(runs) / min(baseline_runs)


def save_rows(rows: Sequence[Row], provenance: Provenance, file: Path = RESULTS_FILE) -> None:
    """Save rows and their provenance, replacing earlier results of the same parts. Raises ResultsError."""
    saved = load_results(file)
    for part, part_rows in groupby(sorted(rows, key=lambda row: row.name), lambda row: row.part):
        saved[part] = PartResults(provenance, [*part_rows])
    content = {part: _encode_results(saved[part]) for part in sorted(saved)}
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _encode_results(results: PartResults) -> Mapping[str, object]:
    return {"provenance": asdict(results.provenance), "rows": [round_row(row) for row in results.rows]}


def round_row(row: Row) -> dict[str, object]:
    """Return the saved form of the row, rounded to six significant digits."""
    return asdict(row) | {"value": float(f"{row.value:.6g}"), "runs": [float(f"{run:.6g}") for run in row.runs]}


def load_results(file: Path = RESULTS_FILE) -> dict[str, PartResults]:
    """Return the saved results by part. Raises ResultsError."""
    if not file.exists():
        return {}
    content = json.loads(file.read_text(encoding="utf-8"))
    try:
        return {
            part: PartResults(Provenance.from_dict(entry["provenance"]), [Row(**row) for row in entry["rows"]])
            for part, entry in content.items()
        }
    except (AttributeError, KeyError, TypeError) as error:
        raise ResultsError(
            f"{file} has no build, versions and commit of each part; rename the file, and measure its parts again"
        ) from error
