"""Puts the gateway together."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
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
from services.gateway.identity import Firebase
from services.gateway.rest.callbacks import Callbacks
from services.gateway.rest.catalog import Catalog
from services.gateway.rest.orders import Deliveries, Orders
from services.gateway.rest.users import Sessions, Users
from services.gateway.store import AccountsStore
from services.runtime.app import run_beside
from services.runtime.broker import Broker
from services.runtime.channel import open_channel
from services.runtime.clock import now
from services.runtime.database import Database
from services.runtime.outbox import Outbox, Relay
from services.runtime.publisher import Publisher
from services.runtime.rest.app import build
from services.runtime.rest.app import serving as serving_rest
from services.runtime.rest.documents import contract, pages
from services.runtime.server import serving, until_signalled
from services.runtime.settings import Environment, ServiceSettings

CONTRACTS = Path(__file__).parents[2] / "generated/openapi"


class Settings(ServiceSettings):
    """What the gateway is told."""

    egress_socket: Path = Field(description="the sidecar's unix socket for calls to other services")
    health_socket: Path = Field(description="the unix socket that answers for the process's health, by gRPC")
    cache_address: str = Field(pattern="^.+:[0-9]+$", description="host:port of Memcached")
    firebase_project_id: str = Field(description="the Firebase project that accounts live in")
    firebase_api_key: SecretStr = Field(description="the project's web API key")
    google_application_credentials: str = Field(description="path of the service account's key file")
    identity_url: str = Field(
        default="", description="where Google's identity hosts are played; empty for Google itself"
    )


async def serve(settings: Settings) -> None:
    """Runs until SIGTERM."""
    database = Database(settings.database_url.get_secret_value())
    broker = Broker(settings.broker_url.get_secret_value(), "gateway")
    publisher = Publisher(broker)
    store = AccountsStore(database, Outbox[GatewayEvent](EVENTS))
    channels = {name: open_channel(settings.egress_socket, name) for name in ("orders", "partners", "notifications")}
    orders, partners = OrdersStub(channels["orders"]), PartnersStub(channels["partners"])
    async with database, httpx.AsyncClient(trust_env=False) as client:
        identity = firebase(settings, client)
        handlers = [
            Users(store, identity, now, NotificationsStub(channels["notifications"])),
            Sessions(identity),
            Catalog(partners, orders),
            Orders(orders, partners, Checks(settings.cache_address), now),
            Deliveries(orders),
            Callbacks(orders, partners, publisher, now),
        ]
        app = build(
            json.loads((CONTRACTS / "delivery.json").read_text()),
            handlers,
            OPERATIONS,
            contract(CONTRACTS, "delivery") | pages(),
            validate_responses=settings.environment is not Environment.PRODUCTION,
        )
        await run_beside(
            both(settings, app),
            until_signalled,
            [Relay("gateway", database, broker).run(), publisher.run()],
        )
    for channel in channels.values():
        await channel.close()


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
