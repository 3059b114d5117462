"""Job queues in PostgreSQL: jobs are claimed under leases, and a job is changed only while its lease is held.

Every service has a job table of its own. If a worker dies, another one claims its job after the lease has expired.
A job that cannot be decoded is retried in the same way, since another release or encryption key may decode it, and
fails when its attempts are exhausted.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Column, ColumnElement, FromClause, Select, Table, bindparam, delete, update
from sqlalchemy.sql.dml import ReturningDelete

from generated import mesh
from services.runtime.concurrency.worker_pool import ClaimedJobs
from services.runtime.core.errors import ApiError
from services.runtime.storage.database import Database
from services.runtime.storage.statements.statement import Statement
from services.runtime.telemetry.metrics import Counter

log = logging.getLogger(__name__)

UNDECODABLE_JOBS = Counter(
    f"{mesh.NAME}.jobs.undecodable",
    "Claimed jobs that could not be decoded, by kind and outcome (retried or failed).",
    "{job}",
)

type Row = dict[str, Any]


@dataclass(frozen=True, eq=False)
class JobTable:
    """Table of jobs with the primary key `id`, and its statements.

    A claim sets `lease_end`, which may be the column of the due time, and adds 1 to `attempts`. The lease is identified
    by its token, the value after the claim: that of `attempts`, or of `lease_end` if attempts are not counted.
    """

    table: Table
    lease_end: Column[datetime]
    attempts: Column[int] | None = None

    def build_claim(self, due_ids: Select[Any], *, returning: Sequence[Column[Any]]) -> Statement:
        """Build the statement that leases due jobs, for `JobQueue`.

        `due_ids` selects the ids of the due jobs, the most urgent first. Its parameters become parameters of the
        statement. Jobs that another transaction is claiming are skipped.
        """
        table = self.table
        due = due_ids.limit(bindparam("size")).with_for_update(of=table, skip_locked=True).cte("due")
        changes: dict[str, Any] = {self.lease_end.name: bindparam("lease_until", type_=self.lease_end.type)}
        if self.attempts is not None:
            changes[self.attempts.name] = self.attempts + 1
        return Statement(update(table).where(table.c.id == due.c.id).values(changes).returning(*returning))

    def build_leased_update(self, values: Mapping[str, Any], *conditions: ColumnElement[bool]) -> Statement:
        """Build the update of a job whose lease is held; parameters `job_id`, `lease_token` and those of `values`."""
        table = self.table
        is_leased = (table.c.id == bindparam("job_id"), self.lease_token == bindparam("lease_token"))
        return Statement(update(table).where(*is_leased, *conditions).values(dict(values)))

    def build_leased_delete(self, leases: FromClause) -> ReturningDelete[Any]:
        """Build the deletion of the jobs whose leases are held, among those with the columns `job_id`, `lease_token`.

        It returns these columns of the deleted jobs.
        """
        job_id, token = self.table.c.id, self.lease_token
        statement = delete(self.table).where(job_id == leases.c.job_id, token == leases.c.lease_token)
        return statement.returning(job_id.label("job_id"), token.label("lease_token"))

    @property
    def lease_token(self) -> Column[Any]:
        """Return the column whose value identifies a lease."""
        return self.lease_end if self.attempts is None else self.attempts


class JobQueue[Job]:
    """Queue whose due jobs the statement of `JobTable.build_claim` leases; `decode` converts a row to a job.

    `is_exhausted` returns whether the attempts at an undecodable job are exhausted, given its row and the current time;
    `fail` then stores its failure. `name` is the noun for a job in log lines and metrics.
    """

    def __init__(
        self,
        name: str,
        database: Database,
        claim: Statement,
        decode: Callable[[Row], Job],
        *,
        is_exhausted: Callable[[Row, datetime], bool],
        fail: Callable[[Row], Awaitable[object]],
    ) -> None:
        self._name = name
        self._database = database
        self._claim = claim
        self._decode = decode
        self._is_exhausted = is_exhausted
        self._fail = fail
        UNDECODABLE_JOBS.initialise_to_zero({"kind": name, "outcome": outcome} for outcome in ("retried", "failed"))

    async def claim(self, size: int, now: datetime, lease_until: datetime, **values: object) -> ClaimedJobs[Job]:
        """Lease at most `size` due jobs until `lease_until`, in any order.

        A job that cannot be decoded is logged, counted and omitted, so that it does not block the others. It counts as
        a leased one.
        """
        rows = await self._database.fetch_all(self._claim, size=size, now=now, lease_until=lease_until, **values)
        jobs: ClaimedJobs[Job] = ClaimedJobs((), leased=len(rows))
        for row in rows:
            try:
                jobs.append(self._decode(row))
            # Boundary of one job: any row of the batch may be invalid.
            except Exception:
                consequence = await self._retry_or_fail(row, now)
                log.exception("%s %s not decoded; %s", self._name, row["id"], consequence)
        return jobs

    async def _retry_or_fail(self, row: Row, now: datetime) -> str:
        """Store the failure of an undecodable job if its attempts are exhausted. Return the consequence."""
        outcome, consequence = "retried", "retrying when its lease expires"
        if self._is_exhausted(row, now):
            try:
                await self._fail(row)
            except ApiError as error:
                return f"its failure was not stored: {error}"
            outcome, consequence = "failed", "attempts exhausted"
        UNDECODABLE_JOBS.add(1, {"kind": self._name, "outcome": outcome})
        return consequence
