"""Compatibility check of the migrations with the previous release, run with `python -m migrations.check`.

A migration must not drop, rename or change the type of anything that the previous release reads, must not reject its
writes, and must not block it longer than the lock and statement timeouts. squawk checks the rules.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from deploy.local.mesh_config import SERVICES
from services.runtime.storage.migrations import iter_revision_sql

SQUAWK = str(Path(sys.executable).with_name("squawk"))
INITIAL_REVISION_COUNTS = {"gateway": 3, "orders": 5, "partners": 4, "notifications": 3}
"""Number of revisions in the schema of the first release, which ran on empty tables; one for later services."""

STYLE_RULES = (
    *("prefer-bigint-over-int", "prefer-bigint-over-smallint", "prefer-identity"),
    *("prefer-robust-stmts", "prefer-text-field"),
)
TRANSACTIONAL_INDEX_RULES = ("require-concurrent-index-creation",)
"""Indexes are created in the migration's transaction, so that a failure leaves no invalid index; the timeouts apply."""

POPULATED_TABLE_RULES = ("constraint-missing-not-valid", "ban-drop-constraint")


def lint_migration(name: str, sql: str, excluded_rules: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield squawk's violations of a migration."""
    command = [SQUAWK, "--reporter=json", "--pg-version=18", "--assume-in-transaction", f"--stdin-filepath={name}"]
    rules = ",".join((*STYLE_RULES, *TRANSACTIONAL_INDEX_RULES, *excluded_rules))
    result = subprocess.run(
        [*command, f"--exclude={rules}"], input=sql, check=False, capture_output=True, text=True, encoding="utf-8"
    )
    lines = sql.splitlines()
    for violation in json.loads(result.stdout):
        yield f"{name}: {violation['rule_name']}: {violation['message']} {lines[violation['line']].strip()}"


def main() -> int:
    """Return 0 if there is no violation."""
    violations = []
    for service in SERVICES:
        for number, (revision, sql) in enumerate(iter_revision_sql(service), start=1):
            violations += lint_migration(
                revision, sql, POPULATED_TABLE_RULES if number <= INITIAL_REVISION_COUNTS.get(service, 1) else ()
            )
    print(*violations, sep="\n", end="\n" if violations else "", file=sys.stderr)
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
