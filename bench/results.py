"""What was measured, beside what was to be reached."""

import json
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench.load import Sample
from bench.places import ROOT

FILE = ROOT / "bench/results.json"


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

    def mark(self) -> str:
        """Whether it is what it should be, in a word; nothing where nothing is asked."""
        return {None: "", True: "yes", False: "no"}[self.met]

    def spread(self) -> str:
        """The quartiles around the median."""
        if len(self.runs) < 2:
            return ""
        low, _, high = statistics.quantiles(self.runs, n=4, method="inclusive")
        return f"{short(low)} … {short(high)}"


def short(value: float) -> str:
    """Three digits that count."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def at_least(name: str, goal: float, runs: Sequence[float], unit: str = "×") -> Row:
    """The median of what is better the more it is."""
    value = statistics.median(runs)
    return Row(name, value, unit, f"≥ {goal:g} {unit}", value >= goal, [*runs])


def at_most(name: str, goal: float, runs: Sequence[float], unit: str = "×") -> Row:
    """The median of what is better the less it is."""
    value = statistics.median(runs)
    return Row(name, value, unit, f"≤ {goal:g} {unit}", value <= goal, [*runs])


def plain(name: str, runs: Sequence[float], unit: str) -> Row:
    """What is only reported."""
    return Row(name, statistics.median(runs), unit, runs=[*runs])


def ratios(ours: Sequence[Sample], theirs: Sequence[Sample], read: Callable[[Sample], float]) -> list[float]:
    """Ours by theirs, repeat by repeat."""
    return [read(a) / read(b) for a, b in zip(ours, theirs, strict=True)]


def save(rows: Sequence[Row], file: Path = FILE) -> None:
    """Replaces what was measured of the same parts before; the rest stays."""
    parts = {row.part for row in rows}
    kept = [row for row in load(file) if row.part not in parts]
    found = sorted([*kept, *rows], key=lambda row: row.name)
    file.write_text(json.dumps([rounded(row) for row in found], indent=1, ensure_ascii=False) + "\n")


def rounded(row: Row) -> dict[str, object]:
    """As it is written: six digits are more than any clock has here."""
    return asdict(row) | {"value": float(f"{row.value:.6g}"), "runs": [float(f"{run:.6g}") for run in row.runs]}


def load(file: Path = FILE) -> list[Row]:
    """What was measured before."""
    return [Row(**row) for row in json.loads(file.read_text())] if file.exists() else []
