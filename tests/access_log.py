"""What the edge of the tests' mesh has answered: a line of its access log for each request, refusals included."""

import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any


def read_access_log(state: Path) -> Iterator[dict[str, Any]]:
    """Every access line that the edge has written, this run's and those before."""
    with (state / "logs/gateway-envoy.log").open(errors="replace") as log:
        for line in log:
            if line.startswith("{"):
                entry = json.loads(line)
                if entry["logger"] == "access.edge":
                    yield entry


def collect_statuses(state: Path, since: datetime) -> dict[str, set[int]]:
    """The statuses that each operation has answered since then. Clients that left before are not counted."""
    seen: dict[str, set[int]] = defaultdict(set)
    for entry in read_access_log(state):
        if datetime.fromisoformat(entry["time"]) >= since and entry["status"]:
            seen[entry["operation"]].add(entry["status"])
    return seen
