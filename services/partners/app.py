"""Puts partners together."""

import asyncio
from typing import Annotated

from pydantic import Field
from pydantic_settings import NoDecode

from generated.events import EVENTS, PartnersEvent
from services.partners.adapters import metrics
from services.partners.adapters.partner_system_client import PartnerSystemClient
from services.partners.adapters.postgres.partners import PostgresRepository
from services.partners.domain import call_policy
from services.partners.entrypoints.call_worker import CallPolicy, run_worker
from services.partners.entrypoints.consumers import OrderEventsConsumer
from services.partners.entrypoints.rpc import PartnersRpc
from services.runtime.concurrency.periodic import run_periodically
from services.runtime.config.production_checks import EMULATED
from services.runtime.config.settings import Delays, InboxDays, Origins, ServiceSettings
from services.runtime.core.clock import days_ago, now
from services.runtime.messaging import inbox
from services.runtime.messaging.connection import Broker
from services.runtime.messaging.consumer import consume
from services.runtime.messaging.outbox import Outbox, Relay
from services.runtime.outbound import safe_http_client
from services.runtime.process.lifecycle import serve_with_background_tasks
from services.runtime.process.metrics_endpoint import serve_metrics
from services.runtime.rpc.server import serve_rpc, wait_for_stop_signal
from services.runtime.storage import idempotency
from services.runtime.storage.database import Database
from services.runtime.storage.encryption import SecretBox


class Settings(ServiceSettings):
    """What partners is told."""

    allowed_targets: Annotated[Origins, NoDecode] = Field(
        default=(),
        json_schema_extra=EMULATED,
        description="origins that may be called although they are private, apart by commas",
    )
    partner_timeout_seconds: float = Field(
        default=15, gt=0, le=60, description="how long a partner's system may take, in seconds"
    )
    partner_retry_delays_seconds: Annotated[Delays, NoDecode] = Field(
        default=call_policy.RETRY_DELAYS_S,
        min_length=1,
        description="seconds before the first, second, third … try at telling a partner, apart by commas",
    )
    inbox_days: InboxDays = 30
    call_history_days: float = Field(
        default=90, ge=7, le=3650, description="how long it is kept what partners were told and what they said"
    )


async def serve(settings: Settings) -> None:
    """Runs until SIGTERM."""
    database = Database(settings.database_url.get_secret_value())
    broker = Broker(settings.broker_url.get_secret_value(), "partners")
    vault = SecretBox(settings.encryption_key.get_secret_value())
    outbox = Outbox[PartnersEvent](EVENTS)
    store = PostgresRepository(database, outbox)
    terms = CallPolicy(settings.partner_retry_delays_seconds, settings.partner_timeout_seconds)
    planned = asyncio.Event()
    async with (
        database,
        safe_http_client.create_client(settings.allowed_targets, timeout_s=settings.partner_timeout_seconds) as client,
    ):
        await serve_with_background_tasks(
            serve_rpc(settings.service_socket, [PartnersRpc(store, vault, now)], grace_s=settings.drain_seconds),
            wait_for_stop_signal,
            [
                Relay("partners", database, broker).run(),
                serve_metrics(
                    "partners",
                    settings.service_socket,
                    database,
                    broker,
                    [metrics.build_open_breakers_refresh(database)],
                ),
                run_periodically(3600, "forgetting keys", lambda: idempotency.delete_expired(database)),
                run_periodically(
                    3600, "clearing the inbox", lambda: inbox.delete_older_than(database, days_ago(settings.inbox_days))
                ),
                run_periodically(
                    3600, "clearing calls", lambda: store.delete_old_calls(days_ago(settings.call_history_days))
                ),
                consume(broker, OrderEventsConsumer(store, now, settings.public_url, terms.retry_delays_s[0], planned)),
                run_worker(store, PartnerSystemClient(client, vault, now, terms.timeout_s), now, terms, planned),
            ],
        )
