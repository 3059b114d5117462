"""Rotation of signing keys, of the certificate authority and of database users, while requests are sent."""

import asyncio
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
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
from sqlalchemy import text

from codegen.envoy.authorization import JWKS_CACHE_S
from deploy.local.pki.authority_rotation import has_loaded_files, rotate_authority
from deploy.local.pki.certificates import CertificateAuthority
from deploy.local.pki.secrets import Secrets
from services.runtime.storage import migrations
from services.runtime.storage.database import Database, Statement
from tests.conftest import ROOT
from tests.envoy_test_mesh import (
    KEY_ID,
    SIGNING_KEY,
    MeshClient,
    build_bearer_headers,
    running_test_edge,
    running_test_mesh,
)
from tests.integration.fixtures.servers import Servers
from tests.wait import wait_until

PROFILE_PATH = "/api/v1/users/me"
ORDERS_METHOD = "/delivery.orders.v1.OrdersService/GetOrder"
SHORT_CACHE = {f"seconds: {JWKS_CACHE_S}\n": "seconds: 6\n"}
"""Keys are fetched five seconds before the end of this time, thus every second."""

ONE_CALL_PER_CONNECTION = {
    "        explicit_http_config:\n": (
        "        common_http_protocol_options: {max_requests_per_connection: 1}\n        explicit_http_config:\n"
    )
}
"""Every call of the gateway's sidecar needs a new handshake."""


@contextmanager
def repeated(request: Callable[[], object]) -> Iterator[Counter[str]]:
    """Repeat a request in a thread until the end of the block, and count the results by their text."""
    results: Counter[str] = Counter()
    stopped = threading.Event()

    def run() -> None:
        while not stopped.is_set():
            results[str(request())] += 1

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield results
    finally:
        stopped.set()
        thread.join()


def test_signing_key_is_replaced_without_a_rejected_request(tmp_path: Path) -> None:
    new_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    keys = {KEY_ID: SIGNING_KEY}
    headers = build_bearer_headers()
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
            wait_until(lambda: request(build_bearer_headers()) == 401, 5, description="the old key is rejected")
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
    [commands] = re.findall(r"```sql\n(.*?)```", (ROOT / "docs/rotation.md").read_text(encoding="utf-8"), re.DOTALL)
    url = make_conninfo(servers.settings("orders")["DATABASE_URL"], user="app", password=get_password(servers))
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(commands)
        yield admin
        admin.execute("DROP ROLE orders_b")


def get_password(servers: Servers, user: str = "postgres") -> str:
    return Secrets(servers.config).get_password(user)


async def test_database_users_alternate_without_a_failed_statement(
    servers: Servers, second_user: psycopg.Connection[tuple[Any, ...]]
) -> None:
    url = servers.settings("orders")["DATABASE_URL"]
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
