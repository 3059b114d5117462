"""Migrations run beside the release before them: what would stop it is named, and what is there stops nothing."""

import pytest

from migrations.check import lint_migration, main
from services.runtime.storage.migrations import SESSION_TIMEOUTS

TIMEOUTS = ("require-lock-timeout", "require-statement-timeout")
PREAMBLE = "".join(f"{bound};\n" for bound in SESSION_TIMEOUTS)


def test_those_that_are_there_stop_nothing(capsys: pytest.CaptureFixture[str]) -> None:
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
def test_what_would_stop_the_release_before_is_named(statement: str, rule: str) -> None:
    assert any(f": {rule}: " in fault for fault in lint_migration("orders_0009", PREAMBLE + statement))


@pytest.mark.parametrize(("bound", "rule"), [*zip(SESSION_TIMEOUTS, TIMEOUTS, strict=True)])
def test_a_missing_bound_is_named(bound: str, rule: str) -> None:
    sql = PREAMBLE.replace(f"{bound};\n", "") + "ALTER TABLE orders ADD COLUMN tip bigint;"
    assert [fault.split(": ")[1] for fault in lint_migration("orders_0009", sql)] == [rule]


def test_what_only_adds_passes() -> None:
    sql = PREAMBLE + "ALTER TABLE orders ADD COLUMN tip bigint;\nCREATE INDEX orders_by_tip ON orders (tip);"
    assert not [*lint_migration("orders_0009", sql)]
