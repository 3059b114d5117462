"""Statements of a job table, and the claim of jobs of which one cannot be decoded."""

from typing import Any

import pytest
from sqlalchemy import Column, DateTime, Integer, MetaData, Table, Text, bindparam, select

from generated.problems import Reason
from services.runtime.concurrency.worker_pool import ClaimedJobs
from services.runtime.core.errors import ApiError
from services.runtime.storage.database import Database
from services.runtime.storage.job_queue import JobQueue, JobTable, Row
from services.runtime.storage.statements.row_parameters import build_rows
from services.runtime.storage.statements.statement import Statement
from tests.metric_values import read_metric
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
    leases = build_rows("leases", [Column("job_id", Text), Column("lease_token", Integer)])
    deletion = to_sql(Statement(jobs.build_leased_delete(leases)))
    assert f"WHERE counted_jobs.id = leases.job_id AND counted_jobs.{token} = leases.lease_token" in deletion


def read_count(outcome: str) -> float:
    return read_metric("delivery_jobs_undecodable_total", kind="job", outcome=outcome)


class FakeQueue:
    """Queue with three rows, of which one is undecodable. Its attempts are exhausted after the third."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, attempts: int, error: ApiError | None = None) -> None:
        self.rows: list[Row] = [{"id": "1"}, {"id": "invalid", "attempts": attempts}, {"id": "3"}]
        self.values: dict[str, Any] = {}
        self.failed: list[str] = []
        self.error = error
        monkeypatch.setattr(Database, "fetch_all", self.fetch_all)
        self.queue = JobQueue(
            "job",
            Database("postgresql://unused.test"),
            build_claim(COUNTED_JOBS),
            lambda row: int(row["id"]),
            is_exhausted=lambda row, _: row["attempts"] >= 3,
            fail=self.fail,
        )

    async def fetch_all(self, statement: Statement, **parameters: Any) -> list[dict[str, Any]]:
        self.values.update(parameters)
        return self.rows

    async def fail(self, row: Row) -> None:
        if self.error is not None:
            raise self.error
        self.failed.append(row["id"])

    async def claim(self) -> ClaimedJobs[int]:
        return await self.queue.claim(5, NOW, NOW, min_priority=8)


async def test_undecodable_job_is_omitted_and_retried(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fake = FakeQueue(monkeypatch, attempts=2)
    claimed = await fake.claim()
    assert (claimed, claimed.leased) == ([1, 3], 3)
    assert fake.values == {"size": 5, "now": NOW, "lease_until": NOW, "min_priority": 8}
    assert fake.failed == []
    (record,) = caplog.records
    assert record.getMessage() == "job invalid not decoded; retrying when its lease expires"
    assert record.exc_info is not None


async def test_undecodable_job_fails_when_attempts_are_exhausted(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fake = FakeQueue(monkeypatch, attempts=3)
    assert await fake.claim() == [1, 3]
    assert fake.failed == ["invalid"]
    (record,) = caplog.records
    assert record.getMessage() == "job invalid not decoded; attempts exhausted"


async def test_undecodable_job_is_counted_by_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    before = {outcome: read_count(outcome) for outcome in ("retried", "failed")}
    await FakeQueue(monkeypatch, attempts=2).claim()
    await FakeQueue(monkeypatch, attempts=3).claim()
    assert {outcome: read_count(outcome) - count for outcome, count in before.items()} == {"retried": 1, "failed": 1}


async def test_other_jobs_are_claimed_while_failure_cannot_be_stored(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fake = FakeQueue(monkeypatch, attempts=3, error=ApiError(Reason.UPSTREAM_UNAVAILABLE, "database unavailable"))
    assert await fake.claim() == [1, 3]
    assert "job invalid not decoded; its failure was not stored: " in caplog.text
