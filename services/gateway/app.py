"""Puts the gateway together."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx
from pydantic import Field, SecretStr
from starlette.types import ASGIApp

from generated.events import EVENTS, GatewayEvent
from generated.proto.delivery.notifications.v1.rpc import NotificationsStub
from generated.proto.delivery.orders.v1.rpc import OrdersStub
from generated.proto.delivery.partners.v1.rpc import PartnersStub
from generated.rest.delivery.handlers import OPERATIONS
from services.gateway.adapters.firebase_identity import FirebaseIdentityProvider
from services.gateway.adapters.image_store import GcsImageStore
from services.gateway.adapters.login_rate_limiter import FailedAttemptLimits, MemcachedLoginRateLimiter
from services.gateway.adapters.order_check_cache import OrderCheckCache
from services.gateway.adapters.postgres.accounts import PostgresAccountRepository
from services.gateway.entrypoints.rest.banks import Banks
from services.gateway.entrypoints.rest.callbacks import Callbacks
from services.gateway.entrypoints.rest.catalog import Catalog
from services.gateway.entrypoints.rest.notifications import Notifications
from services.gateway.entrypoints.rest.orders import Deliveries, Orders
from services.gateway.entrypoints.rest.partners import Partners
from services.gateway.entrypoints.rest.products import Products
from services.gateway.entrypoints.rest.users import AccountContext, Sessions, Users
from services.gateway.usecases import accounts, avatars, product_images, verification_codes
from services.runtime.concurrency.periodic import run_periodically
from services.runtime.config.production_checks import EMULATED
from services.runtime.core.clock import now
from services.runtime.messaging.connection import Broker
from services.runtime.messaging.outbox import Outbox, Relay
from services.runtime.messaging.publisher import Publisher
from services.runtime.messaging.topology import RETRY_QUEUES
from services.runtime.process.lifecycle import serve_with_background_tasks
from services.runtime.process.metrics_endpoint import serve_metrics
from services.runtime.rest.app import build_app
from services.runtime.rest.response_cache import build_caches, run_invalidation
from services.runtime.rest.server import serve_app
from services.runtime.rest.static_documents import build_problem_pages, load_asyncapi_document, load_openapi_documents
from services.runtime.rest.swagger_ui import load_swagger_ui
from services.runtime.rpc.channel import open_channel
from services.runtime.rpc.server import serve_rpc, wait_for_stop_signal
from services.runtime.storage.database import Database
from services.runtime.storage.object_storage import ObjectStore, StorageSettings

ROOT = Path(__file__).parents[2]
OPENAPI_FOLDER = ROOT / "generated/openapi"
ASYNCAPI_FOLDER = ROOT / "generated/asyncapi"


class Settings(StorageSettings):
    """What the gateway is told."""

    egress_socket: Path = Field(description="the sidecar's unix socket for calls to other services")
    health_socket: Path = Field(description="the unix socket that answers for the process's health, by gRPC")
    cache_address: str = Field(pattern="^.+:[0-9]+$", description="host:port of Memcached")
    firebase_project_id: str = Field(description="the Firebase project that accounts live in")
    firebase_api_key: SecretStr = Field(description="the project's web API key")
    google_application_credentials: str = Field(description="path of the service account's key file")
    identity_url: str = Field(
        default="",
        json_schema_extra=EMULATED,
        description="where Google's identity hosts are played; empty for Google itself",
    )
    swagger_ui_folder: Path = Field(
        default=ROOT / "node_modules/swagger-ui-dist", description="the folder of the npm package swagger-ui-dist"
    )
    validate_responses: bool = Field(
        default=False,
        description="whether each answer is compared with the contract before it leaves; to develop",
    )
    trusted_hops: int = Field(default=0, ge=0, le=10, description="proxies before the edge that say who called them")
    failed_attempts_per_account_and_address: int = Field(
        default=10, ge=1, description="failed guesses per account and address, and window"
    )
    failed_attempts_per_account: int = Field(default=100, ge=1, description="failed guesses per account and window")
    failed_attempts_per_address: int = Field(default=300, ge=1, description="failed guesses per address and window")
    failed_attempts_window_seconds: int = Field(default=900, ge=1, description="how long failed guesses count")


async def serve(settings: Settings) -> None:
    """Runs until SIGTERM."""
    database = Database(settings.database_url.get_secret_value())
    broker = Broker(settings.broker_url.get_secret_value(), "gateway")
    publisher = Publisher(broker)
    store = PostgresAccountRepository(database, Outbox[GatewayEvent](EVENTS))
    channels = {name: open_channel(settings.egress_socket, name) for name in ("orders", "partners", "notifications")}
    orders, partners = OrdersStub(channels["orders"]), PartnersStub(channels["partners"])
    notifications = NotificationsStub(channels["notifications"])
    checks = OrderCheckCache(settings.cache_address)
    async with database, httpx.AsyncClient(trust_env=False) as client, AsyncExitStack() as closing_last:
        identity = build_firebase(settings, client)
        pictures = GcsImageStore(ObjectStore(settings.storage_bucket, settings.storage_url))
        counters = build_rate_limiter(settings)
        for each in (identity, pictures, counters, checks):
            closing_last.callback(each.close)
        codes_requested = asyncio.Event()
        of = AccountContext(store, identity, counters, pictures, now, settings.trusted_hops, codes_requested.set)
        handlers = [
            Users(of, notifications),
            Sessions(of),
            Catalog(partners, orders, pictures),
            Orders(orders, partners, checks, now),
            Deliveries(orders),
            Banks(orders),
            Partners(partners),
            Products(partners),
            Callbacks(orders, partners, publisher, now),
            Notifications(notifications),
        ]
        kept = build_caches(OPERATIONS.values())
        app = build_app(
            json.loads((OPENAPI_FOLDER / "delivery.json").read_text()),
            handlers,
            OPERATIONS,
            load_openapi_documents(OPENAPI_FOLDER, "delivery")
            | load_asyncapi_document(ASYNCAPI_FOLDER, "delivery")
            | build_problem_pages()
            | load_swagger_ui(settings.swagger_ui_folder),
            kept,
            validate_responses=settings.validate_responses,
        )
        await serve_with_background_tasks(
            serve_rest_and_health(settings, app),
            wait_for_stop_signal,
            [
                Relay("gateway", database, broker).run(),
                serve_metrics("gateway", settings.service_socket, database, broker, shared_queues=RETRY_QUEUES),
                publisher.run(),
                run_invalidation(broker, kept),
                run_periodically(
                    5,
                    "sending verification codes",
                    lambda: verification_codes.send_requested_codes(store, now),
                    codes_requested,
                ),
                run_periodically(
                    10,
                    "finishing interrupted accounts",
                    lambda: accounts.finish_interrupted_accounts(store, identity, pictures, now),
                ),
                run_periodically(
                    600, "deleting orphaned avatars", lambda: avatars.delete_orphaned_avatars(store, pictures)
                ),
                run_periodically(
                    600,
                    "deleting orphaned product images",
                    lambda: product_images.delete_orphaned_product_images(partners, pictures),
                ),
            ],
        )
    for channel in channels.values():
        await channel.close()


def build_rate_limiter(settings: Settings) -> MemcachedLoginRateLimiter:
    """The counters as the settings say."""
    limits = FailedAttemptLimits(
        settings.failed_attempts_per_account_and_address,
        settings.failed_attempts_per_account,
        settings.failed_attempts_per_address,
        settings.failed_attempts_window_seconds,
    )
    return MemcachedLoginRateLimiter(settings.cache_address, limits)


def build_firebase(settings: Settings, client: httpx.AsyncClient) -> FirebaseIdentityProvider:
    """The identity provider as the settings say."""
    return FirebaseIdentityProvider(
        settings.firebase_project_id,
        settings.firebase_api_key.get_secret_value(),
        settings.identity_url,
        settings.google_application_credentials,
        client,
    )


@asynccontextmanager
async def serve_rest_and_health(settings: Settings, app: ASGIApp) -> AsyncIterator[None]:
    """REST on one socket, health by gRPC on another; health says NOT_SERVING before REST drains."""
    async with (
        serve_app(app, settings.service_socket, grace_s=settings.drain_seconds),
        serve_rpc(settings.health_socket, grace_s=settings.drain_seconds),
    ):
        yield
