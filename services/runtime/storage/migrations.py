"""Brings a service's own database to the newest revision: at every start, and by the command `migrate`."""

import zlib
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import NullPool, create_engine, text

SCRIPTS_DIR = Path(__file__).parents[3] / "migrations"

SESSION_TIMEOUTS = ("SET LOCAL lock_timeout = '5s'", "SET LOCAL statement_timeout = '60s'")
"""The release that still runs waits for a migration no longer than this."""


def migrate(service: str, url: str) -> None:
    """Runs what has not run yet. Processes that start together wait for each other by an advisory lock.

    `url` is the service's own, `postgresql://…`. Raises what the database raises; nothing is left half done, since
    PostgreSQL's DDL is transactional.
    """
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1), poolclass=NullPool)
    with engine.begin() as connection:
        key = zlib.crc32(b"migrations:" + service.encode())
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})
        for bound in SESSION_TIMEOUTS:
            connection.execute(text(bound))
        config = _build_config(service)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    engine.dispose()


def iter_revision_sql(service: str) -> Iterator[tuple[str, str]]:
    """Each revision, the oldest first, and the SQL that it runs."""
    config = _build_config(service)
    for revision in reversed([*ScriptDirectory.from_config(config).walk_revisions()]):
        config.output_buffer = written = StringIO()
        command.upgrade(config, f"{revision.down_revision or 'base'}:{revision.revision}", sql=True)
        yield revision.revision, "".join(f"{bound};\n" for bound in SESSION_TIMEOUTS) + written.getvalue()


def _build_config(service: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS_DIR))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", str(SCRIPTS_DIR / service))
    return config
