"""Schema migrations of a service's database with Alembic, at every start and by the command `migrate`."""

from collections.abc import Iterator
from io import StringIO
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import NullPool, create_engine, text

from services.runtime.storage import advisory_lock
from services.runtime.storage.advisory_lock import AdvisoryLock

SCRIPTS_DIR = Path(__file__).parents[3] / "migrations"

SESSION_TIMEOUTS = ("SET LOCAL lock_timeout = '5s'", "SET LOCAL statement_timeout = '60s'")
"""Timeouts of a migration, which bound the time that the running release waits for its locks."""


def migrate(service: str, url: str) -> None:
    """Run the pending migrations in one transaction. An advisory lock serialises processes that start concurrently.

    `url` starts with `postgresql://`. Raises the database's errors; the transaction is then rolled back.
    """
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1), poolclass=NullPool)
    with engine.begin() as connection:
        advisory_lock.acquire_blocking(connection, AdvisoryLock.MIGRATIONS)
        for statement in SESSION_TIMEOUTS:
            connection.execute(text(statement))
        config = _build_config(service)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    engine.dispose()


def iter_revision_sql(service: str) -> Iterator[tuple[str, str]]:
    """Yield each revision and its SQL, the oldest first."""
    config = _build_config(service)
    for revision in reversed([*ScriptDirectory.from_config(config).walk_revisions()]):
        config.output_buffer = output = StringIO()
        command.upgrade(config, f"{revision.down_revision or 'base'}:{revision.revision}", sql=True)
        yield revision.revision, "".join(f"{statement};\n" for statement in SESSION_TIMEOUTS) + output.getvalue()


def _build_config(service: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS_DIR))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", str(SCRIPTS_DIR / service))
    return config
