"""Private members of libraries that the code depends on; an update of the library may remove them without notice."""

import ast
import asyncio
import inspect
import re
import sys
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import firebase_admin
import pika
import pika.connection
import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from firebase_admin import auth, credentials
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics.export import MetricReader
from pika.adapters.asyncio_connection import AsyncioConnection
from pika.heartbeat import HeartbeatChecker
from psycopg_pool import AsyncConnectionPool
from pymemcache.client import base as memcached

from generated.proto.delivery.orders.v1 import Order
from services.runtime import rest
from tests.conftest import ROOT

CHECKED_FOLDERS = ("codegen", "deploy", "migrations", "services")
PATRONI_MODULE = ROOT / "deploy/cluster/short_lease.py"
"""Module that runs in the environment of Patroni, where it fails at start if the member is missing."""

PUBLIC_UNDERSCORE_NAMES = {"_asdict", "_fields", "_replace"}
"""Public members of named tuples, whose underscore avoids conflicts with field names."""


class PrivateMember(NamedTuple):
    """Private member of a library, the module that uses it, and a check that it exists and has its purpose."""

    module: str
    library: str
    name: str
    exists: Callable[[], bool]


def create_amqp_connection() -> AsyncioConnection:
    loop = asyncio.new_event_loop()
    try:
        return AsyncioConnection(pika.ConnectionParameters(), custom_ioloop=loop, internal_connection_workflow=False)
    finally:
        loop.close()


@cache
def create_private_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def create_firebase_service[Service](get_service: Callable[[firebase_admin.App], Service]) -> Service:
    """Return a service of the SDK for an app, which is deleted."""
    account = {
        "type": "service_account",
        "project_id": "delivery",
        "private_key": create_private_key(),
        "client_email": "push@delivery.test",
        "token_uri": "http://127.0.0.1:9/token",
    }
    app = firebase_admin.initialize_app(credentials.Certificate(account), name="private-members")
    try:
        return get_service(app)
    finally:
        firebase_admin.delete_app(app)


def create_storage_client() -> storage.Client:
    return storage.Client("local", AnonymousCredentials())  # type: ignore[no-untyped-call]


def load_connexion(module: str) -> Any:
    """Return a module of Connexion, whose first import warns unless it is done by `services.runtime.rest`."""
    assert rest.__name__ in sys.modules
    return import_module(f"connexion.{module}")


def mentions(owner: object, text: str) -> bool:
    """Return whether the source of a library class contains the text."""
    return text in inspect.getsource(owner)  # type: ignore[arg-type]


IDENTITY = "services/gateway/adapters/firebase_identity.py"
STORAGE = "services/runtime/storage/object_storage.py"
AMQP = "services/runtime/messaging/connection.py"
HEARTBEATS = "services/runtime/messaging/heartbeats.py"
CODEC = "services/runtime/rpc/codec.py"
CONVERTERS = "services/runtime/rpc/compiled_converters.py"

PRIVATE_MEMBERS = [
    PrivateMember(AMQP, "pika", "_transport", lambda: create_amqp_connection()._transport is None),
    PrivateMember(
        AMQP,
        "pika",
        "_adapter_emit_data",
        lambda: (
            list(inspect.signature(AsyncioConnection._adapter_emit_data).parameters) == ["self", "data"]
            and mentions(pika.connection.Connection, "self._adapter_emit_data(")
        ),
    ),
    PrivateMember(
        HEARTBEATS,
        "pika",
        "_adapter_remove_timeout",
        lambda: mentions(HeartbeatChecker.stop, "self._connection._adapter_remove_timeout(self._send_timer)"),
    ),
    PrivateMember(
        AMQP,
        "pika",
        "_create_heartbeat_checker",
        lambda: mentions(pika.connection.Connection, "self._heartbeat_checker = self._create_heartbeat_checker()"),
    ),
    *(
        PrivateMember(
            HEARTBEATS,
            "pika",
            name,
            lambda name=name: mentions(HeartbeatChecker, f"self.{name}"),  # type: ignore[misc]
        )
        for name in ("_connection", "_send_heartbeat", "_send_interval", "_send_timer")
    ),
    PrivateMember(IDENTITY, "firebase-admin", "_get_client", lambda: mentions(auth.create_user, "_get_client(app)")),
    PrivateMember(
        IDENTITY,
        "firebase-admin",
        "_user_manager",
        lambda: isinstance(
            create_firebase_service(lambda app: auth._get_client(app)._user_manager.http_client.session),
            requests.Session,
        ),
    ),
    PrivateMember(
        STORAGE,
        "google-cloud-storage",
        "_bucket_metadata_cache",
        lambda: hasattr(create_storage_client(), "_bucket_metadata_cache"),
    ),
    PrivateMember(
        STORAGE, "google-cloud-storage", "_http", lambda: hasattr(create_storage_client()._http, "max_redirects")
    ),
    PrivateMember(
        "services/runtime/rest/app.py",
        "connexion",
        "_validate_spec",
        lambda: mentions(load_connexion("spec").Specification, "self._validate_spec(raw_spec)"),
    ),
    PrivateMember(
        "services/runtime/rest/operation.py",
        "connexion",
        "_operation",
        lambda: mentions(load_connexion("operations").AbstractOperation, "self._operation = operation"),
    ),
    PrivateMember(
        "services/runtime/storage/memcached.py",
        "pymemcache",
        "_connect",
        lambda: (
            mentions(memcached.Client._store_cmd, "self._connect()")
            and mentions(memcached.Client._fetch_cmd, "self._connect()")
            and mentions(memcached.PooledClient, "self.client_class(")
        ),
    ),
    PrivateMember(
        "services/runtime/storage/connection_pool.py",
        "psycopg-pool",
        "_pool",
        lambda: (
            mentions(AsyncConnectionPool._get_ready_connection, "self._pool.popleft()")
            and mentions(AsyncConnectionPool._add_to_pool, "self._pool.append(conn)")
        ),
    ),
    PrivateMember(CODEC, "betterproto2", "_betterproto", lambda: hasattr(Order._betterproto, "meta_by_field_name")),
    PrivateMember(CONVERTERS, "betterproto2", "_unknown_fields", lambda: vars(Order())["_unknown_fields"] == b""),
    PrivateMember(
        "services/runtime/telemetry/metrics.py",
        "opentelemetry-sdk",
        "_receive_metrics",
        lambda: (
            [*inspect.signature(PrometheusMetricReader._receive_metrics).parameters][1:3]
            == ["metrics_data", "timeout_millis"]
            and mentions(MetricReader, "self._receive_metrics(")
        ),
    ),
]


@pytest.mark.parametrize("member", PRIVATE_MEMBERS, ids=lambda member: f"{member.library}:{member.name}")
def test_private_library_member_exists(member: PrivateMember) -> None:
    try:
        is_unchanged = member.exists()
    except (AttributeError, KeyError, OSError, TypeError):
        is_unchanged = False
    assert is_unchanged, f"{member.module} needs {member.name} of {member.library}, which has changed"


def find_private_accesses() -> Iterator[tuple[str, str]]:
    """Yield module and name of each access to a private member that the module does not define itself."""
    for folder in CHECKED_FOLDERS:
        for path in sorted({*(ROOT / folder).rglob("*.py")} - {PATRONI_MODULE}):
            nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
            defined = {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
            for node in nodes:
                for name in private_names(node):
                    if name not in defined:
                        yield str(path.relative_to(ROOT)), name


def private_names(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Attribute(value=ast.Name(id="self" | "cls")):
            return
        case ast.Attribute(attr=name) if re.match("_[a-z]", name) and name not in PUBLIC_UNDERSCORE_NAMES:
            yield name
        case ast.ImportFrom(module=str(module), names=aliases):
            parts = [*module.split("."), *(alias.name for alias in aliases)]
            yield from (part for part in parts if re.match("_[a-z]", part))


def test_every_private_access_is_listed() -> None:
    assert {*find_private_accesses()} <= {(member.module, member.name) for member in PRIVATE_MEMBERS}


@pytest.mark.parametrize("member", PRIVATE_MEMBERS, ids=lambda member: f"{member.library}:{member.name}")
def test_listed_member_is_used_by_its_module(member: PrivateMember) -> None:
    assert re.search(rf"\b{member.name}\b", Path(ROOT, member.module).read_text(encoding="utf-8"))
