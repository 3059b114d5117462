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
from services.notifications import texts
from services.notifications.cache import CachedAgents
from services.notifications.changes import AgentChanges
from services.notifications.dispatcher import Dispatcher
from services.notifications.documents import NotificationsDocuments
from services.notifications.domain.agents import URGENT
from services.notifications.domain.notifications import User
from services.notifications.domain.progress import Patience
from services.notifications.events import OPERATORS, Alerts, Mails, Orders, Requests, UrgentRequests, UserEvents
from services.notifications.providers.apns import Key
from services.notifications.providers.carriers import ProviderCarriers
from services.notifications.providers.counts import gates_shut
from services.notifications.providers.smtp import Smtp
from services.notifications.queue import PostgresQueue
from services.notifications.rpc import NotificationsRpc
from services.notifications.store import AgentsStore, UsersStore
from services.notifications.usecases.dispatch import Dispatch, deliver
from services.notifications.usecases.intake import Intake
from services.runtime import documents, idempotency, inbox
from services.runtime.app import run_beside
from services.runtime.broker import Broker
from services.runtime.clock import before, now
from services.runtime.consumer import consume
from services.runtime.database import Database
from services.runtime.jobs import every
from services.runtime.outbox import Outbox, Relay
from services.runtime.production import PLAYED, is_played
from services.runtime.refusal import Refusal
from services.runtime.scrape import expose
from services.runtime.server import serving, until_signalled
from services.runtime.settings import InboxDays, ServiceSettings
from services.runtime.vault import Vault

log = logging.getLogger(__name__)

CONNECTIONS = 16
SWEEP_S = 3600.0
"""Seconds between looks for history that is too old."""


class Settings(ServiceSettings):
    """What notifications is told."""

    documents_url: SecretStr = Field(description="mongodb://host:port/database, the document store")
    google_application_credentials: Path = Field(description="the key file of the service account that pushes")
    fcm_url: str = Field(default="https://fcm.googleapis.com", json_schema_extra=PLAYED, description="where FCM is")
    apns_url: str = Field(default="https://api.push.apple.com", json_schema_extra=PLAYED, description="where APNs is")
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
    claim_seconds: float = Field(
        default=60,
        gt=0,
        description="until what a worker that died was sending is sent again; longer than a send takes",
    )
    workers: int = Field(default=24, ge=1, le=28, description="notifications sent at once")
    urgent_workers: int = Field(default=4, ge=1, le=28, description="workers for urgent notifications alone, on top")

    def faults(self) -> Iterator[str]:
        """Mail goes to people."""
        yield from super().faults()
        if is_played(self.smtp_url.get_secret_value()):
            yield "SMTP_URL is for development: nobody reads mail there"


async def serve(settings: Settings, stop: Callable[[], Awaitable[None]] = until_signalled) -> None:
    """Runs until SIGTERM, or until `stop` says so."""
    database = Database(settings.database_url.get_secret_value(), max_size=CONNECTIONS)
    broker = Broker(settings.broker_url.get_secret_value(), "notifications")
    client, collections = documents.connect(settings.documents_url.get_secret_value())
    outbox, vault = Outbox[NotificationsEvent](EVENTS), Vault(settings.encryption_key.get_secret_value())
    users, agents = UsersStore(database), AgentsStore(database, outbox, vault)
    queue, history, cache = (
        PostgresQueue(database, outbox, vault),
        NotificationsDocuments(collections),
        CachedAgents(agents),
    )
    carriers = providers(settings, agents)
    patience = Patience(fallback_s=settings.fallback_seconds)
    mails = texts.mails()
    work = Dispatch(users, cache, carriers, queue, history, mails[texts.LETTER], patience, now)
    lease = timedelta(seconds=settings.claim_seconds)
    lanes = [
        Dispatcher(queue, partial(deliver, work), now, least=least, workers=workers, lease=lease)
        for least, workers in ((1, settings.workers), (URGENT, settings.urgent_workers))
    ]
    intake = Intake(users, cache, queue, history, now, [lane.wake for lane in lanes])
    rules = texts.rules()
    async with database, client:
        await history.prepare()
        if settings.operators_email:
            await users.put_user(User(OPERATORS, settings.operators_email, None, None, int(time.time())), None)
        await run_beside(
            serving(settings.service_socket, [NotificationsRpc(agents, history)], grace_s=settings.drain_seconds),
            stop,
            [
                Relay("notifications", database, broker).run(),
                expose("notifications", settings.service_socket, database, broker, [gates_shut(carriers.gates)]),
                *(lane.run() for lane in lanes),
                consume(broker, Orders(intake, rules)),
                consume(broker, Alerts(intake, rules)),
                consume(broker, Requests(intake, texts.templates())),
                consume(broker, Mails(intake, mails)),
                consume(broker, UserEvents(users, queue, history)),
                consume(broker, UrgentRequests(intake, texts.templates())),
                AgentChanges(broker, agents, cache).run(),
                sweep(history, timedelta(days=settings.history_days)),
                every(SWEEP_S, "forgetting keys", lambda: idempotency.sweep(database)),
                every(SWEEP_S, "clearing the inbox", lambda: inbox.sweep(database, before(settings.inbox_days))),
            ],
        )
    await carriers.close()


def providers(settings: Settings, agents: AgentsStore) -> ProviderCarriers:
    """Everybody who carries, as the settings say."""
    account = json.loads(settings.google_application_credentials.read_text())
    mailer = Smtp(settings.smtp_url.get_secret_value(), settings.mail_from)
    carriers = ProviderCarriers(agents, mailer, account, settings.fcm_url, settings.apns_url)
    if settings.apns_key_file is not None:
        private_key = settings.apns_key_file.read_text()
        carriers.add_apns(Key(settings.apns_key_id, settings.apns_team_id, settings.apns_topic, private_key))
    return carriers


async def sweep(history: NotificationsDocuments, keep: timedelta) -> None:
    """Removes history that is too old, until cancelled."""
    while True:
        try:
            if removed := await history.clear(now() - keep):
                log.info("%d notifications were older than %s", removed, keep)
        except Refusal as refusal:
            log.warning("old history waits: %s", refusal)
        await asyncio.sleep(SWEEP_S)
