"""Composition root of the notifications service."""

import json
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial

from generated.events import EVENTS, NotificationsEvent
from services.notifications.adapters import template_loader
from services.notifications.adapters.agent_cache import AgentCache
from services.notifications.adapters.agent_change_listener import AgentChangeListener
from services.notifications.adapters.history_repository import MongoHistoryRepository
from services.notifications.adapters.postgres.agents import PostgresAgentReader
from services.notifications.adapters.postgres.delivery_queue import PostgresDueJobsQueue
from services.notifications.adapters.postgres.repository import PostgresRepository
from services.notifications.adapters.postgres.tables import agent_keys, delivery_jobs
from services.notifications.adapters.providers.apns import ApnsKey
from services.notifications.adapters.providers.metrics import make_open_breakers_refresh
from services.notifications.adapters.providers.registry import ProviderClientRegistry
from services.notifications.adapters.providers.smtp import SmtpClient
from services.notifications.domain.agents import MIN_URGENT_PRIORITY
from services.notifications.domain.delivery_state import RetryPolicy
from services.notifications.domain.notifications import User
from services.notifications.entrypoints.consumers import (
    OPERATORS_USER_ID,
    AlertsConsumer,
    MailConsumer,
    OrdersConsumer,
    RequestsConsumer,
    UrgentRequestsConsumer,
    UsersConsumer,
)
from services.notifications.entrypoints.delivery_workers import DeliveryWorkerPools, create_delivery_workers
from services.notifications.entrypoints.rpc import NotificationsRpc
from services.notifications.settings import Settings
from services.notifications.usecases import contacts
from services.notifications.usecases.deliver import DeliveryContext, deliver, fail_undecodable_job
from services.notifications.usecases.delivery_jobs import DeliveryJobs
from services.notifications.usecases.enqueue import FALLBACK_MAIL_TEMPLATE, NotificationEnqueuer
from services.runtime.concurrency.periodic import run_periodically
from services.runtime.core.clock import get_time_days_ago, now
from services.runtime.messaging import inbox
from services.runtime.messaging.connection import Broker
from services.runtime.messaging.consumer import consume
from services.runtime.messaging.outbox import SETTINGS_WITH_RELAY, Outbox, Relay
from services.runtime.process.lifecycle import serve_with_background_tasks
from services.runtime.process.metrics_endpoint import serve_metrics
from services.runtime.rpc.server import serve_rpc, wait_for_stop_signal
from services.runtime.storage import idempotency, mongo
from services.runtime.storage.database import Database
from services.runtime.storage.encryption import SecretBox
from services.runtime.storage.reencryption import CHECK_INTERVAL_S, check_secrets, run_reencrypt

ENCRYPTED_COLUMNS = (agent_keys.c.ciphertext, delivery_jobs.c.mail)
"""Columns with secrets, which the service encrypts with ENCRYPTION_KEY."""

MAX_CONNECTIONS = 16
OUTBOX_INTERVAL_S = 0.5
"""Minimum seconds between polls of the outbox: no service waits for the results of notifications."""

CLEANUP_INTERVAL_S = 3600.0
"""Interval of the deletion of old history entries, idempotency keys and inbox entries."""


async def serve(settings: Settings, stop: Callable[[], Awaitable[None]] = wait_for_stop_signal) -> None:
    """Run the service until `stop` returns, by default on SIGTERM."""
    database = Database(
        settings.database_url.get_secret_value(), max_size=MAX_CONNECTIONS, settings=SETTINGS_WITH_RELAY
    )
    broker = Broker(settings.broker_url.get_secret_value(), "notifications")
    mongo_client, mongo_database = mongo.connect(settings.documents_url.get_secret_value())
    outbox, secret_box = Outbox[NotificationsEvent](EVENTS), SecretBox(settings.encryption_key.get_secret_value())
    agents = PostgresAgentReader(database, secret_box)
    repository = PostgresRepository(database, outbox, secret_box, agents)
    history, agent_cache = MongoHistoryRepository(mongo_database), AgentCache(agents)
    jobs = DeliveryJobs(repository)
    queue = PostgresDueJobsQueue(database, secret_box, partial(fail_undecodable_job, jobs, history, now))
    providers = build_provider_registry(settings, agents)
    retry_policy = RetryPolicy(fallback_after_s=settings.fallback_seconds)
    rules = template_loader.load_rules()
    request_templates = template_loader.load_request_templates()
    mail_templates = template_loader.load_mail_templates()
    delivery_context = DeliveryContext(
        repository, agent_cache, providers, jobs, history, mail_templates[FALLBACK_MAIL_TEMPLATE], retry_policy, now
    )
    lease = timedelta(seconds=settings.lease_seconds)
    worker_pools = {
        min_priority: create_delivery_workers(
            queue, partial(deliver, delivery_context), now, min_priority=min_priority, workers=workers, lease=lease
        )
        for min_priority, workers in ((1, settings.workers), (MIN_URGENT_PRIORITY, settings.urgent_workers))
    }
    workers = DeliveryWorkerPools(worker_pools)
    enqueuer = NotificationEnqueuer(repository.users, agent_cache, jobs, history, now, workers)
    async with database, mongo_client:
        if settings.operators_email:
            operators = User(OPERATORS_USER_ID, settings.operators_email, None, None, int(time.time()))
            await contacts.upsert_contact(repository, operators, None)
        await serve_with_background_tasks(
            serve_rpc(
                settings.service_socket,
                [NotificationsRpc(repository, history, now)],
                settings.build_page_token_signer(),
                grace_s=settings.drain_seconds,
            ),
            stop,
            [
                Relay("notifications", database, broker, OUTBOX_INTERVAL_S).run(),
                serve_metrics(
                    "notifications",
                    settings.environment,
                    settings.service_socket,
                    database,
                    broker,
                    [make_open_breakers_refresh(providers.list_breakers)],
                ),
                *(pool.run() for pool in worker_pools.values()),
                consume(broker, OrdersConsumer(enqueuer, rules)),
                consume(broker, AlertsConsumer(enqueuer, rules)),
                consume(broker, RequestsConsumer(enqueuer, request_templates)),
                consume(broker, MailConsumer(enqueuer, mail_templates)),
                consume(broker, UsersConsumer(repository, history)),
                consume(broker, UrgentRequestsConsumer(enqueuer, request_templates)),
                AgentChangeListener(broker, agents, agent_cache).run(),
                run_periodically(
                    CHECK_INTERVAL_S, "secret check", lambda: check_secrets(database, ENCRYPTED_COLUMNS, secret_box)
                ),
                run_periodically(
                    CLEANUP_INTERVAL_S,
                    "notification history cleanup",
                    lambda: history.delete_older_than(get_time_days_ago(settings.history_days)),
                ),
                run_periodically(
                    CLEANUP_INTERVAL_S, "idempotency key cleanup", lambda: idempotency.delete_expired(database)
                ),
                run_periodically(
                    CLEANUP_INTERVAL_S,
                    "inbox cleanup",
                    lambda: inbox.delete_older_than(database, get_time_days_ago(settings.inbox_days)),
                ),
            ],
        )
    await providers.close()


def build_provider_registry(settings: Settings, agents: PostgresAgentReader) -> ProviderClientRegistry:
    """Create the provider clients from the settings."""
    service_account = json.loads(settings.google_application_credentials.read_text(encoding="utf-8"))
    smtp_client = SmtpClient(settings.smtp_url.get_secret_value(), settings.mail_from)
    providers = ProviderClientRegistry(agents, smtp_client, service_account, settings.fcm_url, settings.apns_url)
    if settings.apns_key_file is not None:
        private_key = settings.apns_key_file.read_text(encoding="utf-8")
        providers.register_apns(ApnsKey(settings.apns_key_id, settings.apns_team_id, settings.apns_topic, private_key))
    return providers


async def reencrypt_secrets(settings: Settings) -> None:
    """Encrypt all stored secrets with the first encryption key."""
    await run_reencrypt(settings, ENCRYPTED_COLUMNS)
