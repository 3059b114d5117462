"""Composition root of the partners service."""

import asyncio

from generated.events import EVENTS, PartnersEvent
from services.partners.adapters import metrics
from services.partners.adapters.partner_system_client import PartnerSystemClient
from services.partners.adapters.postgres import ready_callbacks
from services.partners.adapters.postgres.catalog_writer import PostgresCatalogWriter
from services.partners.adapters.postgres.partner_calls import PostgresDueCallsQueue
from services.partners.adapters.postgres.repository import PostgresRepository
from services.partners.adapters.postgres.tables import partners
from services.partners.entrypoints.call_worker import CallPolicy, create_call_workers
from services.partners.entrypoints.commands import demo_data
from services.partners.entrypoints.consumers import OrderEventsConsumer
from services.partners.entrypoints.rpc import PartnersRpc
from services.partners.settings import Settings
from services.runtime.concurrency.periodic import run_periodically
from services.runtime.config.settings import DemoSettings
from services.runtime.core.clock import get_time_days_ago, now
from services.runtime.messaging import inbox
from services.runtime.messaging.connection import Broker
from services.runtime.messaging.consumer import consume
from services.runtime.messaging.outbox import SETTINGS_WITH_RELAY, Outbox, Relay
from services.runtime.outbound import safe_http_client
from services.runtime.process.lifecycle import serve_with_background_tasks
from services.runtime.process.metrics_endpoint import serve_metrics
from services.runtime.rpc.server import serve_rpc, wait_for_stop_signal
from services.runtime.storage import idempotency
from services.runtime.storage.database import Database
from services.runtime.storage.encryption import SecretBox
from services.runtime.storage.reencryption import CHECK_INTERVAL_S, check_secrets, run_reencrypt
from services.runtime.storage.unit_of_work import PostgresUnitOfWorkFactory

ENCRYPTED_COLUMNS = (partners.c.webhook_secret, partners.c.old_secret, partners.c.older_secrets)
"""Columns with secrets, which the service encrypts with ENCRYPTION_KEY."""

CLEANUP_INTERVAL_S = 3600


async def serve(settings: Settings) -> None:
    """Run the service until SIGTERM."""
    database = Database(settings.database_url.get_secret_value(), settings=SETTINGS_WITH_RELAY)
    broker = Broker(settings.broker_url.get_secret_value(), "partners")
    secret_box = SecretBox(settings.encryption_key.get_secret_value())
    wakeup = asyncio.Event()
    repository = PostgresRepository(database, Outbox[PartnersEvent](EVENTS), wakeup.set)
    due_calls = PostgresDueCallsQueue(database, len(settings.partner_retry_delays_seconds))
    policy = CallPolicy(settings.partner_retry_delays_seconds, settings.partner_timeout_seconds)
    async with database, safe_http_client.create_transport(settings.allowed_targets) as transport:
        system = PartnerSystemClient(transport, secret_box, now, policy.timeout_s)
        await serve_with_background_tasks(
            serve_rpc(
                settings.service_socket,
                [PartnersRpc(repository, secret_box, now)],
                settings.build_page_token_signer(),
                grace_s=settings.drain_seconds,
            ),
            wait_for_stop_signal,
            [
                Relay("partners", database, broker).run(),
                serve_metrics(
                    "partners",
                    settings.environment,
                    settings.service_socket,
                    database,
                    broker,
                    [metrics.build_open_breakers_refresh(database)],
                ),
                run_periodically(
                    CHECK_INTERVAL_S, "secret check", lambda: check_secrets(database, ENCRYPTED_COLUMNS, secret_box)
                ),
                run_periodically(
                    CLEANUP_INTERVAL_S, "idempotency key cleanup", lambda: idempotency.delete_expired(database)
                ),
                run_periodically(
                    CLEANUP_INTERVAL_S,
                    "inbox cleanup",
                    lambda: inbox.delete_older_than(database, get_time_days_ago(settings.inbox_days)),
                ),
                run_periodically(
                    CLEANUP_INTERVAL_S,
                    "ready callback cleanup",
                    lambda: ready_callbacks.delete_older_than(database, get_time_days_ago(settings.inbox_days)),
                ),
                run_periodically(
                    CLEANUP_INTERVAL_S,
                    "partner call cleanup",
                    lambda: due_calls.delete_old_calls(get_time_days_ago(settings.call_history_days)),
                ),
                consume(
                    broker,
                    OrderEventsConsumer(repository, now, settings.public_url, policy.retry_delays_s[0], wakeup),
                ),
                create_call_workers(due_calls, repository, system, now, policy, wakeup).run(),
            ],
        )


async def load_demo_data(settings: Settings, demo: DemoSettings) -> None:
    """Insert or reset the demo partners, products and prices."""
    secret_box = SecretBox(settings.encryption_key.get_secret_value())
    webhook_secret = secret_box.encrypt(demo.demo_webhook_secret.get_secret_value())
    database = Database(settings.database_url.get_secret_value(), max_size=1)
    async with database:
        repository = PostgresUnitOfWorkFactory(database, PostgresCatalogWriter)
        await demo_data.load_demo_data(repository, demo.sandbox_url, webhook_secret)


async def reencrypt_secrets(settings: Settings) -> None:
    """Encrypt all stored secrets with the first encryption key."""
    await run_reencrypt(settings, ENCRYPTED_COLUMNS)
