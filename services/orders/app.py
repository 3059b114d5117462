"""Puts orders together."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field, SecretStr
from pydantic_settings import NoDecode

from generated.events import EVENTS, OrdersEvent
from services.orders import usecases
from services.orders.banks import HttpPaymentSystem
from services.orders.changes import OrderChanges
from services.orders.documents import OrdersDocuments
from services.orders.events import History, Partners, Payments, Readiness, Users
from services.orders.rpc import OrdersRpc
from services.orders.store import OrdersStore
from services.runtime import documents, idempotency, outgoing
from services.runtime.app import run_beside
from services.runtime.broker import Broker
from services.runtime.clock import now
from services.runtime.consumer import consume
from services.runtime.database import Database
from services.runtime.ids import new_id
from services.runtime.jobs import every
from services.runtime.outbox import Outbox, Relay
from services.runtime.scrape import expose
from services.runtime.server import serving, until_signalled
from services.runtime.settings import Delays, Origins, ServiceSettings
from services.runtime.vault import Vault


class Settings(ServiceSettings):
    """What orders is told."""

    documents_url: SecretStr = Field(description="mongodb://host:port/database, the document store")
    allowed_targets: Annotated[Origins, NoDecode] = Field(
        default=(), description="origins that may be called although they are private, apart by commas"
    )
    bank_timeout: float = Field(
        default=15, gt=0, le=30, description="how long a bank may take for a refund, in seconds"
    )
    refund_schedule: Annotated[Delays, NoDecode] = Field(
        default=(5, 60, 300, 1800, 7200, 18000, 36000, 50400),
        description="seconds before the second, third … attempt at a refund, apart by commas",
    )
    unpaid_minutes: float = Field(default=30, gt=0, description="how long an order waits for its payment")
    sweep_seconds: float = Field(default=5, gt=0, description="between looks for orders that expire")
    refund_seconds: float = Field(default=1, gt=0, description="between looks for refunds that are due")


async def serve(settings: Settings) -> None:
    """Runs until SIGTERM."""
    database = Database(settings.database_url.get_secret_value())
    broker = Broker(settings.broker_url.get_secret_value(), "orders")
    client, collections = documents.connect(settings.documents_url.get_secret_value())
    store = OrdersStore(database, Outbox[OrdersEvent](EVENTS))
    written = OrdersDocuments(collections)
    vault = Vault(settings.encryption_key.get_secret_value())
    changes = OrderChanges(settings.database_url.get_secret_value())
    rpc = OrdersRpc(store, written, changes, vault, now, new_id, settings.public_url)
    http = outgoing.client(settings.allowed_targets, timeout=settings.bank_timeout)
    async with database, client, http:
        banks = HttpPaymentSystem(http, vault, now, settings.bank_timeout)
        life = timedelta(minutes=settings.unpaid_minutes)
        await written.prepare()
        await run_beside(
            serving(settings.service_socket, [rpc], grace_s=settings.drain_seconds),
            until_signalled,
            [
                Relay("orders", database, broker).run(),
                expose("orders", settings.service_socket, database, broker),
                consume(broker, History(written)),
                consume(broker, Payments(written)),
                consume(broker, Readiness(store, now)),
                consume(broker, Partners(store, now, new_id)),
                consume(broker, Users(store)),
                changes.run(),
                every(3600, "forgetting keys", lambda: idempotency.sweep(database)),
                every(settings.sweep_seconds, "expiry", lambda: usecases.expire_orders(store, now, life)),
                every(
                    settings.refund_seconds,
                    "refunds",
                    lambda: usecases.send_refunds(store, banks, now, settings.refund_schedule),
                ),
            ],
        )
