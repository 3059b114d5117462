"""Counters of PostgreSQL: statements and transactions of a system, without those of the benchmark."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import psycopg
from psycopg import sql

from bench.mesh import Mesh
from tests.wait import wait_until

OBSERVER = "bench_observer"
"""Role of the benchmark's own statements, which distinguishes them from those of the measured system."""

EXTENSION = "pg_stat_statements"
FLUSH_TIMEOUT_S, FLUSH_POLL_INTERVAL_S = 30, 0.25

_COUNT_STATEMENTS = """
SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid
WHERE d.datname = ANY(%s) AND s.userid <> %s::regrole AND s.query !~* '^(begin|commit|rollback)'
"""
_COUNT_TRANSACTIONS = """
SELECT coalesce(sum(xact_commit + xact_rollback), 0)::bigint FROM pg_stat_database WHERE datname = ANY(%s)
"""
_COUNT_UNREPORTED = """
SELECT count(*) FROM pg_stat_activity WHERE datname = ANY(%(databases)s) AND backend_type = 'client backend'
AND pid <> pg_backend_pid() AND NOT (
  state = 'idle' AND (state_change >= %(since)s + interval '1 second' OR state_change < now() - interval '10.5 seconds')
)
"""
"""Backends that may not have reported their transactions since a time.

A backend reports at the end of a transaction if its last report is a second old, or after ten idle seconds
(PGSTAT_MIN_INTERVAL and PGSTAT_IDLE_INTERVAL of pgstat.c).
"""


def configure_statement_statistics(mesh: Mesh) -> None:
    """Configure PostgreSQL so that it counts statements from its next start on."""
    with mesh.connect_database("postgres") as connection:
        connection.execute(sql.SQL("ALTER SYSTEM SET shared_preload_libraries = {}").format(sql.Literal(EXTENSION)))


def enable_statement_statistics(mesh: Mesh) -> None:
    """Create the extension, after `configure_statement_statistics` and a restart."""
    with mesh.connect_database("postgres") as connection:
        connection.execute(sql.SQL("CREATE EXTENSION IF NOT EXISTS {}").format(sql.Identifier(EXTENSION)))


def create_observer(mesh: Mesh) -> None:
    """Create the role of the benchmark's own statements."""
    with mesh.connect_database("postgres") as connection:
        connection.execute(sql.SQL("CREATE ROLE {} SUPERUSER").format(sql.Identifier(OBSERVER)))


def connect_observer(mesh: Mesh, database: str) -> psycopg.Connection[Any]:
    """Connect to a database with the role of the benchmark."""
    connection = mesh.connect_database(database)
    connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(OBSERVER)))
    return connection


class DatabaseCounters:
    """Counters of the databases of one system. `observer` is a connection of `connect_observer` to another database."""

    def __init__(self, observer: psycopg.Connection[Any], databases: Sequence[str]) -> None:
        self._observer = observer
        self._databases = [*databases]

    def count_statements(self) -> int:
        """Return the number of statements, without those that begin and end transactions."""
        return self._fetch_count(_COUNT_STATEMENTS, self._databases, OBSERVER)

    def count_transactions(self) -> int:
        """Return the number of transactions, including the benchmark's, once the backends have reported all of them.

        Raises TimeoutError.
        """
        parameters = {"databases": self._databases, "since": self._fetch_now()}
        wait_until(
            lambda: self._observer.execute(_COUNT_UNREPORTED, parameters).fetchone() == (0,),
            FLUSH_TIMEOUT_S,
            interval_s=FLUSH_POLL_INTERVAL_S,
            description="reports of all backends",
        )
        return self._fetch_count(_COUNT_TRANSACTIONS, self._databases)

    def _fetch_now(self) -> datetime:
        row = self._observer.execute("SELECT clock_timestamp()").fetchone()
        if row is None or not isinstance(row[0], datetime):
            raise TypeError(f"clock_timestamp() returned {row}")
        return row[0]

    def _fetch_count(self, statement: str, *parameters: object) -> int:
        row = self._observer.execute(statement.encode(), parameters).fetchone()
        if row is None:
            raise TypeError("an aggregate returned no row")
        return int(row[0])
