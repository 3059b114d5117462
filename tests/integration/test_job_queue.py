"""Job queue and worker pool on a real PostgreSQL: exclusive leases, expiry, lost leases and limited attempts."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import NamedTuple

import pytest
from sqlalchemy import Column, DateTime, Integer, MetaData, Table, Text, bindparam, select

from services.runtime.concurrency.worker_pool import WorkerPool
from services.runtime.core.clock import now
from services.runtime.storage.database import Database
from services.runtime.storage.job_queue import JobQueue, JobTable, Row
from services.runtime.storage.statements.row_parameters import build_rows, collect_columns
from services.runtime.storage.statements.statement import Statement
from tests.integration.fixtures.background_tasks import run_in_background
from tests.integration.fixtures.servers import Servers
from tests.wait import wait_until_async

LEASE = timedelta(minutes=1)
MAX_ATTEMPTS = 3

_table = Table(
    "integration_test_jobs",
    MetaData(),
    Column("id", Text, primary_key=True),
    Column("attempts", Integer),
    Column("due_at", DateTime(timezone=True)),
)
COUNTED = JobTable(_table, lease_end=_table.c.due_at, attempts=_table.c.attempts)
UNCOUNTED = JobTable(_table, lease_end=_table.c.due_at)
JOB_TABLES = pytest.mark.parametrize("job_table", [COUNTED, UNCOUNTED], ids=["counted", "uncounted"])


class LeasedJob(NamedTuple):
    """Job and the token of its lease."""

    id: str
    attempts: int
    lease_token: object


class Jobs:
    """Queue of a job table, with helpers to add and inspect jobs."""

    def __init__(self, database: Database, job_table: JobTable = COUNTED) -> None:
        self.database = database
        due_ids = select(_table.c.id).where(_table.c.due_at <= bindparam("now")).order_by(_table.c.due_at)
        token = "attempts" if job_table is COUNTED else "due_at"

        def decode(row: Row) -> LeasedJob:
            return LeasedJob(row["id"], row["attempts"], row[token])

        self.queue = JobQueue(
            "test job",
            database,
            job_table.build_claim(due_ids, returning=list(_table.c)),
            decode,
            is_exhausted=lambda _row, _now: False,
            fail=lambda row: self.complete(decode(row)),
        )
        self.reschedule_statement = job_table.build_leased_update({"due_at": bindparam("not_before")})
        leases = build_rows("leases", [Column("job_id", Text), Column("lease_token", job_table.lease_token.type)])
        self.delete_statement = Statement(job_table.build_leased_delete(leases))

    async def execute_sql(self, statement: str, *values: object) -> list[dict[str, object]]:
        async with self.database.connection() as connection:
            cursor = await connection.connection.execute(statement.encode(), values)
            return await cursor.fetchall() if cursor.description else []

    async def add(self, *job_ids: str) -> None:
        for index, job_id in enumerate(job_ids):
            due_at = now() - timedelta(minutes=len(job_ids) - index)
            await self.execute_sql("INSERT INTO integration_test_jobs VALUES (%s, 0, %s)", job_id, due_at)

    async def claim(self, size: int = 10, delay: timedelta = timedelta(0)) -> list[LeasedJob]:
        at = now() + delay
        return await self.queue.claim(size, at, at + LEASE)

    async def reschedule(self, job: LeasedJob, delay: timedelta) -> bool:
        not_before = now() + delay
        return (
            await self.database.execute(
                self.reschedule_statement, job_id=job.id, lease_token=job.lease_token, not_before=not_before
            )
            == 1
        )

    async def complete(self, *jobs: LeasedJob) -> set[str]:
        leases = [{"job_id": job.id, "lease_token": job.lease_token} for job in jobs]
        return {
            row["job_id"] for row in await self.database.fetch_all(self.delete_statement, **collect_columns(leases))
        }

    async def list_rows(self) -> list[dict[str, object]]:
        return await self.execute_sql("SELECT * FROM integration_test_jobs ORDER BY id")


@pytest.fixture
async def database(servers: Servers) -> AsyncIterator[Database]:
    async with Database(servers.settings("orders")["DATABASE_URL"]) as database:
        jobs = Jobs(database)
        await jobs.execute_sql("DROP TABLE IF EXISTS integration_test_jobs")
        await jobs.execute_sql(
            "CREATE TABLE integration_test_jobs (id text PRIMARY KEY, attempts integer, due_at timestamptz)"
        )
        yield database
        await jobs.execute_sql("DROP TABLE integration_test_jobs")


@JOB_TABLES
async def test_concurrent_claims_are_exclusive(database: Database, job_table: JobTable) -> None:
    jobs = Jobs(database, job_table)
    job_ids = [f"j{index:02}" for index in range(60)]
    await jobs.add(*job_ids)
    claims = await asyncio.gather(*(jobs.claim(10) for _ in range(12)))
    assert sorted(job.id for claim in claims for job in claim) == job_ids
    assert max(map(len, claims)) <= 10


async def test_claim_skips_jobs_that_another_transaction_claims(database: Database) -> None:
    jobs = Jobs(database)
    await jobs.add("a", "b")
    async with database.transaction() as transaction:
        await transaction.begin()
        await transaction.connection.execute("SELECT 1 FROM integration_test_jobs WHERE id = 'a' FOR UPDATE")
        async with asyncio.timeout(2):
            assert [job.id for job in await jobs.claim()] == ["b"]
    assert [job.id for job in await jobs.claim()] == ["a"]


async def test_most_urgent_jobs_are_claimed_first(database: Database) -> None:
    jobs = Jobs(database)
    await jobs.add("c", "a", "b")
    assert {job.id for job in await jobs.claim(2)} == {"a", "c"}


@JOB_TABLES
async def test_expired_lease_is_claimed_again(database: Database, job_table: JobTable) -> None:
    jobs = Jobs(database, job_table)
    await jobs.add("a")
    [first] = await jobs.claim()
    assert await jobs.claim(delay=LEASE / 2) == []
    [second] = await jobs.claim(delay=LEASE)
    assert second.lease_token != first.lease_token
    assert (first.attempts, second.attempts) == ((1, 2) if job_table is COUNTED else (0, 0))


@JOB_TABLES
async def test_change_with_lost_lease_has_no_effect(database: Database, job_table: JobTable) -> None:
    jobs = Jobs(database, job_table)
    await jobs.add("a", "b")
    lost = await jobs.claim()
    current = await jobs.claim(delay=LEASE)
    before = await jobs.list_rows()
    assert await jobs.complete(*lost) == set()
    assert not await jobs.reschedule(lost[0], timedelta(hours=1))
    assert await jobs.list_rows() == before
    assert await jobs.complete(lost[0], *current) == {"a", "b"}
    assert await jobs.list_rows() == []


@JOB_TABLES
async def test_rescheduled_job_is_claimed_when_due(database: Database, job_table: JobTable) -> None:
    jobs = Jobs(database, job_table)
    await jobs.add("a")
    [job] = await jobs.claim()
    assert await jobs.reschedule(job, timedelta(hours=1))
    assert await jobs.claim(delay=timedelta(minutes=59)) == []
    assert [job.id for job in await jobs.claim(delay=timedelta(minutes=61))] == ["a"]


async def test_undecodable_jobs_do_not_delay_others(database: Database) -> None:
    jobs, runs = Jobs(database), []
    await jobs.add("undecodable1", "a", "undecodable2", "undecodable3", "b")
    decode = jobs.queue._decode

    def decode_valid(row: Row) -> LeasedJob:
        if row["id"].startswith("undecodable"):
            raise ValueError(row)
        return decode(row)

    jobs.queue._decode = decode_valid

    async def run(job: LeasedJob) -> None:
        runs.append(job.id)
        await jobs.complete(job)

    pool = WorkerPool(
        name="test job",
        claim=jobs.queue.claim,
        run_job=run,
        clock=now,
        lease=LEASE,
        max_concurrent=2,
        poll_interval_s=3600,
    )
    async with run_in_background(pool.run()):
        await wait_until_async(lambda: len(runs) == 2)
    assert runs == ["a", "b"]


async def test_failing_job_has_limited_attempts_and_does_not_stop_pools(database: Database) -> None:
    jobs, runs = Jobs(database), []
    await jobs.add("invalid", "a", "b")

    async def run(job: LeasedJob) -> None:
        runs.append(job.id)
        if job.id == "invalid":
            raise ValueError("invalid URL")
        await jobs.complete(job)

    async def record_failure(job: LeasedJob) -> None:
        if job.attempts < MAX_ATTEMPTS:
            await jobs.reschedule(job, timedelta(0))
        else:
            await jobs.complete(job)

    def create_pool() -> WorkerPool[LeasedJob]:
        return WorkerPool(
            name="test job",
            claim=jobs.queue.claim,
            run_job=run,
            record_failure=record_failure,
            clock=now,
            lease=LEASE,
            max_concurrent=1,
            poll_interval_s=0.02,
        )

    async def is_empty() -> bool:
        return await jobs.list_rows() == []

    async with run_in_background(create_pool().run(), create_pool().run()):
        await wait_until_async(is_empty)
        await jobs.add("c")
        await wait_until_async(is_empty)
    assert sorted(runs) == ["a", "b", "c", *["invalid"] * MAX_ATTEMPTS]
