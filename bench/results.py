"""Benchmark results and their goals."""

import json
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench.load_generator import Sample
from bench.paths import RESULTS_FOLDER

RESULTS_FILE = RESULTS_FOLDER / "results.json"


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


def save_rows(rows: Sequence[Row], file: Path = RESULTS_FILE) -> None:
    """Save rows, replacing earlier rows of the same parts."""
    parts = {row.part for row in rows}
    other_rows = [row for row in load_rows(file) if row.part not in parts]
    all_rows = sorted([*other_rows, *rows], key=lambda row: row.name)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(
        json.dumps([round_row(row) for row in all_rows], indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )


def round_row(row: Row) -> dict[str, object]:
    """Return the saved form of the row, rounded to six significant digits."""
    return asdict(row) | {"value": float(f"{row.value:.6g}"), "runs": [float(f"{run:.6g}") for run in row.runs]}


def load_rows(file: Path = RESULTS_FILE) -> list[Row]:
    """Return the saved rows."""
    return [Row(**row) for row in json.loads(file.read_text(encoding="utf-8"))] if file.exists() else []
