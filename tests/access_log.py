"""Access log of the edge of the tests' mesh: one line per request, rejected requests included."""

import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any


def read_access_log(state_dir: Path) -> Iterator[dict[str, Any]]:
    """Yield all access log entries of the edge, also those of earlier runs."""
    with (state_dir / "logs/gateway-envoy.log").open(errors="replace") as log:
        for line in log:
            if line.startswith("{"):
                entry = json.loads(line)
                if entry["logger"] == "access.edge":
                    yield entry


def collect_statuses(state_dir: Path, since: datetime) -> dict[str, set[int]]:
    """Return the status codes of each operation since a time, without requests that the client aborted."""
    statuses: dict[str, set[int]] = defaultdict(set)
    for entry in read_access_log(state_dir):
        if datetime.fromisoformat(entry["time"]) >= since and entry["status"]:
            statuses[entry["operation"]].add(entry["status"])
    return statuses
