"""Rotation of signing keys, of the certificate authority and of passwords, while requests are sent."""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import grpc
import httpx
import psycopg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from psycopg import sql
from psycopg.conninfo import make_conninfo
from pymemcache.exceptions import MemcacheClientError
from sqlalchemy import text

from codegen.envoy.authorization import JWKS_CACHE_S
from deploy.local.pki.authority_rotation import has_loaded_files, rotate_authority
from deploy.local.pki.certificates import CertificateAuthority
from deploy.local.pki.secrets import Secrets
from deploy.local.supervisor.supervisor_state import read_running_state
from generated.proto.delivery.orders.v1 import CheckedBasket
from services.gateway.adapters.order_check_cache import MemcachedOrderCheckCache
from services.runtime.core.ids import generate_id
from services.runtime.storage import migrations
from services.runtime.storage.database import Database
from services.runtime.storage.memcached import MemcachedServer, create_client
from services.runtime.storage.statements.statement import Statement
from tests.envoy_test_mesh import (
    KEY_ID,
    SIGNING_KEY,
    MeshClient,
    build_bearer_headers,
    running_test_edge,
    running_test_mesh,
)
from tests.integration.fixtures.repeated_requests import repeated
from tests.integration.fixtures.servers import Servers
from tests.rotation.page import list_blocks
from tests.wait import wait_until, wait_until_async

PROFILE_PATH = "/api/v1/users/me"
ORDERS_METHOD = "/delivery.orders.v1.OrdersService/GetOrder"
SHORT_CACHE = {f'"seconds": {JWKS_CACHE_S}\n': '"seconds": 6\n'}
"""Keys are fetched five seconds before the end of this time, thus every second."""

HTTP2 = '{\n       "http2_protocol_options"'
ONE_CALL_PER_CONNECTION = {
    f'"explicit_http_config": {HTTP2}': (
        f'"common_http_protocol_options": {{"max_requests_per_connection": 1}}, "explicit_http_config": {HTTP2}'
    )
}
"""Every call of the gateway's sidecar needs a new handshake."""

BASKET = CheckedBasket(total_amount=1700, currency="USD", bank_id="visa")


def test_signing_key_is_replaced_without_a_rejected_request(tmp_path: Path) -> None:
    new_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    keys = {KEY_ID: SIGNING_KEY}
    headers = known_headers = build_bearer_headers()
    with (
        running_test_edge(tmp_path, replacements=SHORT_CACHE, keys=keys, RATE_LIMIT_FACTOR="10000") as mesh,
        httpx.Client(trust_env=False) as client,
    ):

        def request(headers: dict[str, str]) -> int:
            return client.get(mesh.get_url("EDGE_PORT") + PROFILE_PATH, headers=headers).status_code

        new_headers = build_bearer_headers(new_key, "two")
        assert request(new_headers) == 401
        with repeated(lambda: request(headers)) as results:
            keys["two"] = new_key
            wait_until(lambda: request(new_headers) == 200, 5, description="the new key is accepted")
            headers = new_headers
            del keys[KEY_ID]
            wait_until(lambda: request(known_headers) == 401, 5, description="a verified token is rejected")
        assert results.keys() == {"200"}


def call_orders(mesh: MeshClient) -> object:
    try:
        mesh.call_egress(ORDERS_METHOD, **build_bearer_headers())
    except grpc.RpcError as error:
        return error
    return "OK"


def read_issuer(folder: Path, name: str) -> object:
    certificate = x509.load_pem_x509_certificate((folder / f"{name}.pem").read_bytes())
    return certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value


def test_authority_is_replaced_without_a_failed_call(tmp_path: Path) -> None:
    with ExitStack() as stack:
        mesh = stack.enter_context(running_test_mesh(tmp_path, ONE_CALL_PER_CONNECTION))
        folder = tmp_path / "pki"
        authority = CertificateAuthority(folder)
        trust_old_authority, old_issuer = mesh.create_ssl_context(), read_issuer(folder, "orders")
        admin_clients = [
            stack.enter_context(httpx.Client(base_url=mesh.get_url(f"{name}_ADMIN_PORT"), trust_env=False))
            for name in ("ORDERS", "GATEWAY", "OPS")
        ]

        def have_all_loaded() -> bool:
            return all(has_loaded_files(client, folder) for client in admin_clients)

        with repeated(lambda: call_orders(mesh)) as results:
            wait_until(lambda: results.total() > 5)
            rotate_authority(
                authority, lambda: wait_until(have_all_loaded, 10, description="files loaded", interval_s=0.1)
            )
            count = results.total()
            wait_until(lambda: results.total() > count + 20)
        assert results.keys() == {"OK"}
        assert read_issuer(folder, "orders") != old_issuer
        assert mesh.call_ingress("/", "gateway").status_code == 200
        with pytest.raises(httpx.ConnectError):
            httpx.get(mesh.get_url("EDGE_TLS_PORT", "https"), verify=trust_old_authority, trust_env=False)


@pytest.fixture
def second_user(servers: Servers) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """Give the database of orders a second user with the commands of the documentation, and yield an admin session."""
    create_role, *_ = list_blocks("PostgreSQL", "sql")
    url = make_conninfo(servers.settings("orders")["DATABASE_URL"], user="app", password=get_password(servers))
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(create_role.encode())
        yield admin
        admin.execute("DROP ROLE orders_b")


def get_password(servers: Servers, user: str = "postgres") -> str:
    return Secrets(servers.config).get_password(user)


async def test_database_users_alternate_without_a_failed_statement(
    servers: Servers, second_user: psycopg.Connection[tuple[Any, ...]]
) -> None:
    url = servers.settings("orders")["DATABASE_URL"]
    await asyncio.to_thread(migrations.migrate, "orders", url)
    password = get_password(servers, "postgres-orders")
    second_user.execute("ALTER ROLE orders_b PASSWORD 'second'")
    count_rows = Statement(text("SELECT count(*) AS count FROM rotation_test"))
    insert_row = Statement(text("INSERT INTO rotation_test DEFAULT VALUES"))
    async with Database(url) as first, Database(url.replace(f"orders:{password}@", "orders_b:second@")) as second:
        await first.execute(Statement(text("CREATE TABLE rotation_test (at timestamptz DEFAULT now())")))
        try:
            await asyncio.gather(*(database.execute(insert_row) for database in (first, second) for _ in range(20)))
            second_user.execute("ALTER ROLE orders PASSWORD NULL")
            await asyncio.gather(*(database.execute(insert_row) for database in (first, second)))
            assert await second.fetch_one(count_rows) == {"count": 42}
            assert not await asyncio.to_thread(migrations.list_pending, "orders", second.url)
            with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
                await psycopg.AsyncConnection.connect(url)
            # The tables that the second user creates belong to the same role.
            await second.execute(Statement(text("DROP TABLE rotation_test")))
            await second.execute(Statement(text("CREATE TABLE rotation_test (at timestamptz DEFAULT now())")))
            assert await first.execute(insert_row) == 1
        finally:
            second_user.execute(sql.SQL("ALTER ROLE orders PASSWORD {}").format(sql.Literal(password)))
            second_user.execute("DROP TABLE IF EXISTS rotation_test")


@pytest.fixture
def memcached_users(servers: Servers) -> Iterator[Callable[[Sequence[str]], None]]:
    """Return a function that replaces the passwords of the gateway in the file of Memcached's users."""
    path = servers.config.folder / "memcached.users"
    content = path.read_text(encoding="utf-8")
    state = read_running_state(servers.config)
    assert state is not None
    [pid] = (child.pid for child in state.children if child.name == "memcached")

    def write(text: str) -> None:
        path.write_text(text, encoding="utf-8")
        os.kill(pid, signal.SIGHUP)

    yield lambda passwords: write("".join(f"{servers.memcached.username}:{password}\n" for password in passwords))
    write(content)


async def put_and_get(cache: MemcachedOrderCheckCache) -> None:
    check_id = generate_id()
    await cache.put(check_id, "ada", BASKET)
    assert await cache.get(check_id, "ada") == BASKET


def is_accepted(server: MemcachedServer) -> bool:
    """Return whether Memcached accepts the password on a new connection."""
    with closing(create_client(server, timeout_s=1, max_connections=1)) as client:
        try:
            return bool(client.version())
        except MemcacheClientError:
            return False


async def test_memcached_passwords_overlap_without_a_failed_command(
    servers: Servers, memcached_users: Callable[[Sequence[str]], None]
) -> None:
    old = servers.memcached
    new = old._replace(password="another")
    with ExitStack() as stack:
        caches = [MemcachedOrderCheckCache(server, [b"key"]) for server in (old, new)]
        for cache in caches:
            stack.callback(cache.close)
        await put_and_get(caches[0])
        memcached_users([old.password, new.password])
        await wait_until_async(lambda: is_accepted(new), interval_s=0.1)
        await asyncio.gather(*(put_and_get(cache) for cache in caches * 10))
        memcached_users([new.password])
        await wait_until_async(lambda: not is_accepted(old), interval_s=0.1)
        # Established connections are not closed.
        await asyncio.gather(*(put_and_get(cache) for cache in caches))
