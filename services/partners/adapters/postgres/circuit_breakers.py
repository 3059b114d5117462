"""Circuit breakers of partners in PostgreSQL; a closed one without failures has no row."""

from collections.abc import Sequence
from typing import override

from sqlalchemy import BigInteger, bindparam, delete, select
from sqlalchemy.dialects.postgresql import ARRAY

from services.partners.adapters.postgres.catalog_entities import PARTNERS
from services.partners.adapters.postgres.locks import PartnersLock
from services.partners.adapters.postgres.tables import breakers, partners
from services.partners.usecases.partner_calls import BreakerRepository, CallTarget
from services.runtime.concurrency.circuit_breaker import CircuitBreaker
from services.runtime.concurrency.micro_batching import MicroBatcher
from services.runtime.core.repository import EntityReader
from services.runtime.storage import advisory_lock
from services.runtime.storage.database import Database
from services.runtime.storage.statements.statement import Statement, build_upsert
from services.runtime.storage.transactions.transaction import Transaction

_BREAKER = Statement(
    select(breakers.c.failures, breakers.c.open_until).where(breakers.c.partner_id == bindparam("partner_id")),
    row_type=CircuitBreaker,
)
_SAVE_BREAKER = build_upsert(breakers)
_DELETE_BREAKER = Statement(delete(breakers).where(breakers.c.partner_id == bindparam("partner")))
_CALL_TARGETS = Statement(
    select(
        *(partners.c[name] for name in ("id", *PARTNERS.columns)),
        breakers.c.failures,
        breakers.c.open_until,
    )
    .join(breakers, breakers.c.partner_id == partners.c.id, isouter=True)
    .where(partners.c.id == bindparam("ids", type_=ARRAY(BigInteger)).any_())
)


class PostgresBreakerRepository(BreakerRepository):
    """Circuit breakers of partners of one transaction in PostgreSQL."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    @override
    async def get(self, partner_id: int) -> CircuitBreaker:
        return await self._transaction.fetch_one(_BREAKER, partner_id=partner_id) or CircuitBreaker()

    @override
    async def get_for_update(self, partner_id: int) -> CircuitBreaker:
        await advisory_lock.acquire(self._transaction, PartnersLock.PARTNER_CIRCUIT_BREAKER, partner_id)
        return await self.get(partner_id)

    @override
    async def save(self, partner_id: int, breaker: CircuitBreaker) -> None:
        if breaker == CircuitBreaker():
            await self._transaction.execute(_DELETE_BREAKER, partner=partner_id)
        else:
            await self._transaction.execute(
                _SAVE_BREAKER, partner_id=partner_id, failures=breaker.failures, open_until=breaker.open_until
            )


class PostgresCallTargetReader(EntityReader[int, CallTarget]):
    """Read access to partners with their circuit breakers; concurrent reads share a query."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._batcher = MicroBatcher(self._load_targets)

    @override
    async def get(self, key: int) -> CallTarget | None:
        return await self._batcher.submit(key)

    async def _load_targets(self, partner_ids: Sequence[int]) -> Sequence[CallTarget | None]:
        targets: dict[int, CallTarget] = {}
        for row in await self._database.fetch_all(_CALL_TARGETS, ids=list(set(partner_ids))):
            breaker = CircuitBreaker(row.pop("failures") or 0, row.pop("open_until"))
            targets[row["id"]] = CallTarget(PARTNERS.read_row(row), breaker)
        return [targets.get(partner_id) for partner_id in partner_ids]
