"""Progress and result of the node-loss test."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.chaos.invariants import Finding
from tests.cluster.faults import Observation
from tests.cluster.limits import PROBES, find_limits


@dataclass(frozen=True)
class Result:
    """Result of a run. `findings` are the violations of invariants and limits."""

    seed: int
    observations: Sequence[Observation]
    order_count: int
    statuses: Mapping[str, int]
    findings: Sequence[Finding]
    duration_s: float

    def print(self, console: Console) -> None:
        """Print the gaps, the final statuses of the orders and the findings."""
        title = f"longest time without a write, in seconds · SEED={self.seed}"
        table = Table("fault", "affected", *PROBES, "load", title=title, box=None)
        for each in self.observations:
            gaps = (f"{each.gaps_s[name]:.1f}" for name in PROBES)
            table.add_row(str(each.fault), " ".join(each.affected), *gaps, f"{each.load:.1f}")
        console.print(table, highlight=False)
        statuses = ", ".join(f"{name} {count}" for name, count in self.statuses.items())
        console.print(f"{self.order_count} orders: {statuses}; {self.duration_s:.0f} s", highlight=False)
        for finding in self.findings:
            console.print(f"[red]{finding.kind}[/] {finding.subject}: {finding.description}", highlight=False)
        verdict = "[red]failed[/]" if self.findings else "[green]passed[/]"
        console.print(f"{verdict}; SEED={self.seed}", highlight=False)

    def write(self, path: Path) -> None:
        """Write the result as JSON."""
        faults = [
            {
                "fault": str(each.fault),
                "affected": each.affected,
                "gaps_s": {name: round(gap_s, 1) for name, gap_s in each.gaps_s.items()},
                "load": round(each.load, 1),
            }
            for each in self.observations
        ]
        content = {
            "seed": self.seed,
            "seconds": round(self.duration_s),
            "orders": self.order_count,
            "faults": faults,
            "findings": [each._asdict() for each in self.findings],
        }
        path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def format_observation(observation: Observation, number: int, count: int, elapsed_s: float) -> str:
    """Return the line of a fault, of which there are `count`."""
    gaps = ", ".join(f"{name} {gap_s:.1f}" for name, gap_s in observation.gaps_s.items())
    minutes, seconds = divmod(int(elapsed_s), 60)
    place = "" if observation.affected == observation.fault.targets else f" ({', '.join(observation.affected)})"
    return f"{minutes}:{seconds:02} {number}/{count} {observation.fault}{place}: seconds without a write: {gaps}"


def find_long_gaps(observations: Sequence[Observation]) -> list[Finding]:
    """Return the gaps that exceed their limits."""
    findings = []
    for each in observations:
        limits = find_limits(each.fault.kind, each.affected, each.load)
        findings += [
            Finding("stuck", str(each.fault), f"{gap_s:.1f} s without a write: {name}; at most {limits[name]:.1f} s")
            for name, gap_s in each.gaps_s.items()
            if gap_s > limits[name]
        ]
    return findings
