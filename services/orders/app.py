"""Puts orders together."""

from pydantic import Field, SecretStr

from generated.events import EVENTS, OrdersEvent
from services.orders.documents import OrdersDocuments
from services.orders.events import History, Payments, Readiness, Users
from services.orders.rpc import OrdersRpc
from services.orders.store import OrdersStore
from services.runtime import documents
from services.runtime.app import run_beside
from services.runtime.broker import Broker
from services.runtime.clock import now
from services.runtime.consumer import consume
from services.runtime.database import Database
from services.runtime.ids import new_id
from services.runtime.outbox import Outbox, Relay
from services.runtime.server import serving, until_signalled
from services.runtime.settings import ServiceSettings
from services.runtime.vault import Vault


class Settings(ServiceSettings):
    """What orders is told."""

    documents_url: SecretStr = Field(description="mongodb://host:port/database, the document store")


async def serve(settings: Settings) -> None:
    """Runs until SIGTERM."""
    database = Database(settings.database_url.get_secret_value())
    broker = Broker(settings.broker_url.get_secret_value(), "orders")
    client, collections = documents.connect(settings.documents_url.get_secret_value())
    store = OrdersStore(database, Outbox[OrdersEvent](EVENTS))
    written = OrdersDocuments(collections)
    vault = Vault(settings.encryption_key.get_secret_value())
    rpc = OrdersRpc(store, written, vault, now, new_id, settings.public_url)
    async with database, client:
        await written.prepare()
        await run_beside(
            serving(settings.service_socket, [rpc], grace_s=settings.drain_seconds),
            until_signalled,
            [
                Relay("orders", database, broker).run(),
                consume(broker, History(written)),
                consume(broker, Payments(written)),
                consume(broker, Readiness(store, now)),
                consume(broker, Users(store)),
            ],
        )
