"""Brings a service's own database to the newest revision: at every start, and by the command `migrate`."""

import zlib
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import NullPool, create_engine, text

SCRIPTS = Path(__file__).parents[2] / "migrations"


def migrate(service: str, url: str) -> None:
    """Runs what has not run yet. Processes that start together wait for each other by an advisory lock.

    `url` is the service's own, `postgresql://…`. Raises what the database raises; nothing is left half done, since
    PostgreSQL's DDL is transactional.
    """
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1), poolclass=NullPool)
    with engine.begin() as connection:
        key = zlib.crc32(b"migrations:" + service.encode())
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})
        connection.execute(text("SET LOCAL lock_timeout = '5s'"))
        connection.execute(text("SET LOCAL statement_timeout = '60s'"))
        config = Config()
        config.set_main_option("script_location", str(SCRIPTS))
        config.set_main_option("path_separator", "newline")
        config.set_main_option("version_locations", str(SCRIPTS / service))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    engine.dispose()
