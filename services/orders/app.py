"""Composition root of the orders service."""

import asyncio
import sys
from datetime import timedelta

from generated.events import EVENTS, OrdersEvent
from services.orders import usecases
from services.orders.adapters import metrics
from services.orders.adapters.history_repository import MongoHistoryRepository
from services.orders.adapters.order_change_listener import PostgresOrderChangeListener
from services.orders.adapters.payment_system_client import HttpPaymentSystem, start_refund_span
from services.orders.adapters.postgres.reconciliation import PostgresReconciliationRepository
from services.orders.adapters.postgres.refunds import PostgresRefundQueue
from services.orders.adapters.postgres.repository import PostgresRepository
from services.orders.adapters.postgres.tables import banks
from services.orders.entrypoints.commands.demo_data import load_demo_banks
from services.orders.entrypoints.commands.reconcile import run_reconcile
from services.orders.entrypoints.consumers import (
    HistoryConsumer,
    PartnersConsumer,
    PaymentsConsumer,
    ReadinessConsumer,
    UsersConsumer,
)
from services.orders.entrypoints.refund_worker import create_refund_workers
from services.orders.entrypoints.rpc import OrdersRpc
from services.orders.settings import Settings
from services.orders.usecases.reconciliation import ReconciliationPolicy
from services.runtime.concurrency.periodic import run_periodically
from services.runtime.config.settings import DemoSettings, ServiceSettings
from services.runtime.core.clock import get_time_days_ago, now
from services.runtime.core.ids import derive_id
from services.runtime.messaging import inbox
from services.runtime.messaging.connection import Broker
from services.runtime.messaging.consumer import consume
from services.runtime.messaging.outbox import SETTINGS_WITH_RELAY, Outbox, Relay
from services.runtime.outbound import safe_http_client
from services.runtime.process.lifecycle import serve_with_background_tasks
from services.runtime.process.metrics_endpoint import serve_metrics
from services.runtime.rpc.server import serve_rpc, wait_for_stop_signal
from services.runtime.storage import idempotency, mongo
from services.runtime.storage.database import Database
from services.runtime.storage.encryption import SecretBox
from services.runtime.storage.reencryption import CHECK_INTERVAL_S, check_secrets, run_reencrypt

ENCRYPTED_COLUMNS = (banks.c.webhook_secret, banks.c.old_secret, banks.c.older_secrets)
"""Columns with secrets, which the service encrypts with ENCRYPTION_KEY."""

CLEANUP_INTERVAL_S = 3600
DOCUMENT_RECONCILIATION_INTERVAL_S = 3600
BANK_RECONCILIATION_INTERVAL_S = 3600


def build_reconciliation_policy(settings: Settings) -> ReconciliationPolicy:
    """Return the reconciliation policy that the settings define."""
    return ReconciliationPolicy(
        quiet_period=timedelta(seconds=settings.reconcile_quiet_period_seconds),
        recheck_interval=timedelta(hours=settings.reconcile_recheck_interval_hours),
        window=timedelta(days=settings.reconcile_window_days),
        partner_notification_timeout=timedelta(seconds=settings.partner_notification_timeout_seconds),
        pickup_timeout=timedelta(seconds=settings.pickup_timeout_seconds),
    )


async def serve(settings: Settings) -> None:
    """Run the service until SIGTERM."""
    database = Database(settings.database_url.get_secret_value(), settings=SETTINGS_WITH_RELAY)
    broker = Broker(settings.broker_url.get_secret_value(), "orders")
    mongo_client, mongo_database = mongo.connect(settings.documents_url.get_secret_value())
    outbox = Outbox[OrdersEvent](EVENTS)
    refund_wakeup = asyncio.Event()
    repository = PostgresRepository(database, outbox, refund_wakeup.set)
    refund_queue = PostgresRefundQueue(database, len(settings.refund_retry_delays_seconds) + 1)
    reconciliation_repository = PostgresReconciliationRepository(database, outbox)
    reconciliation_policy = build_reconciliation_policy(settings)
    history = MongoHistoryRepository(mongo_database)
    secret_box = SecretBox(settings.encryption_key.get_secret_value())
    change_listener = PostgresOrderChangeListener(settings.database_url.get_secret_value())
    rpc = OrdersRpc(
        repository,
        history,
        change_listener,
        secret_box,
        now,
        derive_id,
        settings.public_url,
        settings.return_url_origins,
    )
    transport = safe_http_client.create_transport(settings.allowed_targets)
    # The alert on a reconciliation without success also covers a process that never succeeds.
    metrics.record_reconciliation(now())
    async with database, mongo_client, transport:
        payment_system = HttpPaymentSystem(transport, secret_box, now, settings.bank_timeout_seconds)
        payment_timeout = timedelta(minutes=settings.unpaid_order_timeout_minutes)
        await serve_with_background_tasks(
            serve_rpc(
                settings.service_socket, [rpc], settings.build_page_token_signer(), grace_s=settings.drain_seconds
            ),
            wait_for_stop_signal,
            [
                Relay("orders", database, broker).run(),
                serve_metrics(
                    "orders",
                    settings.environment,
                    settings.service_socket,
                    database,
                    broker,
                    [metrics.build_failed_refunds_refresh(database)],
                ),
                consume(broker, HistoryConsumer(history)),
                consume(broker, PaymentsConsumer(history)),
                consume(broker, ReadinessConsumer(repository, now)),
                consume(broker, PartnersConsumer(repository, now)),
                consume(broker, UsersConsumer(repository)),
                change_listener.run(),
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
                    "payment callback cleanup",
                    lambda: reconciliation_repository.delete_old_callbacks(get_time_days_ago(settings.inbox_days)),
                ),
                run_periodically(
                    settings.reconcile_poll_interval_seconds,
                    "reconciliation",
                    lambda: usecases.reconcile(
                        reconciliation_repository,
                        history,
                        now,
                        reconciliation_policy,
                        metrics.record_discrepancy,
                        metrics.record_reconciliation,
                    ),
                ),
                run_periodically(
                    DOCUMENT_RECONCILIATION_INTERVAL_S,
                    "reconciliation of documents",
                    lambda: usecases.reconcile_documents(
                        reconciliation_repository, history, now, reconciliation_policy, metrics.record_discrepancy
                    ),
                ),
                run_periodically(
                    BANK_RECONCILIATION_INTERVAL_S,
                    "reconciliation with banks",
                    lambda: usecases.reconcile_banks(
                        reconciliation_repository, payment_system, now, reconciliation_policy
                    ),
                ),
                run_periodically(
                    settings.reconcile_poll_interval_seconds,
                    "stuck order alerts",
                    lambda: usecases.alert_stuck_orders(reconciliation_repository, now, reconciliation_policy),
                ),
                run_periodically(
                    settings.reconcile_poll_interval_seconds,
                    "outbox backlog check",
                    lambda: usecases.warn_about_outbox_backlog(reconciliation_repository, now, reconciliation_policy),
                ),
                run_periodically(
                    settings.expiry_poll_interval_seconds,
                    "order expiry",
                    lambda: usecases.expire_orders(repository, now, payment_timeout),
                ),
                create_refund_workers(
                    refund_queue,
                    repository,
                    payment_system,
                    now,
                    retry_delays_s=settings.refund_retry_delays_seconds,
                    poll_interval_s=settings.refund_poll_interval_seconds,
                    trace=start_refund_span,
                    wakeup=refund_wakeup,
                ).run(),
            ],
        )


async def load_demo_data(settings: ServiceSettings, demo: DemoSettings) -> None:
    """Create or update the demo banks."""
    database = Database(settings.database_url.get_secret_value(), max_size=1)
    secret_box = SecretBox(settings.encryption_key.get_secret_value())
    async with database:
        await load_demo_banks(
            PostgresRepository(database, Outbox[OrdersEvent](EVENTS)),
            secret_box.encrypt(demo.demo_webhook_secret.get_secret_value()),
            demo.sandbox_url,
            demo.browser_url,
        )


async def reconcile(settings: Settings) -> None:
    """Reconcile all orders and payments once and print the discrepancies. Exits with 1 if orders were not reconciled.

    The banks are requested for their payments.
    """
    mongo_client, mongo_database = mongo.connect(settings.documents_url.get_secret_value())
    secret_box = SecretBox(settings.encryption_key.get_secret_value())
    transport = safe_http_client.create_transport(settings.allowed_targets)
    async with Database(settings.database_url.get_secret_value()) as database, mongo_client, transport:
        is_complete = await run_reconcile(
            PostgresReconciliationRepository(database, Outbox[OrdersEvent](EVENTS)),
            MongoHistoryRepository(mongo_database),
            HttpPaymentSystem(transport, secret_box, now, settings.bank_timeout_seconds),
            now,
            build_reconciliation_policy(settings),
        )
    if not is_complete:
        sys.exit(1)


async def reencrypt_secrets(settings: Settings) -> None:
    """Encrypt all stored secrets with the first encryption key."""
    await run_reencrypt(settings, ENCRYPTED_COLUMNS)
