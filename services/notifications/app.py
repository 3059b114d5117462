"""Puts notifications together."""

from pydantic import Field, SecretStr

from generated.events import EVENTS, NotificationsEvent
from services.notifications import texts
from services.notifications.documents import NotificationsDocuments
from services.notifications.domain import Provider
from services.notifications.events import Alerts, Mails, Orders, Users
from services.notifications.providers.fcm import Fcm
from services.notifications.providers.smtp import Smtp
from services.notifications.rpc import NotificationsRpc
from services.notifications.store import NotificationsStore
from services.runtime import documents
from services.runtime.app import run_beside
from services.runtime.broker import Broker
from services.runtime.clock import now
from services.runtime.consumer import consume
from services.runtime.database import Database
from services.runtime.outbox import Outbox, Relay
from services.runtime.server import serving, until_signalled
from services.runtime.settings import ServiceSettings


class Settings(ServiceSettings):
    """What notifications is told."""

    documents_url: SecretStr = Field(description="mongodb://host:port/database, the document store")
    firebase_project_id: str = Field(description="the Firebase project that pushes")
    google_application_credentials: str = Field(description="path of the service account's key file")
    fcm_url: str = Field(default="https://fcm.googleapis.com", description="where FCM is")
    smtp_url: SecretStr = Field(description="smtp://[user:password@]host:port, or smtps://")
    mail_from: str = Field(default="Delivery <no-reply@delivery.test>", description="the sender of mails")


async def serve(settings: Settings) -> None:
    """Runs until SIGTERM."""
    database = Database(settings.database_url.get_secret_value())
    broker = Broker(settings.broker_url.get_secret_value(), "notifications")
    client, collections = documents.connect(settings.documents_url.get_secret_value())
    store = NotificationsStore(database, Outbox[NotificationsEvent](EVENTS))
    history = NotificationsDocuments(collections)
    fcm = Fcm(settings.firebase_project_id, settings.google_application_credentials, settings.fcm_url)
    mailer = Smtp(settings.smtp_url.get_secret_value(), settings.mail_from)
    async with database, client:
        await history.prepare()
        await run_beside(
            serving(settings.service_socket, [NotificationsRpc(history)], grace_s=settings.drain_seconds),
            until_signalled,
            [
                Relay("notifications", database, broker).run(),
                consume(broker, Orders(store, history, {Provider.FCM: fcm}, texts.rules(), now)),
                consume(broker, Users(store, history)),
                consume(broker, Mails(mailer, texts.mails())),
                consume(broker, Alerts()),
            ],
        )
