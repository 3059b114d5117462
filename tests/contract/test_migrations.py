"""Compatibility check of the migrations with the previous release."""

import pytest

from migrations.check import lint_migration, main
from services.runtime.storage.migrations import SESSION_TIMEOUTS

TIMEOUTS = ("require-lock-timeout", "require-statement-timeout")
PREAMBLE = "".join(f"{timeout};\n" for timeout in SESSION_TIMEOUTS)


def test_existing_migrations_are_compatible(capsys: pytest.CaptureFixture[str]) -> None:
    assert main() == 0, capsys.readouterr().err


@pytest.mark.parametrize(
    ("statement", "rule"),
    [
        ("ALTER TABLE orders DROP COLUMN total;", "ban-drop-column"),
        ("DROP TABLE orders;", "ban-drop-table"),
        ("ALTER TABLE orders RENAME COLUMN total TO sum;", "renaming-column"),
        ("ALTER TABLE orders RENAME TO purchases;", "renaming-table"),
        ("ALTER TABLE orders ALTER COLUMN total TYPE text;", "changing-column-type"),
        ("ALTER TABLE orders ADD COLUMN tip bigint NOT NULL;", "adding-required-field"),
        ("ALTER TABLE orders ALTER COLUMN note SET NOT NULL;", "adding-not-nullable-field"),
        ("ALTER TABLE orders ADD CONSTRAINT tips CHECK (tip >= 0);", "constraint-missing-not-valid"),
        ("ALTER TABLE orders DROP CONSTRAINT orders_version;", "ban-drop-constraint"),
    ],
)
def test_incompatible_statement_is_reported(statement: str, rule: str) -> None:
    assert any(f": {rule}: " in violation for violation in lint_migration("orders_0009", PREAMBLE + statement))


@pytest.mark.parametrize(("timeout", "rule"), [*zip(SESSION_TIMEOUTS, TIMEOUTS, strict=True)])
def test_missing_timeout_is_reported(timeout: str, rule: str) -> None:
    sql = PREAMBLE.replace(f"{timeout};\n", "") + "ALTER TABLE orders ADD COLUMN tip bigint;"
    assert [violation.split(": ")[1] for violation in lint_migration("orders_0009", sql)] == [rule]


def test_additive_migration_passes() -> None:
    sql = PREAMBLE + "ALTER TABLE orders ADD COLUMN tip bigint;\nCREATE INDEX orders_by_tip ON orders (tip);"
    assert not [*lint_migration("orders_0009", sql)]
