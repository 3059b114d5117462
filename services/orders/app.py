"""Puts orders together."""

from datetime import timedelta
from typing import Annotated, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import NoDecode

from generated.events import EVENTS, OrdersEvent
from services.orders import usecases
from services.orders.adapters import metrics
from services.orders.adapters.history_repository import MongoHistoryRepository
from services.orders.adapters.order_change_listener import PostgresOrderChangeListener
from services.orders.adapters.payment_system_client import HttpPaymentSystem
from services.orders.adapters.postgres.orders import PostgresRepository
from services.orders.adapters.postgres.reconciliation import PostgresReconciliationRepository
from services.orders.entrypoints.consumers import (
    HistoryConsumer,
    PartnersConsumer,
    PaymentsConsumer,
    ReadinessConsumer,
    UsersConsumer,
)
from services.orders.entrypoints.rpc import OrdersRpc
from services.orders.usecases.reconcile import ReconciliationPolicy
from services.runtime.concurrency.periodic import run_periodically
from services.runtime.config.production_checks import EMULATED
from services.runtime.config.settings import Delays, InboxDays, Origins, ServiceSettings
from services.runtime.core.clock import days_ago, now
from services.runtime.core.ids import new_id
from services.runtime.messaging import inbox
from services.runtime.messaging.connection import Broker
from services.runtime.messaging.consumer import consume
from services.runtime.messaging.outbox import Outbox, Relay
from services.runtime.outbound import safe_http_client
from services.runtime.process.lifecycle import serve_with_background_tasks
from services.runtime.process.metrics_endpoint import serve_metrics
from services.runtime.rpc.server import serve_rpc, wait_for_stop_signal
from services.runtime.storage import idempotency, mongo
from services.runtime.storage.database import Database
from services.runtime.storage.encryption import SecretBox


class Settings(ServiceSettings):
    """What orders is told."""

    documents_url: SecretStr = Field(description="mongodb://host:port/database, the document store")
    allowed_targets: Annotated[Origins, NoDecode] = Field(
        default=(),
        json_schema_extra=EMULATED,
        description="origins that may be called although they are private, apart by commas",
    )
    bank_timeout_seconds: float = Field(
        default=15, gt=0, le=30, description="how long a bank may take for a refund, in seconds"
    )
    refund_retry_delays_seconds: Annotated[Delays, NoDecode] = Field(
        default=(5, 60, 300, 1800, 7200, 18000, 36000, 50400),
        description="seconds before the second, third … attempt at a refund, apart by commas",
    )
    unpaid_order_timeout_minutes: float = Field(default=30, gt=0, description="how long an order waits for its payment")
    expiry_poll_interval_seconds: float = Field(default=5, gt=0, description="between looks for orders that expire")
    refund_poll_interval_seconds: float = Field(default=1, gt=0, description="between looks for refunds that are due")
    inbox_days: InboxDays = 30
    reconcile_poll_interval_seconds: float = Field(
        default=60, gt=0, description="between looks for orders that are to be compared"
    )
    reconcile_quiet_period_seconds: float = Field(
        default=600, ge=0, description="how long an order has not changed when what all stores say of it is compared"
    )
    reconcile_recheck_interval_hours: float = Field(
        default=24, gt=0, description="between two comparisons of the same order"
    )
    reconcile_window_days: float = Field(
        default=7, gt=0, description="how long after its last change an order is compared; less than INBOX_DAYS"
    )
    partner_notification_timeout_seconds: float = Field(
        default=1800, gt=0, description="how long a paid order may wait for its partner before operators are alerted"
    )
    pickup_timeout_seconds: float = Field(
        default=3600, gt=0, description="how long a ready order may wait for a deliverer before operators are alerted"
    )

    @model_validator(mode="after")
    def _check_reconcile_window(self) -> Self:
        """What is said again must be known to those who took it before."""
        if self.reconcile_window_days >= self.inbox_days:
            raise ValueError("RECONCILE_WINDOW_DAYS must be less than INBOX_DAYS")
        return self

    @property
    def reconciliation_policy(self) -> ReconciliationPolicy:
        """When orders are compared, and when they are stuck."""
        return ReconciliationPolicy(
            quiet_period=timedelta(seconds=self.reconcile_quiet_period_seconds),
            recheck_interval=timedelta(hours=self.reconcile_recheck_interval_hours),
            window=timedelta(days=self.reconcile_window_days),
            partner_notification_timeout=timedelta(seconds=self.partner_notification_timeout_seconds),
            pickup_timeout=timedelta(seconds=self.pickup_timeout_seconds),
        )


async def serve(settings: Settings) -> None:
    """Runs until SIGTERM."""
    database = Database(settings.database_url.get_secret_value())
    broker = Broker(settings.broker_url.get_secret_value(), "orders")
    client, collections = mongo.connect(settings.documents_url.get_secret_value())
    outbox = Outbox[OrdersEvent](EVENTS)
    store, books, terms = (
        PostgresRepository(database, outbox),
        PostgresReconciliationRepository(database, outbox),
        settings.reconciliation_policy,
    )
    written = MongoHistoryRepository(collections)
    vault = SecretBox(settings.encryption_key.get_secret_value())
    changes = PostgresOrderChangeListener(settings.database_url.get_secret_value())
    rpc = OrdersRpc(store, written, changes, vault, now, new_id, settings.public_url)
    http = safe_http_client.create_client(settings.allowed_targets, timeout_s=settings.bank_timeout_seconds)
    async with database, client, http:
        banks = HttpPaymentSystem(http, vault, now, settings.bank_timeout_seconds)
        life = timedelta(minutes=settings.unpaid_order_timeout_minutes)
        await written.create_indexes()
        await serve_with_background_tasks(
            serve_rpc(settings.service_socket, [rpc], grace_s=settings.drain_seconds),
            wait_for_stop_signal,
            [
                Relay("orders", database, broker).run(),
                serve_metrics("orders", settings.service_socket, database, broker),
                consume(broker, HistoryConsumer(written)),
                consume(broker, PaymentsConsumer(written)),
                consume(broker, ReadinessConsumer(store, now)),
                consume(broker, PartnersConsumer(store, now)),
                consume(broker, UsersConsumer(store)),
                changes.run(),
                run_periodically(3600, "forgetting keys", lambda: idempotency.delete_expired(database)),
                run_periodically(
                    3600, "clearing the inbox", lambda: inbox.delete_older_than(database, days_ago(settings.inbox_days))
                ),
                run_periodically(
                    3600, "clearing callbacks", lambda: books.delete_old_callbacks(days_ago(settings.inbox_days))
                ),
                run_periodically(
                    settings.reconcile_poll_interval_seconds,
                    "reconciling",
                    lambda: usecases.reconcile(books, written, now, terms, metrics.record_discrepancy),
                ),
                run_periodically(
                    settings.reconcile_poll_interval_seconds,
                    "stuck orders",
                    lambda: usecases.alert_stuck_orders(books, now, terms),
                ),
                run_periodically(
                    settings.reconcile_poll_interval_seconds,
                    "waiting events",
                    lambda: usecases.warn_about_outbox_backlog(books, now, terms),
                ),
                run_periodically(
                    settings.expiry_poll_interval_seconds, "expiry", lambda: usecases.expire_orders(store, now, life)
                ),
                run_periodically(
                    settings.refund_poll_interval_seconds,
                    "refunds",
                    lambda: usecases.send_due_refunds(store, banks, now, settings.refund_retry_delays_seconds),
                ),
            ],
        )
