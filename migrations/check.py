"""`python -m migrations.check`: whether each migration may run beside the release before it; a line per fault.

What that release reads stays where it is: nothing is dropped, renamed or given another type, nothing that it writes is
refused, and nothing keeps it waiting longer than the bounds say. squawk is the judge.
"""

import json
import subprocess
import sys
from collections.abc import Iterator

from services.runtime.storage.migrations import iter_revision_sql

SERVICES = ("gateway", "orders", "partners", "notifications")

INITIAL_REVISION_COUNTS = {"gateway": 3, "orders": 5, "partners": 4, "notifications": 3}
"""How many revisions made the first release's schema: no table had rows when they ran."""

STYLE_RULES = (
    *("prefer-bigint-over-int", "prefer-bigint-over-smallint", "prefer-identity"),
    *("prefer-robust-stmts", "prefer-text-field"),
)
TRANSACTIONAL_INDEX_RULES = ("require-concurrent-index-creation",)
"""An index is made in the migration's transaction, or a failure would leave half of it; the bounds hold for it, too."""

POPULATED_TABLE_RULES = ("constraint-missing-not-valid", "ban-drop-constraint")


def lint_migration(name: str, sql: str, excluded_rules: tuple[str, ...] = ()) -> Iterator[str]:
    """What squawk says of a migration."""
    command = ["squawk", "--reporter=json", "--pg-version=18", "--assume-in-transaction", f"--stdin-filepath={name}"]
    rules = ",".join((*STYLE_RULES, *TRANSACTIONAL_INDEX_RULES, *excluded_rules))
    said = subprocess.run([*command, f"--exclude={rules}"], input=sql, check=False, capture_output=True, text=True)
    lines = sql.splitlines()
    for fault in json.loads(said.stdout):
        yield f"{name}: {fault['rule_name']}: {fault['message']} {lines[fault['line']].strip()}"


def main() -> int:
    """0 when there is nothing to say."""
    found = []
    for service in SERVICES:
        for number, (revision, sql) in enumerate(iter_revision_sql(service), start=1):
            found += lint_migration(
                revision, sql, POPULATED_TABLE_RULES if number <= INITIAL_REVISION_COUNTS[service] else ()
            )
    print(*found, sep="\n", end="\n" if found else "", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
