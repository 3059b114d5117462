"""Schema migrations of a service's database with Alembic."""

from collections.abc import Iterator, Sequence
from io import StringIO
from pathlib import Path

import psycopg
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import (
    Column,
    Connection,
    Engine,
    MetaData,
    NullPool,
    Table,
    Text,
    create_engine,
    inspect,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import insert

from services.runtime.config.postgres_conninfo import build_conninfo
from services.runtime.storage import advisory_lock
from services.runtime.storage.advisory_lock import AdvisoryLock

SCRIPTS_DIR = Path(__file__).parents[3] / "migrations"

SESSION_TIMEOUTS = ("SET LOCAL lock_timeout = '5s'", "SET LOCAL statement_timeout = '60s'")
"""Timeouts of a migration, which bound the time that the running release waits for its locks."""


APPLIED_REVISIONS = Table("applied_revisions", MetaData(), Column("revision", Text, primary_key=True))
"""Table with every revision of the schema, by which an earlier release recognises the schema of a later one."""


class UnknownSchemaError(Exception):
    """The revision of the schema is unknown, and the schema does not contain all revisions of this release."""


def migrate(service: str, url: str) -> None:
    """Run the pending migrations in one transaction. An advisory lock serialises processes that start concurrently.

    The schema of a later release is not changed. Raises UnknownSchemaError, or the database's errors; the transaction
    is then rolled back.
    """
    engine = _create_engine(url)
    with engine.begin() as connection:
        advisory_lock.acquire_blocking(connection, AdvisoryLock.MIGRATIONS)
        for statement in SESSION_TIMEOUTS:
            connection.execute(text(statement))
        if not _has_later_schema(connection, service):
            config = _build_config(service)
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            _record_revisions(connection, service)
    engine.dispose()


def list_pending(service: str, url: str) -> Sequence[str]:
    """Return the pending revisions, the oldest first; an empty list if a later release has migrated the database.

    Raises UnknownSchemaError.
    """
    engine = _create_engine(url)
    with engine.connect() as connection:
        has_later_schema = _has_later_schema(connection, service)
        current = _get_current_revision(connection)
    engine.dispose()
    if has_later_schema:
        return ()
    revisions = _list_revisions(service)
    return revisions if current is None else revisions[revisions.index(current) + 1 :]


def _has_later_schema(connection: Connection, service: str) -> bool:
    """Return whether a later release, whose revisions include those of this release, has migrated the database.

    Raises UnknownSchemaError.
    """
    current = _get_current_revision(connection)
    revisions = _list_revisions(service)
    if current is None or current in revisions:
        return False
    if missing := sorted({*revisions} - _read_applied_revisions(connection)):
        raise UnknownSchemaError(
            f"the database of {service} has the unknown revision {current} and lacks {', '.join(missing)}:"
            " it belongs to another version of the project"
        )
    return True


def _get_current_revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _list_revisions(service: str) -> list[str]:
    """Return the revisions of this release, the oldest first."""
    script = ScriptDirectory.from_config(_build_config(service))
    return [each.revision for each in script.walk_revisions()][::-1]


def _read_applied_revisions(connection: Connection) -> set[str]:
    if not inspect(connection).has_table(APPLIED_REVISIONS.name):
        return set()
    return {*connection.scalars(select(APPLIED_REVISIONS.c.revision))}


def _record_revisions(connection: Connection, service: str) -> None:
    APPLIED_REVISIONS.create(connection, checkfirst=True)
    rows = [{"revision": revision} for revision in _list_revisions(service)]
    connection.execute(insert(APPLIED_REVISIONS).on_conflict_do_nothing(), rows)


def iter_revision_sql(service: str) -> Iterator[tuple[str, str]]:
    """Yield each revision and its SQL, the oldest first."""
    config = _build_config(service)
    for revision in reversed([*ScriptDirectory.from_config(config).walk_revisions()]):
        config.output_buffer = output = StringIO()
        command.upgrade(config, f"{revision.down_revision or 'base'}:{revision.revision}", sql=True)
        yield revision.revision, "".join(f"{statement};\n" for statement in SESSION_TIMEOUTS) + output.getvalue()


def _create_engine(url: str) -> Engine:
    """Create an engine whose connections psycopg opens, since SQLAlchemy cannot parse a URL with several hosts."""
    conninfo = build_conninfo(url)
    return create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(conninfo), poolclass=NullPool)


def _build_config(service: str) -> Config:
    config = Config()
    scripts_dir = str(SCRIPTS_DIR).replace("%", "%%")  # Config interpolates its values
    config.set_main_option("script_location", scripts_dir)
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", f"{scripts_dir}/{service}")
    return config
