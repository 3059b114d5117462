"""Puts the gateway together."""

import json
from pathlib import Path

import httpx
from pydantic import Field, SecretStr

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
from services.runtime import rest
from services.runtime.app import run_beside
from services.runtime.broker import Broker
from services.runtime.channel import open_channel
from services.runtime.clock import now
from services.runtime.database import Database
from services.runtime.outbox import Outbox, Relay
from services.runtime.publisher import Publisher
from services.runtime.server import serving, until_signalled
from services.runtime.settings import Environment, ServiceSettings

SPEC = Path(__file__).parents[2] / "generated/openapi/delivery.json"


class Settings(ServiceSettings):
    """What the gateway is told."""

    health_socket: Path = Field(description="the unix socket that answers for the process's health, by gRPC")
    cache_address: str = Field(pattern="^.+:[0-9]+$", description="host:port of Memcached")
    firebase_project_id: str = Field(description="the Firebase project that accounts live in")
    firebase_api_key: SecretStr = Field(description="the project's web API key")
    google_application_credentials: str = Field(description="path of the service account's key file")
    identity_url: str = Field(default="", description="where Google's identity hosts are played; empty for Google itself")
