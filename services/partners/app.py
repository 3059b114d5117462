"""Puts partners together."""

import asyncio
from typing import Annotated

from pydantic import Field
from pydantic_settings import NoDecode

from generated.events import EVENTS, PartnersEvent
from services.partners import counts, retries
from services.partners.events import Calls
from services.partners.rpc import PartnersRpc
from services.partners.store import PartnersStore
from services.partners.systems import HttpPartnerSystem
from services.partners.worker import Terms, work
from services.runtime import idempotency, inbox, outgoing
from services.runtime.app import run_beside
from services.runtime.broker import Broker
from services.runtime.clock import before, now
from services.runtime.consumer import consume
from services.runtime.database import Database
from services.runtime.jobs import every
from services.runtime.outbox import Outbox, Relay
from services.runtime.production import PLAYED
from services.runtime.scrape import expose
from services.runtime.server import serving, until_signalled
from services.runtime.settings import Delays, InboxDays, Origins, ServiceSettings
from services.runtime.vault import Vault


class Settings(ServiceSettings):
    """What partners is told."""

    allowed_targets: Annotated[Origins, NoDecode] = Field(
        default=(),
        json_schema_extra=PLAYED,
        description="origins that may be called although they are private, apart by commas",
    )
    partner_timeout: float = Field(
        default=15, gt=0, le=60, description="how long a partner's system may take, in seconds"
    )
    partner_schedule: Annotated[Delays, NoDecode] = Field(
        default=retries.SCHEDULE,
        min_length=1,
        description="seconds before the first, second, third … try at telling a partner, apart by commas",
    )
    inbox_days: InboxDays = 30
    calls_days: float = Field(
        default=90, ge=7, le=3650, description="how long it is kept what partners were told and what they said"
    )


async def serve(settings: Settings) -> None:
    """Runs until SIGTERM."""
    database = Database(settings.database_url.get_secret_value())
    broker = Broker(settings.broker_url.get_secret_value(), "partners")
    vault = Vault(settings.encryption_key.get_secret_value())
    outbox = Outbox[PartnersEvent](EVENTS)
    store = PartnersStore(database, outbox)
    terms = Terms(settings.partner_schedule, settings.partner_timeout)
    planned = asyncio.Event()
    async with database, outgoing.client(settings.allowed_targets, timeout=settings.partner_timeout) as client:
        await run_beside(
            serving(settings.service_socket, [PartnersRpc(store, vault, now)], grace_s=settings.drain_seconds),
            until_signalled,
            [
                Relay("partners", database, broker).run(),
                expose("partners", settings.service_socket, database, broker, [counts.breakers_open(database)]),
                every(3600, "forgetting keys", lambda: idempotency.sweep(database)),
                every(3600, "clearing the inbox", lambda: inbox.sweep(database, before(settings.inbox_days))),
                every(3600, "clearing calls", lambda: store.clear_calls(before(settings.calls_days))),
                consume(broker, Calls(store, now, settings.public_url, terms.schedule[0], planned)),
                work(store, HttpPartnerSystem(client, vault, now, terms.timeout_s), now, terms, planned),
            ],
        )
