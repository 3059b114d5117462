"""Puts the gateway together."""

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
from services.gateway.cache import Checks
from services.gateway.guesses import Limits, MemcachedGuesses
from services.gateway.identity import Firebase
from services.gateway.jobs import Job
from services.gateway.pictures import StoredPictures
from services.gateway.rest.banks import Banks
from services.gateway.rest.callbacks import Callbacks
from services.gateway.rest.catalog import Catalog
from services.gateway.rest.notifications import Notifications
from services.gateway.rest.orders import Deliveries, Orders
from services.gateway.rest.partners import Partners
from services.gateway.rest.products import Products
from services.gateway.rest.users import Accounts, Sessions, Users
from services.gateway.store import AccountsStore
from services.gateway.usecases import accounts, avatars, codes, product_pictures
from services.runtime.app import run_beside
from services.runtime.broker import Broker
from services.runtime.channel import open_channel
from services.runtime.clock import now
from services.runtime.database import Database
from services.runtime.objects import Objects, StorageSettings
from services.runtime.outbox import Outbox, Relay
from services.runtime.production import PLAYED
from services.runtime.publisher import Publisher
from services.runtime.rest.app import build
from services.runtime.rest.app import serving as serving_rest
from services.runtime.rest.documents import contract, events, pages
from services.runtime.rest.kept import follow, room
from services.runtime.rest.swagger import swagger
from services.runtime.scrape import expose
from services.runtime.server import serving, until_signalled
from services.runtime.topology import RETRIES

ROOT = Path(__file__).parents[2]
CONTRACTS = ROOT / "generated/openapi"
EVENT_CONTRACTS = ROOT / "generated/asyncapi"


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
        json_schema_extra=PLAYED,
        description="where Google's identity hosts are played; empty for Google itself",
    )
    swagger_ui_folder: Path = Field(
        default=ROOT / "node_modules/swagger-ui-dist", description="the folder of the npm package swagger-ui-dist"
    )
    check_answers: bool = Field(
        default=False,
        description="whether each answer is compared with the contract before it leaves; to develop",
    )
    trusted_hops: int = Field(default=0, ge=0, le=10, description="proxies before the edge that say who called them")
    guesses_per_pair: int = Field(default=10, ge=1, description="failed guesses per account and address, and window")
    guesses_per_account: int = Field(default=100, ge=1, description="failed guesses per account and window")
    guesses_per_address: int = Field(default=300, ge=1, description="failed guesses per address and window")
    guesses_window_seconds: int = Field(default=900, ge=1, description="how long failed guesses count")


async def serve(settings: Settings) -> None:
    """Runs until SIGTERM."""
    database = Database(settings.database_url.get_secret_value())
    broker = Broker(settings.broker_url.get_secret_value(), "gateway")
    publisher = Publisher(broker)
    store = AccountsStore(database, Outbox[GatewayEvent](EVENTS))
    channels = {name: open_channel(settings.egress_socket, name) for name in ("orders", "partners", "notifications")}
    orders, partners = OrdersStub(channels["orders"]), PartnersStub(channels["partners"])
    notifications = NotificationsStub(channels["notifications"])
    checks = Checks(settings.cache_address)
    async with database, httpx.AsyncClient(trust_env=False) as client, AsyncExitStack() as closing_last:
        identity = firebase(settings, client)
        pictures = StoredPictures(Objects(settings.storage_bucket, settings.storage_url))
        counters = guesses(settings)
        for each in (identity, pictures, counters, checks):
            closing_last.callback(each.close)
        mailer = Job("mailing codes", lambda: codes.mail_codes(store, now), 5)
        of = Accounts(store, identity, counters, pictures, now, settings.trusted_hops, mailer.wake)
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
        kept = room(OPERATIONS.values())
        app = build(
            json.loads((CONTRACTS / "delivery.json").read_text()),
            handlers,
            OPERATIONS,
            contract(CONTRACTS, "delivery")
            | events(EVENT_CONTRACTS, "delivery")
            | pages()
            | swagger(settings.swagger_ui_folder),
            kept,
            validate_responses=settings.check_answers,
        )
        await run_beside(
            both(settings, app),
            until_signalled,
            [
                Relay("gateway", database, broker).run(),
                expose("gateway", settings.service_socket, database, broker, queues_of_all=RETRIES),
                publisher.run(),
                follow(broker, kept),
                mailer.run(),
                Job("finishing accounts", lambda: accounts.sweep(store, identity, pictures, now), 10).run(),
                Job("removing avatars", lambda: avatars.sweep(store, pictures), 600).run(),
                Job("removing pictures", lambda: product_pictures.sweep(partners, pictures), 600).run(),
            ],
        )
    for channel in channels.values():
        await channel.close()


def guesses(settings: Settings) -> MemcachedGuesses:
    """The counters as the settings say."""
    limits = Limits(
        settings.guesses_per_pair,
        settings.guesses_per_account,
        settings.guesses_per_address,
        settings.guesses_window_seconds,
    )
    return MemcachedGuesses(settings.cache_address, limits)


def firebase(settings: Settings, client: httpx.AsyncClient) -> Firebase:
    """The identity provider as the settings say."""
    return Firebase(
        settings.firebase_project_id,
        settings.firebase_api_key.get_secret_value(),
        settings.identity_url,
        settings.google_application_credentials,
        client,
    )


@asynccontextmanager
async def both(settings: Settings, app: ASGIApp) -> AsyncIterator[None]:
    """REST on one socket, health by gRPC on another; health says NOT_SERVING before REST drains."""
    async with (
        serving_rest(app, settings.service_socket, grace_s=settings.drain_seconds),
        serving(settings.health_socket, grace_s=settings.drain_seconds),
    ):
        yield
