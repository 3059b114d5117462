"""`python -m migrations.check`: whether each migration may run beside the release before it; a line per fault.

What that release reads stays where it is: nothing is dropped, renamed or given another type, nothing that it writes is
refused, and nothing keeps it waiting longer than the bounds say. squawk is the judge.
"""

import json
import subprocess
import sys
from collections.abc import Iterator

from services.runtime.migrations import scripts

SERVICES = ("gateway", "orders", "partners", "notifications")

FIRST = {"gateway": 3, "orders": 5, "partners": 4, "notifications": 3}
"""How many revisions made the first release's schema: no table had rows when they ran."""

STYLE = (
    *("prefer-bigint-over-int", "prefer-bigint-over-smallint", "prefer-identity"),
    *("prefer-robust-stmts", "prefer-text-field"),
)
IN_ONE_TRANSACTION = ("require-concurrent-index-creation",)
"""An index is made in the migration's transaction, or a failure would leave half of it; the bounds hold for it, too."""

ON_ROWS = ("constraint-missing-not-valid", "ban-drop-constraint")


def faults(name: str, sql: str, excluded: tuple[str, ...] = ()) -> Iterator[str]:
    """What squawk says of a migration."""
    command = ["squawk", "--reporter=json", "--pg-version=18", "--assume-in-transaction", f"--stdin-filepath={name}"]
    rules = ",".join((*STYLE, *IN_ONE_TRANSACTION, *excluded))
    said = subprocess.run([*command, f"--exclude={rules}"], input=sql, check=False, capture_output=True, text=True)
    lines = sql.splitlines()
    for fault in json.loads(said.stdout):
        yield f"{name}: {fault['rule_name']}: {fault['message']} {lines[fault['line']].strip()}"


def main() -> int:
    """0 when there is nothing to say."""
    found = []
    for service in SERVICES:
        for number, (revision, sql) in enumerate(scripts(service), start=1):
            found += faults(revision, sql, ON_ROWS if number <= FIRST[service] else ())
    print(*found, sep="\n", end="\n" if found else "", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
