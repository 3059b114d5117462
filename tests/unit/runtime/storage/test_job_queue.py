"""Statements of a job table, and the claim of jobs of which one cannot be decoded."""

from typing import Any

import pytest
from sqlalchemy import Column, DateTime, Integer, MetaData, Table, Text, bindparam, select

from services.runtime.storage.database import Database, Statement
from services.runtime.storage.job_queue import JobQueue, JobTable
from tests.unit.fake_transactions import NOW

COUNTED = Table(
    "counted_jobs",
    MetaData(),
    Column("id", Text, primary_key=True),
    Column("state", Text),
    Column("attempts", Integer),
    Column("due_at", DateTime(timezone=True)),
    Column("leased_until", DateTime(timezone=True)),
)
COUNTED_JOBS = JobTable(COUNTED, lease_end=COUNTED.c.leased_until, attempts=COUNTED.c.attempts)
UNCOUNTED_JOBS = JobTable(COUNTED, lease_end=COUNTED.c.due_at)


def to_sql(statement: Statement) -> str:
    return " ".join(statement.sql.decode().split())


def build_claim(jobs: JobTable) -> Statement:
    due_ids = select(COUNTED.c.id).where(COUNTED.c.due_at <= bindparam("now")).order_by(COUNTED.c.due_at)
    return jobs.build_claim(due_ids, returning=[COUNTED.c.id])


def test_claim_skips_locked_jobs_and_counts_attempts() -> None:
    sql = to_sql(build_claim(COUNTED_JOBS))
    assert "ORDER BY counted_jobs.due_at LIMIT %(size)s FOR UPDATE OF counted_jobs SKIP LOCKED" in sql
    assert "SET attempts=(counted_jobs.attempts + " in sql
    assert "leased_until=%(lease_until)s" in sql
    assert sql.endswith("RETURNING counted_jobs.id")


def test_claim_without_attempts_sets_end_of_lease_only() -> None:
    assert "SET due_at=%(lease_until)s::TIMESTAMP WITH TIME ZONE FROM due" in to_sql(build_claim(UNCOUNTED_JOBS))


@pytest.mark.parametrize(("jobs", "token"), [(COUNTED_JOBS, "attempts"), (UNCOUNTED_JOBS, "due_at")])
def test_changes_of_leased_jobs_require_lease_token(jobs: JobTable, token: str) -> None:
    update = to_sql(jobs.build_leased_update({"due_at": bindparam("not_before")}, COUNTED.c.state == "waiting"))
    assert "SET due_at=%(not_before)s" in update
    assert f"counted_jobs.{token} = %(lease_token)s" in update
    assert "counted_jobs.state = " in update
    assert f"(counted_jobs.id, counted_jobs.{token}) IN (SELECT unnest(" in to_sql(jobs.build_leased_delete())


async def test_job_that_cannot_be_decoded_is_logged_and_omitted(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    values: dict[str, Any] = {}

    async def fetch_all(_: Database, statement: Statement, **parameters: Any) -> list[dict[str, Any]]:
        values.update(parameters)
        return [{"id": "1"}, {"id": "invalid"}, {"id": "3"}]

    monkeypatch.setattr(Database, "fetch_all", fetch_all)
    queue = JobQueue(Database("postgresql://unused.test"), build_claim(COUNTED_JOBS), lambda row: int(row["id"]))
    assert await queue.claim(5, NOW, NOW, min_priority=8) == [1, 3]
    assert values == {"size": 5, "now": NOW, "lease_until": NOW, "min_priority": 8}
    (record,) = caplog.records
    assert record.getMessage().startswith("job invalid not decoded")
    assert record.exc_info is not None
