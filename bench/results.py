"""What was measured, beside what was to be reached."""

import json
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench.load_generator import Sample
from bench.paths import ROOT

RESULTS_FILE = ROOT / "bench/results.json"


@dataclass(frozen=True)
class Row:
    """One number. `goal` says in words what it is held to; `met` is None where nothing is."""

    name: str
    value: float
    unit: str
    goal: str = ""
    met: bool | None = None
    runs: Sequence[float] = field(default=())

    @property
    def part(self) -> str:
        """The group of rows it was measured with."""
        return self.name.partition(":")[0]

    def status_label(self) -> str:
        """Whether it is what it should be, in a word; nothing where nothing is asked."""
        return {None: "", True: "yes", False: "no"}[self.met]

    def format_quartiles(self) -> str:
        """The quartiles around the median."""
        if len(self.runs) < 2:
            return ""
        low, _, high = statistics.quantiles(self.runs, n=4, method="inclusive")
        return f"{format_value(low)} … {format_value(high)}"


def format_value(value: float) -> str:
    """Three digits that count."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def require_at_least(name: str, goal: float, runs: Sequence[float], unit: str = "×") -> Row:
    """The median of what is better the more it is."""
    value = statistics.median(runs)
    return Row(name, value, unit, f"≥ {goal:g} {unit}", value >= goal, [*runs])


def require_at_most(name: str, goal: float, runs: Sequence[float], unit: str = "×") -> Row:
    """The median of what is better the less it is."""
    value = statistics.median(runs)
    return Row(name, value, unit, f"≤ {goal:g} {unit}", value <= goal, [*runs])


def informational(name: str, runs: Sequence[float], unit: str) -> Row:
    """What is only reported."""
    return Row(name, statistics.median(runs), unit, runs=[*runs])


def compute_ratios(
    samples: Sequence[Sample], baseline_samples: Sequence[Sample], read_metric: Callable[[Sample], float]
) -> list[float]:
    """Ours by theirs, repeat by repeat."""
    return [read_metric(a) / read_metric(b) for a, b in zip(samples, baseline_samples, strict=True)]


def save_rows(rows: Sequence[Row], file: Path = RESULTS_FILE) -> None:
    """Replaces what was measured of the same parts before; the rest stays."""
    parts = {row.part for row in rows}
    kept = [row for row in load_rows(file) if row.part not in parts]
    found = sorted([*kept, *rows], key=lambda row: row.name)
    file.write_text(json.dumps([round_row(row) for row in found], indent=1, ensure_ascii=False) + "\n")


def round_row(row: Row) -> dict[str, object]:
    """As it is written: six digits are more than any clock has here."""
    return asdict(row) | {"value": float(f"{row.value:.6g}"), "runs": [float(f"{run:.6g}") for run in row.runs]}


def load_rows(file: Path = RESULTS_FILE) -> list[Row]:
    """What was measured before."""
    return [Row(**row) for row in json.loads(file.read_text())] if file.exists() else []
