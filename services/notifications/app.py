"""Puts notifications together."""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

from pydantic import Field, SecretStr

from generated.events import EVENTS, NotificationsEvent
from services.notifications.adapters import template_loader
from services.notifications.adapters.agent_cache import AgentCache
from services.notifications.adapters.agent_change_listener import AgentChangeListener
from services.notifications.adapters.history_repository import MongoHistoryRepository
from services.notifications.adapters.postgres.job_queue import PostgresJobQueue
from services.notifications.adapters.postgres.repositories import PostgresAgentRepository, PostgresUserRepository
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
from services.notifications.entrypoints.rpc import NotificationsRpc
from services.notifications.entrypoints.worker_pool import WorkerPool
from services.notifications.usecases.deliver import DeliveryContext, deliver
from services.notifications.usecases.enqueue import NotificationEnqueuer
from services.runtime.concurrency.periodic import run_periodically
from services.runtime.config.production_checks import EMULATED, is_emulated
from services.runtime.config.settings import InboxDays, ServiceSettings
from services.runtime.core.clock import days_ago, now
from services.runtime.core.errors import ApiError
from services.runtime.messaging import inbox
from services.runtime.messaging.connection import Broker
from services.runtime.messaging.consumer import consume
from services.runtime.messaging.outbox import Outbox, Relay
from services.runtime.process.lifecycle import serve_with_background_tasks
from services.runtime.process.metrics_endpoint import serve_metrics
from services.runtime.rpc.server import serve_rpc, wait_for_stop_signal
from services.runtime.storage import idempotency, mongo
from services.runtime.storage.database import Database
from services.runtime.storage.encryption import SecretBox

log = logging.getLogger(__name__)

MAX_CONNECTIONS = 16
CLEANUP_INTERVAL_S = 3600.0
"""Seconds between looks for history that is too old."""


class Settings(ServiceSettings):
    """What notifications is told."""

    documents_url: SecretStr = Field(description="mongodb://host:port/database, the document store")
    google_application_credentials: Path = Field(description="the key file of the service account that pushes")
    fcm_url: str = Field(default="https://fcm.googleapis.com", json_schema_extra=EMULATED, description="where FCM is")
    apns_url: str = Field(default="https://api.push.apple.com", json_schema_extra=EMULATED, description="where APNs is")
    apns_key_file: Path | None = Field(
        default=None, description="the .p8 file for Apple; without it nothing goes there"
    )
    apns_key_id: str = Field(default="", description="ten characters that name the key")
    apns_team_id: str = Field(default="", description="ten characters that name the team")
    apns_topic: str = Field(default="", description="the app's bundle id")
    smtp_url: SecretStr = Field(description="smtp://[user:password@]host:port, or smtps://")
    mail_from: str = Field(default="Delivery <no-reply@delivery.test>", description="the sender of mails")
    operators_email: str = Field(default="", description="who is told of system alerts; nobody when empty")
    history_days: int = Field(default=90, ge=1, description="how long it is kept what people were told")
    inbox_days: InboxDays = 30
    fallback_seconds: float = Field(
        default=30, ge=0, description="how long a provider may be busy before the next is asked"
    )
    lease_seconds: float = Field(
        default=60,
        gt=0,
        description="until what a worker that died was sending is sent again; longer than a send takes",
    )
    workers: int = Field(default=24, ge=1, le=28, description="notifications sent at once")
    urgent_workers: int = Field(default=4, ge=1, le=28, description="workers for urgent notifications alone, on top")

    def production_errors(self) -> Iterator[str]:
        """Mail goes to people."""
        yield from super().production_errors()
        if is_emulated(self.smtp_url.get_secret_value()):
            yield "SMTP_URL is for development: nobody reads mail there"


async def serve(settings: Settings, stop: Callable[[], Awaitable[None]] = wait_for_stop_signal) -> None:
    """Runs until SIGTERM, or until `stop` says so."""
    database = Database(settings.database_url.get_secret_value(), max_size=MAX_CONNECTIONS)
    broker = Broker(settings.broker_url.get_secret_value(), "notifications")
    client, collections = mongo.connect(settings.documents_url.get_secret_value())
    outbox, vault = Outbox[NotificationsEvent](EVENTS), SecretBox(settings.encryption_key.get_secret_value())
    users, agents = PostgresUserRepository(database), PostgresAgentRepository(database, outbox, vault)
    queue, history, cache = (
        PostgresJobQueue(database, outbox, vault),
        MongoHistoryRepository(collections),
        AgentCache(agents),
    )
    carriers = build_provider_registry(settings, agents)
    patience = RetryPolicy(fallback_after_s=settings.fallback_seconds)
    mails = template_loader.load_mail_templates()
    work = DeliveryContext(
        users, cache, carriers, queue, history, mails[template_loader.FALLBACK_MAIL_TEMPLATE], patience, now
    )
    lease = timedelta(seconds=settings.lease_seconds)
    lanes = [
        WorkerPool(queue, partial(deliver, work), now, min_priority=least, workers=workers, lease=lease)
        for least, workers in ((1, settings.workers), (MIN_URGENT_PRIORITY, settings.urgent_workers))
    ]
    intake = NotificationEnqueuer(users, cache, queue, history, now, [lane.notify for lane in lanes])
    rules = template_loader.load_rules()
    async with database, client:
        await history.create_indexes()
        if settings.operators_email:
            await users.upsert_user(
                User(OPERATORS_USER_ID, settings.operators_email, None, None, int(time.time())), None
            )
        await serve_with_background_tasks(
            serve_rpc(settings.service_socket, [NotificationsRpc(agents, history)], grace_s=settings.drain_seconds),
            stop,
            [
                Relay("notifications", database, broker).run(),
                serve_metrics(
                    "notifications",
                    settings.service_socket,
                    database,
                    broker,
                    [make_open_breakers_refresh(carriers.list_breakers)],
                ),
                *(lane.run() for lane in lanes),
                consume(broker, OrdersConsumer(intake, rules)),
                consume(broker, AlertsConsumer(intake, rules)),
                consume(broker, RequestsConsumer(intake, template_loader.load_request_templates())),
                consume(broker, MailConsumer(intake, mails)),
                consume(broker, UsersConsumer(users, queue, history)),
                consume(broker, UrgentRequestsConsumer(intake, template_loader.load_request_templates())),
                AgentChangeListener(broker, agents, cache).run(),
                delete_old_history(history, timedelta(days=settings.history_days)),
                run_periodically(CLEANUP_INTERVAL_S, "forgetting keys", lambda: idempotency.delete_expired(database)),
                run_periodically(
                    CLEANUP_INTERVAL_S,
                    "clearing the inbox",
                    lambda: inbox.delete_older_than(database, days_ago(settings.inbox_days)),
                ),
            ],
        )
    await carriers.close()


def build_provider_registry(settings: Settings, agent_repository: PostgresAgentRepository) -> ProviderClientRegistry:
    """Everybody who carries, as the settings say."""
    account = json.loads(settings.google_application_credentials.read_text())
    mailer = SmtpClient(settings.smtp_url.get_secret_value(), settings.mail_from)
    carriers = ProviderClientRegistry(agent_repository, mailer, account, settings.fcm_url, settings.apns_url)
    if settings.apns_key_file is not None:
        private_key = settings.apns_key_file.read_text()
        carriers.register_apns(ApnsKey(settings.apns_key_id, settings.apns_team_id, settings.apns_topic, private_key))
    return carriers


async def delete_old_history(history: MongoHistoryRepository, retention: timedelta) -> None:
    """Removes history that is too old, until cancelled."""
    while True:
        try:
            if removed := await history.delete_older_than(now() - retention):
                log.info("%d notifications were older than %s", removed, retention)
        except ApiError as refusal:
            log.warning("old history waits: %s", refusal)
        await asyncio.sleep(CLEANUP_INTERVAL_S)
