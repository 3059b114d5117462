"""Schema migrations of a service's database with Alembic."""

from collections.abc import Iterator, Sequence
from io import StringIO
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, NullPool, create_engine, text

from services.runtime.storage import advisory_lock
from services.runtime.storage.advisory_lock import AdvisoryLock

SCRIPTS_DIR = Path(__file__).parents[3] / "migrations"

SESSION_TIMEOUTS = ("SET LOCAL lock_timeout = '5s'", "SET LOCAL statement_timeout = '60s'")
"""Timeouts of a migration, which bound the time that the running release waits for its locks."""


def migrate(service: str, url: str) -> None:
    """Run the pending migrations in one transaction. An advisory lock serialises processes that start concurrently.

    `url` starts with `postgresql://`. Raises the database's errors; the transaction is then rolled back.
    """
    engine = _create_engine(url)
    with engine.begin() as connection:
        advisory_lock.acquire_blocking(connection, AdvisoryLock.MIGRATIONS)
        for statement in SESSION_TIMEOUTS:
            connection.execute(text(statement))
        config = _build_config(service)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    engine.dispose()


def list_pending(service: str, url: str) -> Sequence[str]:
    """Return the pending revisions; an empty list if a later release has migrated the database."""
    script = ScriptDirectory.from_config(_build_config(service))
    engine = _create_engine(url)
    with engine.connect() as connection:
        current = MigrationContext.configure(connection).get_current_revision()
    engine.dispose()
    revisions = [each.revision for each in script.walk_revisions()]
    if current is None:
        return revisions[::-1]
    return revisions[: revisions.index(current)][::-1] if current in revisions else ()


def iter_revision_sql(service: str) -> Iterator[tuple[str, str]]:
    """Yield each revision and its SQL, the oldest first."""
    config = _build_config(service)
    for revision in reversed([*ScriptDirectory.from_config(config).walk_revisions()]):
        config.output_buffer = output = StringIO()
        command.upgrade(config, f"{revision.down_revision or 'base'}:{revision.revision}", sql=True)
        yield revision.revision, "".join(f"{statement};\n" for statement in SESSION_TIMEOUTS) + output.getvalue()


def _create_engine(url: str) -> Engine:
    return create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1), poolclass=NullPool)


def _build_config(service: str) -> Config:
    config = Config()
    scripts_dir = str(SCRIPTS_DIR).replace("%", "%%")  # Config interpolates its values
    config.set_main_option("script_location", scripts_dir)
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", f"{scripts_dir}/{service}")
    return config
