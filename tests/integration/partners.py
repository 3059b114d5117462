"""The partners service without its doors, on real servers."""

import itertools
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from generated.events import EVENTS, PartnersEvent
from services.partners import tables, usecases
from services.partners.domain import Partner
from services.partners.retries import Call, CallKind, CallState
from services.partners.store import PartnersStore
from services.runtime.broker import Broker
from services.runtime.clock import now
from services.runtime.database import Database, upsert
from services.runtime.ids import new_id
from services.runtime.outbox import Outbox, Relay
from services.runtime.vault import Vault

QUEUE = "partners.calls"
_ids = itertools.count(1_000_000)


class Partners:
    """The service's store, and shortcuts to what is done with it."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        self.database = Database(settings["DATABASE_URL"])
        self.broker = Broker(settings["BROKER_URL"], "test")
        self.store = PartnersStore(self.database, Outbox[PartnersEvent](EVENTS))
        self.vault = Vault(settings["ENCRYPTION_KEY"])

    def relay(self) -> Relay:
        """One of its relays."""
        return Relay("partners", self.database, self.broker)

    async def sql(self, statement: str, **values: Any) -> list[dict[str, Any]]:
        """What no use case of the service does or shows."""
        async with self.database.connection() as connection:
            cursor = await connection.connection.execute(statement.encode(), values)
            return await cursor.fetchall() if cursor.description else []

    async def add_partner(self, sandbox_url: str, secret: str, **changed: Any) -> Partner:
        """A partner that nobody else has, whose system is the sandbox's kitchen of its id."""
        number = next(_ids)
        partner = Partner(
            id=number,
            title=f"Kitchen {number}",
            brand="B",
            phone="+12025550101",
            email="kitchen@delivery.test",
            address="1 Market Square",
            api_url=f"{sandbox_url}/partner/{number}",
            verified=True,
            enabled=True,
            webhook_secret=self.vault.lock(secret),
        )
        partner = replace(partner, **changed)
        await self.database.run(upsert(tables.partners), **asdict(partner))
        return partner

    async def plan(self, partner: Partner, order_id: str | None = None, event_id: str | None = None) -> Call:
        """An order of the partner's is paid."""
        order_id, at = order_id or new_id(), now()
        call = Call(
            id=event_id or new_id(),
            partner_id=partner.id,
            order_id=order_id,
            kind=CallKind.ORDER,
            payload={
                "order_id": order_id,
                "items": [{"product_id": 1, "title": "Lemonade", "quantity": 2}],
                "callback_url": "http://127.0.0.1:1/ready",
            },
            trace={},
            state=CallState.WAITING,
            attempts=0,
            next_at=at,
            created_at=at,
        )
        await usecases.plan_order(self.store, QUEUE, call.id, call)
        return call

    async def cancel(self, order_id: str, event_id: str | None = None, reason: str | None = None) -> str:
        """An order is cancelled; the id of the call that may tell of it."""
        event_id = event_id or new_id()
        await usecases.plan_cancellation(self.store, QUEUE, event_id, order_id, reason, now(), 0)
        return event_id

    async def call(self, call_id: str) -> Call:
        """As it stands."""
        async with self.store.unit() as unit:
            call = await unit.call(call_id)
        assert call is not None
        return call

    async def calls(self, order_id: str) -> dict[str, str]:
        """The states of an order's calls by kind."""
        rows = await self.sql("SELECT kind, state FROM partner_calls WHERE order_id = %(id)s", id=order_id)
        return {row["kind"]: row["state"] for row in rows}

    async def events(self, subject: str) -> list[str]:
        """The types of the events about something that have not left."""
        rows = await self.sql("SELECT type FROM outbox WHERE subject = %(subject)s ORDER BY id", subject=subject)
        return [row["type"] for row in rows]
