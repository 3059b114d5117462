"""Rotation of the encryption key and of passwords, while requests are sent to two processes of orders."""

import asyncio
import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pika
import psycopg
import pytest
from cryptography.fernet import Fernet
from pika.exceptions import ProbableAuthenticationError
from psycopg.conninfo import make_conninfo
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from deploy.local.infrastructure.mongodb import ADMIN, connect_admin, get_admin_socket
from deploy.local.infrastructure.servers import RABBITMQ_SERVER, define_rabbitmq
from deploy.local.mesh_config import ROOT
from deploy.local.pki.secrets import Secrets
from tests.conftest import PORT_OFFSET
from tests.integration.fixtures.servers import Servers
from tests.integration.test_encryption_key_rotation import run_orders
from tests.rotation.orders_processes import OrdersProcesses, running_processes
from tests.rotation.page import list_blocks
from tests.wait import wait_until_async

pytestmark = pytest.mark.timeout(300)

NEW_PASSWORD = "another-password-of-orders"
URLS = ("DATABASE_URL", "BROKER_URL", "DOCUMENTS_URL")


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """New servers without any other client."""
    servers = Servers(tmp_path_factory.mktemp("servers"), PORT_OFFSET + 1000)
    result = servers.run("up", "--only", "servers")
    assert result.returncode == 0, result.stdout + result.stderr
    yield servers
    servers.run("down")


class Administrator:
    """Administrator of the servers, who runs the commands of the documentation."""

    def __init__(self, servers: Servers) -> None:
        self._config, self._secrets = servers.config, Secrets(servers.config)
        self._conninfo = make_conninfo(
            servers.settings("orders")["DATABASE_URL"], user="app", password=self._secrets.get_password("postgres")
        )
        self._broker_environment = {
            **os.environ,
            **define_rabbitmq(servers.config, self._secrets).environment,
            "PATH": f"{RABBITMQ_SERVER.parent}:{os.environ['PATH']}",
        }

    def query(self, statements: str) -> list[tuple[Any, ...]]:
        """Execute statements of PostgreSQL, and return the rows of the last one."""
        with psycopg.connect(self._conninfo, autocommit=True) as connection:
            cursor = connection.execute(statements.replace("NEW_PASSWORD", NEW_PASSWORD).encode())
            return cursor.fetchall() if cursor.description else []

    def run_shell(self, command: str) -> str:
        """Run a command for RabbitMQ, which may read the new password, and return its output."""
        result = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=ROOT,
            env=self._broker_environment,
            input=f"{NEW_PASSWORD}\n",
            capture_output=True,
            text=True,
            check=False,
            encoding="utf-8",
        )
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    def run_document_command(self, block: str) -> None:
        """Run a command for MongoDB, whose parameter is JSON."""
        match = re.fullmatch(r"db\.runCommand\((\{.*\})\)\n", block)
        assert match is not None
        command = json.loads(match[1].replace("NEW_PASSWORD", NEW_PASSWORD))
        socket, password = get_admin_socket(self._config), self._secrets.get_password("mongodb")
        with connect_admin(socket, ADMIN, password) as client:
            client["orders"].command(command)

    def has_no_session(self, list_sessions: str, list_connections: str) -> bool:
        """Return whether no process uses the first user of PostgreSQL and RabbitMQ."""
        users = re.findall(r"^\w+", self.run_shell(list_connections), re.MULTILINE)
        return not self.query(list_sessions) and "orders_b" in users and "orders" not in users

    def list_permissions(self, user: str) -> set[str]:
        """Return the permissions of a user of RabbitMQ without its name."""
        definitions = json.loads(self.run_shell("rabbitmqctl -q export_definitions -"))
        return {
            json.dumps(each | {"user": ""}, sort_keys=True)
            for kind in ("permissions", "topic_permissions")
            for each in definitions[kind]
            if each["user"] == user
        }


def replace_user(url: str) -> str:
    """Return a URL with the second user."""
    changed, count = re.subn(r"//orders:[^@]+@", f"//orders_b:{NEW_PASSWORD}@", url)
    assert count == 1
    return changed


def assert_rejected(settings: Mapping[str, str]) -> None:
    """Assert that the servers reject the passwords of settings."""
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(settings["DATABASE_URL"])
    with pytest.raises(ProbableAuthenticationError):
        pika.BlockingConnection(pika.URLParameters(settings["BROKER_URL"]))
    with (
        pytest.raises(OperationFailure, match="Authentication failed"),
        MongoClient[dict[str, Any]](settings["DOCUMENTS_URL"]) as client,
    ):
        client.get_default_database().command("ping")


async def wait_until_histories_are_complete(processes: OrdersProcesses) -> None:
    """Wait until the events of all paid orders have been published and consumed."""
    assert processes.paid_orders
    for order_id in processes.paid_orders:
        await wait_until_async(partial(processes.is_history_complete, order_id), description=f"history of {order_id}")


async def reencrypt(environment: Mapping[str, str]) -> list[str]:
    """Re-encrypt the stored secrets, and return how many were changed in each column."""
    return re.findall(r"(\d+) re-encrypted", await run_orders("reencrypt-secrets", environment))


async def test_encryption_key_is_replaced_without_a_failed_request(servers: Servers, tmp_path: Path) -> None:
    settings = servers.settings("orders")
    old, new = settings["ENCRYPTION_KEY"], Fernet.generate_key().decode()
    async with running_processes(tmp_path, settings) as processes:
        for keys, order in ((f"{old},{new}", (0, 1)), (f"{new},{old}", (1, 0))):
            for number in order:
                await processes.restart(number, ENCRYPTION_KEY=keys)
        environment = settings | {"ENCRYPTION_KEY": f"{new},{old}"}
        assert {*map(int, await reencrypt(environment))} != {0}
        assert {*map(int, await reencrypt(environment))} == {0}
        for number in (0, 1):
            await processes.restart(number, ENCRYPTION_KEY=new)
        for bank_id, secret in [*processes.bank_secrets.items()][:20]:
            await processes.pay_new_order(bank_id, secret)
        await wait_until_histories_are_complete(processes)


async def test_passwords_are_replaced_without_a_failed_request(servers: Servers, tmp_path: Path) -> None:
    settings, administrator = servers.settings("orders"), Administrator(servers)
    create_role, set_password, list_sessions, withdraw_password = list_blocks("PostgreSQL", "sql")
    add_user, change_password, list_connections, clear_password = list_blocks("RabbitMQ", "sh")
    create_user, drop_user = list_blocks("MongoDB", "js")
    async with running_processes(tmp_path, settings) as processes:
        for statements in (create_role, set_password):
            await asyncio.to_thread(administrator.query, statements)
        for command in (add_user, change_password):
            await asyncio.to_thread(administrator.run_shell, command)
        await asyncio.to_thread(administrator.run_document_command, create_user)
        for number in (0, 1):
            await processes.restart(number, **{name: replace_user(settings[name]) for name in URLS})
        await wait_until_async(lambda: asyncio.to_thread(administrator.has_no_session, list_sessions, list_connections))
        await asyncio.to_thread(administrator.query, withdraw_password)
        await asyncio.to_thread(administrator.run_shell, clear_password)
        await asyncio.to_thread(administrator.run_document_command, drop_user)
        await asyncio.to_thread(assert_rejected, settings)
        await processes.wait_for_requests()
        await wait_until_histories_are_complete(processes)
    assert administrator.list_permissions("orders_b") == administrator.list_permissions("orders") != set()
