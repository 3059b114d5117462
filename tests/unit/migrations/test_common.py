"""SQL of the tables that the migrations of several services create."""

import re
from collections.abc import Callable
from io import StringIO

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import MetaData, Table
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

from migrations import common
from services.runtime.messaging.inbox import define_inbox_table
from services.runtime.messaging.outbox import SETTINGS_WITH_RELAY, define_outbox_table
from services.runtime.storage.idempotency import build_keys_table


def render(create: Callable[[], None]) -> list[str]:
    """Return the statements of an operation, each on one line."""
    output = StringIO()
    context = MigrationContext.configure(dialect_name="postgresql", opts={"as_sql": True, "output_buffer": output})
    with Operations.context(context):
        create()
    return [" ".join(statement.split()) for statement in output.getvalue().split(";\n") if statement.strip()]


def columns(statement: str) -> dict[str, str]:
    """Return the definitions of the columns of CREATE TABLE by name, and `PRIMARY` for the primary key."""
    body = re.fullmatch(r"CREATE TABLE \w+ \((.*)\)", statement)
    assert body is not None
    parts = re.split(r", (?![^(]*\))", body[1].strip())
    return {name: definition for name, _, definition in (part.strip().partition(" ") for part in parts)}


@pytest.mark.parametrize(
    ("create", "define"),
    [
        (common.create_outbox, define_outbox_table),
        (common.create_inbox, define_inbox_table),
        (common.create_idempotency_keys, build_keys_table),
    ],
)
def test_created_table_is_the_table_of_the_runtime(
    create: Callable[[], None], define: Callable[[MetaData], Table]
) -> None:
    compiled = CreateTable(define(MetaData())).compile(dialect=postgresql.dialect())
    assert columns(render(create)[0]) == columns(" ".join(str(compiled).split()))


def test_outbox_has_a_trigger_that_notifies_of_inserts() -> None:
    _, function, trigger = render(common.create_outbox)
    assert "PERFORM pg_notify('outbox', '')" in function
    assert trigger == (
        "CREATE TRIGGER outbox_added AFTER INSERT ON outbox FOR EACH STATEMENT EXECUTE FUNCTION notify_outbox()"
    )


def test_trigger_notifies_of_insertions_without_the_setting() -> None:
    (name, value), *others = SETTINGS_WITH_RELAY.items()
    assert render(common.limit_outbox_notifications) == [
        "CREATE OR REPLACE TRIGGER outbox_added AFTER INSERT ON outbox FOR EACH STATEMENT "
        f"WHEN (current_setting('{name}', true) IS DISTINCT FROM '{value}') EXECUTE FUNCTION notify_outbox()"
    ]
    assert others == []


def test_outbox_assigns_increasing_numbers() -> None:
    found = columns(render(common.create_outbox)[0])
    assert found["id"] == "BIGINT GENERATED ALWAYS AS IDENTITY"
    assert found["PRIMARY"] == "KEY (id)"


def test_inbox_processes_an_event_once_per_queue() -> None:
    (statement,) = render(common.create_inbox)
    assert columns(statement)["PRIMARY"] == "KEY (queue, event_id)"


def test_idempotency_key_is_unique_per_actor_and_operation() -> None:
    table, index = render(common.create_idempotency_keys)
    assert columns(table)["PRIMARY"] == "KEY (actor, operation, key)"
    assert index == "CREATE INDEX idempotency_keys_by_time ON idempotency_keys (at)"


def test_old_inbox_entries_are_found_by_an_index() -> None:
    assert render(common.create_inbox_time_index) == ["CREATE INDEX inbox_by_time ON inbox (at)"]
