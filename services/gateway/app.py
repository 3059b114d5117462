"""Composition root of the gateway."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, closing

import httpx
from starlette.types import ASGIApp

from generated import mesh
from generated.events import EVENTS, GatewayEvent
from generated.proto.delivery.notifications.v1.rpc import NotificationsStub
from generated.proto.delivery.orders.v1.rpc import OrdersStub
from generated.proto.delivery.partners.v1.rpc import PartnersStub
from generated.rest.delivery.forwarding_handlers import (
    ForwardingBanksHandler,
    ForwardingCallbacksHandler,
    ForwardingDeliveriesHandler,
    ForwardingNotificationsHandler,
    ForwardingPartnersHandler,
    ForwardingProductsHandler,
)
from generated.rest.delivery.handlers import OPERATIONS
from services.gateway.adapters.firebase_identity import FirebaseIdentityProvider
from services.gateway.adapters.image_store import GcsImageStore
from services.gateway.adapters.login_rate_limiter import FailedAttemptLimits, MemcachedLoginRateLimiter
from services.gateway.adapters.order_check_cache import MemcachedOrderCheckCache
from services.gateway.adapters.picture_registries import RpcPartnerPictureRegistry, RpcProductPictureRegistry
from services.gateway.adapters.postgres.repository import PostgresRepository
from services.gateway.adapters.postgres.token_revocations import TokenRevocationListener, delete_expired
from services.gateway.entrypoints.commands import demo_data, make_admin
from services.gateway.entrypoints.rest.catalog import Catalog
from services.gateway.entrypoints.rest.orders import Orders
from services.gateway.entrypoints.rest.users import AccountContext, Sessions, Users
from services.gateway.entrypoints.rest.web_apps import AppConfig, load_web_apps
from services.gateway.settings import ROOT, Settings
from services.gateway.usecases import accounts, avatars, catalog_pictures, verification_codes
from services.gateway.usecases.catalog_pictures import PictureRegistries
from services.gateway.usecases.token_revocations import RevokedTokens
from services.runtime.concurrency.periodic import run_periodically, set_trigger_later
from services.runtime.concurrency.request_limits import ByteBudget, ConcurrencyLimit, RequestLimits
from services.runtime.config.settings import DemoSettings
from services.runtime.core.clock import now
from services.runtime.messaging.connection import Broker
from services.runtime.messaging.outbox import SETTINGS_WITH_RELAY, Outbox, Relay
from services.runtime.process.lifecycle import serve_with_background_tasks
from services.runtime.process.metrics_endpoint import serve_metrics
from services.runtime.rest.app import build_app
from services.runtime.rest.response_cache import build_caches, run_invalidation
from services.runtime.rest.server import serve_app
from services.runtime.rest.static_documents import build_problem_pages, load_asyncapi_document, load_openapi_documents
from services.runtime.rest.swagger_ui import load_swagger_ui
from services.runtime.rpc.channel import Channel
from services.runtime.rpc.server import serve_rpc, wait_for_stop_signal
from services.runtime.storage.database import Database
from services.runtime.storage.object_storage import ObjectStore

OPENAPI_FOLDER = ROOT / "generated/openapi"
SYSTEM_CONTRACTS = ("partner-system", "payment-system")
"""Contracts that partners and banks implement, published with the API."""

WEBHOOKS = "webhooks"
"""Document of the requests that the platform sends to partners and banks, generated from these contracts."""

ASYNCAPI_FOLDER = ROOT / "generated/asyncapi"

CALLEES = (
    "orders",
    "partners",
    "notifications",
)
"""Services that the gateway calls by RPC."""


async def serve(settings: Settings) -> None:
    """Run the gateway until SIGTERM."""
    database = Database(settings.database_url.get_secret_value(), settings=SETTINGS_WITH_RELAY)
    broker = Broker(settings.broker_url.get_secret_value(), "gateway")
    revoked_tokens = RevokedTokens(now)
    repository = PostgresRepository(database, Outbox[GatewayEvent](EVENTS), revoked_tokens.add)
    channels = {name: Channel(settings.egress_socket, name) for name in CALLEES}
    orders, partners = OrdersStub(channels["orders"]), PartnersStub(channels["partners"])
    notifications = NotificationsStub(channels["notifications"])
    registries = PictureRegistries(RpcPartnerPictureRegistry(partners), RpcProductPictureRegistry(partners))
    check_cache = MemcachedOrderCheckCache(settings.build_cache_server(), settings.derive_keys("order checks"))
    async with database, httpx.AsyncClient(trust_env=False) as client, AsyncExitStack() as exit_stack:
        identity = build_firebase(settings, client)
        image_store = GcsImageStore(ObjectStore(settings.storage_bucket, settings.storage_url))
        rate_limiter = build_rate_limiter(settings)
        for adapter in (identity, image_store, rate_limiter, check_cache):
            exit_stack.callback(adapter.close)
        codes_requested = asyncio.Event()
        account_context = AccountContext(
            repository,
            identity,
            rate_limiter,
            image_store,
            revoked_tokens,
            now,
            settings.trusted_hops,
            lambda: set_trigger_later(codes_requested, verification_codes.MIN_DELAY_S, verification_codes.MAX_DELAY_S),
        )
        order_handler = Orders(orders, partners, check_cache, now)
        handlers = [
            Users(account_context, notifications, settings.build_page_token_signer()),
            Sessions(account_context),
            Catalog(orders, partners, registries, image_store),
            order_handler,
            *build_forwarding_handlers(channels),
        ]
        response_caches = build_caches(OPERATIONS.values())
        app = build_app(
            json.loads((OPENAPI_FOLDER / "delivery.json").read_text(encoding="utf-8")),
            handlers,
            OPERATIONS,
            load_openapi_documents(OPENAPI_FOLDER, "delivery", *SYSTEM_CONTRACTS, WEBHOOKS)
            | load_asyncapi_document(ASYNCAPI_FOLDER, "delivery")
            | build_problem_pages()
            | load_swagger_ui(settings.swagger_ui_folder)
            | load_web_apps(settings.apps_folder, build_app_config(settings), mesh.NAME),
            response_caches,
            validate_responses=settings.validate_responses,
            token_revocations=revoked_tokens,
            limits=build_request_limits(settings),
        )
        await serve_with_background_tasks(
            serve_rest_and_health(settings, app),
            wait_for_stop_signal,
            [
                Relay("gateway", database, broker).run(),
                serve_metrics("gateway", settings.environment, settings.service_socket, database, broker),
                run_invalidation(broker, response_caches),
                TokenRevocationListener(database, revoked_tokens, now).run(),
                run_periodically(
                    order_handler.active_banks.get_refresh_interval_s,
                    "refreshing active banks",
                    order_handler.active_banks.refresh,
                ),
                run_periodically(600, "deleting expired token revocations", lambda: delete_expired(database, now)),
                run_periodically(
                    5,
                    "sending verification codes",
                    lambda: verification_codes.send_requested_codes(repository, now),
                    codes_requested,
                ),
                run_periodically(
                    10,
                    "finishing interrupted accounts",
                    lambda: accounts.finish_interrupted_accounts(repository, identity, image_store, now),
                ),
                run_periodically(
                    600, "deleting orphaned avatars", lambda: avatars.delete_orphaned_avatars(repository, image_store)
                ),
                run_periodically(
                    600,
                    "deleting orphaned pictures",
                    lambda: catalog_pictures.delete_orphaned_pictures(registries, image_store),
                ),
            ],
        )
    for channel in channels.values():
        await channel.close()


def build_forwarding_handlers(channels: Mapping[str, Channel]) -> list[object]:
    """Build the handlers of the tags whose operations are all forwarded to an RPC method, with channels by service."""
    orders, partners = OrdersStub(channels["orders"]), PartnersStub(channels["partners"])
    return [
        ForwardingDeliveriesHandler(orders),
        ForwardingBanksHandler(orders),
        ForwardingPartnersHandler(partners),
        ForwardingProductsHandler(partners),
        ForwardingCallbacksHandler(orders, partners),
        ForwardingNotificationsHandler(NotificationsStub(channels["notifications"])),
    ]


async def load_demo_data(settings: Settings, _: DemoSettings) -> None:
    """Create the demo accounts and the pictures of the demo products that do not exist yet."""
    async with open_account_adapters(settings) as (repository, identity):
        await demo_data.load_demo_data(repository, identity, now)
    with closing(ObjectStore(settings.storage_bucket, settings.storage_url)) as object_store:
        await demo_data.save_pictures(object_store.put)


async def promote_to_admin(settings: Settings, email: str) -> None:
    """Assign the admin role to the account with the e-mail address."""
    async with open_account_adapters(settings) as (repository, identity):
        await make_admin.promote_to_admin(repository, identity, now, email)


@asynccontextmanager
async def open_account_adapters(
    settings: Settings,
) -> AsyncIterator[tuple[PostgresRepository, FirebaseIdentityProvider]]:
    """Open the account repository and the identity provider for a command."""
    database = Database(settings.database_url.get_secret_value(), max_size=1)
    repository = PostgresRepository(database, Outbox[GatewayEvent](EVENTS))
    async with database, httpx.AsyncClient(trust_env=False) as client:
        with closing(build_firebase(settings, client)) as identity:
            yield repository, identity


def build_app_config(settings: Settings) -> AppConfig:
    """Build the configuration of the web apps from the settings."""
    firebase = {
        "apiKey": settings.firebase_api_key.get_secret_value(),
        "projectId": settings.firebase_project_id,
        "appId": settings.firebase_web_app_id,
        "messagingSenderId": settings.firebase_sender_id,
        "vapidKey": settings.firebase_vapid_key,
    }
    return AppConfig(
        firebase if settings.firebase_web_app_id else None, settings.device_emulator_url, settings.trace_viewer_url
    )


def build_request_limits(settings: Settings) -> RequestLimits:
    """Build the limits of the process from the settings."""
    return RequestLimits(
        ConcurrencyLimit(settings.max_uploads_per_user),
        ConcurrencyLimit(settings.max_event_streams_per_user),
        ByteBudget(settings.upload_memory_mib * 2**20),
    )


def build_rate_limiter(settings: Settings) -> MemcachedLoginRateLimiter:
    """Build the login rate limiter from the settings."""
    limits = FailedAttemptLimits(
        settings.failed_attempts_per_account_and_address,
        settings.failed_attempts_per_account,
        settings.failed_attempts_per_address,
        settings.failed_attempts_window_seconds,
    )
    return MemcachedLoginRateLimiter(settings.build_cache_server(), limits)


def build_firebase(settings: Settings, client: httpx.AsyncClient) -> FirebaseIdentityProvider:
    """Build the identity provider from the settings."""
    return FirebaseIdentityProvider(
        settings.firebase_project_id,
        settings.firebase_api_key.get_secret_value(),
        settings.identity_url,
        settings.google_application_credentials,
        client,
    )


@asynccontextmanager
async def serve_rest_and_health(settings: Settings, app: ASGIApp) -> AsyncIterator[None]:
    """Serve REST on one socket and gRPC health on another; health becomes NOT_SERVING before REST drains."""
    async with (
        serve_app(app, settings.service_socket, grace_s=settings.drain_seconds),
        serve_rpc(settings.health_socket, grace_s=settings.drain_seconds),
    ):
        yield
