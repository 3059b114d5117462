"""Puts orders together."""

from datetime import timedelta
from typing import Annotated, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import NoDecode

from generated.events import EVENTS, OrdersEvent
from services.orders import counts, usecases
from services.orders.banks import HttpPaymentSystem
from services.orders.changes import OrderChanges
from services.orders.documents import OrdersDocuments
from services.orders.events import History, Partners, Payments, Readiness, Users
from services.orders.reconcile_store import ReconcileStore
from services.orders.rpc import OrdersRpc
from services.orders.store import OrdersStore
from services.orders.usecases.reconcile import Terms
from services.runtime import documents, idempotency, inbox, outgoing
from services.runtime.app import run_beside
from services.runtime.broker import Broker
from services.runtime.clock import before, now
from services.runtime.consumer import consume
from services.runtime.database import Database
from services.runtime.ids import new_id
from services.runtime.jobs import every
from services.runtime.outbox import Outbox, Relay
from services.runtime.production import PLAYED
from services.runtime.scrape import expose
from services.runtime.server import serving, until_signalled
from services.runtime.settings import Delays, InboxDays, Origins, ServiceSettings
from services.runtime.vault import Vault


class Settings(ServiceSettings):
    """What orders is told."""

    documents_url: SecretStr = Field(description="mongodb://host:port/database, the document store")
    allowed_targets: Annotated[Origins, NoDecode] = Field(
        default=(),
        json_schema_extra=PLAYED,
        description="origins that may be called although they are private, apart by commas",
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
    inbox_days: InboxDays = 30
    reconcile_seconds: float = Field(default=60, gt=0, description="between looks for orders that are to be compared")
    reconcile_quiet_seconds: float = Field(
        default=600, ge=0, description="how long an order has not changed when what all stores say of it is compared"
    )
    reconcile_again_hours: float = Field(default=24, gt=0, description="between two comparisons of the same order")
    reconcile_days: float = Field(
        default=7, gt=0, description="how long after its last change an order is compared; less than INBOX_DAYS"
    )
    partner_told_seconds: float = Field(
        default=1800, gt=0, description="how long a paid order may wait for its partner before operators are alerted"
    )
    fetched_seconds: float = Field(
        default=3600, gt=0, description="how long a ready order may wait for a deliverer before operators are alerted"
    )

    @model_validator(mode="after")
    def _known_when_repeated(self) -> Self:
        """What is said again must be known to those who took it before."""
        if self.reconcile_days >= self.inbox_days:
            raise ValueError("RECONCILE_DAYS must be less than INBOX_DAYS")
        return self

    @property
    def terms(self) -> Terms:
        """When orders are compared, and when they are stuck."""
        return Terms(
            quiet=timedelta(seconds=self.reconcile_quiet_seconds),
            again=timedelta(hours=self.reconcile_again_hours),
            horizon=timedelta(days=self.reconcile_days),
            told=timedelta(seconds=self.partner_told_seconds),
            fetched=timedelta(seconds=self.fetched_seconds),
        )


async def serve(settings: Settings) -> None:
    """Runs until SIGTERM."""
    database = Database(settings.database_url.get_secret_value())
    broker = Broker(settings.broker_url.get_secret_value(), "orders")
    client, collections = documents.connect(settings.documents_url.get_secret_value())
    outbox = Outbox[OrdersEvent](EVENTS)
    store, books, terms = OrdersStore(database, outbox), ReconcileStore(database, outbox), settings.terms
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
                consume(broker, Partners(store, now)),
                consume(broker, Users(store)),
                changes.run(),
                every(3600, "forgetting keys", lambda: idempotency.sweep(database)),
                every(3600, "clearing the inbox", lambda: inbox.sweep(database, before(settings.inbox_days))),
                every(3600, "clearing callbacks", lambda: books.clear_callbacks(before(settings.inbox_days))),
                every(
                    settings.reconcile_seconds,
                    "reconciling",
                    lambda: usecases.reconcile(books, written, now, terms, counts.disagreed),
                ),
                every(settings.reconcile_seconds, "stuck orders", lambda: usecases.alert_stuck(books, now, terms)),
                every(
                    settings.reconcile_seconds, "waiting events", lambda: usecases.warn_of_waiting(books, now, terms)
                ),
                every(settings.sweep_seconds, "expiry", lambda: usecases.expire_orders(store, now, life)),
                every(
                    settings.refund_seconds,
                    "refunds",
                    lambda: usecases.send_refunds(store, banks, now, settings.refund_schedule),
                ),
            ],
        )
