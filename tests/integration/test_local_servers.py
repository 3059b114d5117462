"""Servers of the local runner: credentials, restarts, persistence and shutdown.

The servers use a separate state folder and separate ports, because these tests kill the supervisor.
"""

import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import httpx
import pika
import pika.exceptions
import psutil
import psycopg
import pymongo
import pymongo.errors
import pytest

from deploy.local.infrastructure import services
from deploy.local.infrastructure.memcached import build_memcached_server
from deploy.local.infrastructure.servers import BROKER_ADMIN, build_broker_url
from deploy.local.mesh_config import ROOT, SERVICES, MeshConfig
from deploy.local.pki.secrets import Secrets
from deploy.local.supervisor.stages import define_stages
from deploy.local.supervisor.supervisor_state import ProcessState, read_running_state, read_supervisor_state
from generated.events import EVENTS
from services.runtime.messaging.events import EXCHANGE
from services.runtime.storage.memcached import create_client
from tests.conftest import PORT_OFFSET, STATE_DIR
from tests.wait import wait_until

SERVERS = {"rabbitmq", "postgres", "memcached", "documents", "sandbox"}


@dataclass(frozen=True)
class Servers:
    """Mesh of scope "servers", and commands on it."""

    config: MeshConfig
    secrets: Secrets
    environment: dict[str, str]

    @property
    def admin_broker_url(self) -> str:
        """AMQP URL of the user with all permissions."""
        return build_broker_url(self.config, self.secrets, BROKER_ADMIN)

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the local runner with additional environment variables."""
        return subprocess.run(
            [sys.executable, "-m", "deploy.local", *arguments],
            cwd=ROOT,
            env=self.environment | variables,
            capture_output=True,
            text=True,
            check=False,
            encoding="utf-8",
        )

    def up(self) -> str:
        """Start the servers and return the output."""
        result = self.run("up", "--only", "servers")
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    def service_settings(self, service: str) -> dict[str, str]:
        """Return the settings of a service."""
        return dict(services.build_service_environment(self.config, self.secrets, service))

    @property
    def supervisor_pid(self) -> int:
        """Return the pid of the supervisor."""
        state = read_supervisor_state(self.config)
        assert state is not None
        return state.pid

    def get_child(self, name: str) -> ProcessState:
        """Return the state of a child process."""
        state = read_supervisor_state(self.config)
        assert state is not None
        return next(child for child in state.children if child.name == name)

    def list_processes(self) -> list[psutil.Process]:
        """Return the supervisor and all its descendants."""
        supervisor = psutil.Process(self.supervisor_pid)
        return [supervisor, *supervisor.children(recursive=True)]

    def list_open_ports(self) -> set[int]:
        """Return the ports of this mesh that accept connections."""
        return {number for number, _ in self.config.ports.values() if is_listening(self.config.bind_address, number)}


def is_running(process: psutil.Process) -> bool:
    """Return whether a process runs; a zombie does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def is_listening(host: str, port: int) -> bool:
    """Return whether the port accepts connections."""
    with socket.socket() as probe:
        return probe.connect_ex((host, port)) == 0


def wait_until_restarted(servers: Servers, name: str, restarts: int) -> ProcessState:
    """Wait until a child is ready after a number of restarts."""

    def find_restarted() -> ProcessState | None:
        child = servers.get_child(name)
        return child if (child.restarts, child.state) == (restarts, "ready") else None

    return wait_until(find_restarted, 30, description=f"{name} is restarted")


@pytest.fixture(scope="module")
def stopped() -> Iterator[Servers]:
    """Return servers that have never run; they are stopped at the end of the module."""
    folder = STATE_DIR.absolute() / "servers"
    environment = os.environ | {"DELIVERY_STATE": str(folder), "PORT_OFFSET": str(PORT_OFFSET + 1000)}
    with pytest.MonkeyPatch.context() as patch:
        for name in ("DELIVERY_STATE", "PORT_OFFSET"):
            patch.setenv(name, environment[name])
        config = MeshConfig()
        folder.mkdir(parents=True, exist_ok=True)
        Servers(config, Secrets(config), environment).run("down")
        shutil.rmtree(folder)
        folder.mkdir()
        servers = Servers(config, Secrets(config), environment)
        yield servers
        servers.run("down")


@pytest.fixture
def servers(stopped: Servers) -> Servers:
    """Return running servers; start them if necessary."""
    state = read_running_state(stopped.config)
    if state is None or state.phase != "ready":
        stopped.up()
    return stopped


def test_status_shows_every_process(servers: Servers) -> None:
    result = servers.run("status", COLUMNS="160")
    assert result.returncode == 0, result.stdout
    for name in SERVERS:
        assert re.search(rf"{name} +ready .* {servers.get_child(name).pid} ", result.stdout), result.stdout


def test_up_reuses_running_servers(servers: Servers) -> None:
    previous_pid = servers.supervisor_pid
    started_at = time.monotonic()
    servers.up()
    assert time.monotonic() - started_at < 5
    assert servers.supervisor_pid == previous_pid


@pytest.mark.parametrize("service", SERVICES)
def test_service_owns_its_database(servers: Servers, service: str) -> None:
    with psycopg.connect(servers.service_settings(service)["DATABASE_URL"]) as connection:
        row = connection.execute(
            "SELECT current_database(), current_user, rolsuper, rolcreatedb, rolcreaterole,"
            " current_setting('server_encoding') FROM pg_roles WHERE rolname = current_user"
        ).fetchone()
        assert row == (service, service, False, False, False, "UTF8")
        connection.execute("CREATE TEMPORARY TABLE anything (id uuid DEFAULT gen_random_uuid())")


@pytest.mark.parametrize("service", SERVICES)
def test_service_cannot_open_other_databases(servers: Servers, service: str) -> None:
    url = servers.service_settings(service)["DATABASE_URL"].removesuffix(service)
    for other in set(SERVICES) - {service}:
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            psycopg.connect(url + other)


def test_database_rejects_wrong_password(servers: Servers) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(servers.service_settings("orders")["DATABASE_URL"], password="wrong")


@pytest.mark.parametrize("service", sorted({event.producer for event in EVENTS.values()}))
def test_service_publishes_with_confirms(servers: Servers, service: str) -> None:
    event = next(event for event in EVENTS.values() if event.producer == service)
    receiver = pika.BlockingConnection(pika.URLParameters(servers.admin_broker_url))
    receiving_channel = receiver.channel()
    queue = receiving_channel.queue_declare("", exclusive=True).method.queue
    receiving_channel.queue_bind(queue, EXCHANGE, event.type)
    connection = pika.BlockingConnection(pika.URLParameters(servers.service_settings(service)["BROKER_URL"]))
    channel = connection.channel()
    channel.confirm_delivery()
    properties = pika.BasicProperties(expiration="5000")
    channel.basic_publish(f"{service}.events", event.type, b"event", properties, mandatory=True)
    _, _, body = receiving_channel.basic_get(queue, auto_ack=True)
    assert body == b"event"
    connection.close()
    receiver.close()


@pytest.mark.parametrize(
    ("user", "host"), [("guest:guest", "delivery"), ("orders:wrong", "delivery"), ("guest:guest", "%2F")]
)
def test_broker_rejects_unknown_users_and_wrong_passwords(servers: Servers, user: str, host: str) -> None:
    url = f"amqp://{user}@{servers.config.bind_address}:{servers.config.get_port('RABBITMQ_PORT')}/{host}"
    with pytest.raises(pika.exceptions.ProbableAuthenticationError):
        pika.BlockingConnection(pika.URLParameters(url))


def test_memcached_set_get_and_delete(servers: Servers) -> None:
    server = build_memcached_server(servers.config, servers.secrets)
    with closing(create_client(server, timeout_s=2, max_connections=1)) as cache:
        cache.set("check", b"value", expire=60)
        assert cache.get("check") == b"value"
        assert cache.delete("check")


def test_file_of_memcached_users_is_private(servers: Servers) -> None:
    assert stat.S_IMODE((servers.config.folder / "memcached.users").stat().st_mode) == 0o600


@pytest.mark.parametrize("service", ["orders", "notifications"])
def test_document_update_is_conditional_on_version(servers: Servers, service: str) -> None:
    url = servers.service_settings(service)["DOCUMENTS_URL"]
    with pymongo.MongoClient[dict[str, object]](url, serverSelectionTimeoutMS=3000) as client:
        collection = client.get_default_database()[f"test_{uuid.uuid4().hex}"]
        collection.insert_one({"_id": "one", "version": 1})
        assert collection.update_one({"_id": "one", "version": 1}, {"$set": {"version": 2}}).modified_count == 1
        assert collection.update_one({"_id": "one", "version": 1}, {"$set": {"version": 3}}).modified_count == 0
        assert collection.find_one({"_id": "one"}) == {"_id": "one", "version": 2}
        collection.drop()


def list_documents_urls(servers: Servers) -> dict[str, str]:
    """Return the MongoDB URLs of the services that have one."""
    return {
        name: settings["DOCUMENTS_URL"]
        for name in SERVICES
        if "DOCUMENTS_URL" in (settings := servers.service_settings(name))
    }


def test_service_has_rights_on_its_own_documents_only(servers: Servers) -> None:
    urls = list_documents_urls(servers)
    for service, url in urls.items():
        with pymongo.MongoClient[dict[str, object]](url, serverSelectionTimeoutMS=3000) as client:
            user = client[service].command("connectionStatus", showPrivileges=True)["authInfo"]
            assert user["authenticatedUserRoles"] == [{"role": "readWrite", "db": service}]
            assert {privilege["resource"].get("db") for privilege in user["authenticatedUserPrivileges"]} == {service}
            for other in (*urls.keys() - {service}, "admin", "local"):
                for call in (client[other]["stolen"].find_one, lambda db=other: client[db]["x"].insert_one({"_id": 1})):
                    with pytest.raises(pymongo.errors.OperationFailure, match="not authorized"):
                        call()


@pytest.mark.parametrize("credentials", ["", "orders:wrong@", "app:wrong@"])
def test_document_store_rejects_missing_or_wrong_password(servers: Servers, credentials: str) -> None:
    address = f"{servers.config.bind_address}:{servers.config.get_port('DOCUMENTS_PORT')}"
    with (
        pymongo.MongoClient[dict[str, object]](f"mongodb://{credentials}{address}/orders") as client,
        pytest.raises(pymongo.errors.OperationFailure, match=r"requires authentication|Authentication failed"),
    ):
        client.get_default_database()["history"].find_one()


def test_acknowledged_documents_survive_kill(servers: Servers) -> None:
    before = servers.get_child("documents")
    name = f"test_{uuid.uuid4().hex}"
    with pymongo.MongoClient[dict[str, object]](list_documents_urls(servers)["orders"], w="majority") as client:
        collection = client.get_default_database()[name]
        for number in range(20):
            collection.insert_one({"_id": number})
        os.kill(before.pid, signal.SIGKILL)
        wait_until_restarted(servers, "documents", before.restarts + 1)
        assert collection.count_documents({}) == 20
        collection.drop()


def test_document_store_does_not_log_values_or_diagnostics(servers: Servers) -> None:
    value = f"ada-{uuid.uuid4().hex}"
    with pymongo.MongoClient[dict[str, object]](list_documents_urls(servers)["orders"]) as client:
        collection = client.get_default_database()[f"test_{uuid.uuid4().hex}"]
        collection.insert_many({"_id": number, "value": value} for number in range(50_000))
        collection.update_many({"value": {"$regex": f".*{value}$"}}, {"$set": {"value": f"{value}-2"}})
        with pytest.raises(pymongo.errors.DuplicateKeyError):
            collection.insert_one({"_id": 1, "value": value})
        collection.drop()
    assert value not in (servers.config.folder / "logs/documents.log").read_text(encoding="utf-8")
    assert not (servers.config.folder / "documents/diagnostic.data").exists()


def test_existing_mongodb_replaces_mongod(servers: Servers) -> None:
    variables = servers.environment | {"MONGODB_URL": "mongodb://app:secret@db.example/{service}?authSource=admin"}
    config = MeshConfig(variables)
    names = {process.name for stage in define_stages(config, servers.secrets, "all") for process in stage}
    assert "documents" not in names
    assert "postgres" in names
    settings = services.build_service_environment(config, servers.secrets, "orders")
    assert settings["DOCUMENTS_URL"] == "mongodb://app:secret@db.example/orders?authSource=admin"


def test_documents_url_is_set_only_for_services_with_documents(servers: Servers) -> None:
    assert list_documents_urls(servers).keys() == {"orders", "notifications"}


def test_sandbox_serves_jwks_and_smtp(servers: Servers) -> None:
    keys = httpx.get(f"{servers.config.sandbox_url}/jwks.json", trust_env=False).raise_for_status().json()["keys"]
    assert [key["kty"] for key in keys] == ["RSA"]
    with socket.create_connection(
        (servers.config.bind_address, servers.config.get_port("SMTP_PORT")), timeout=2
    ) as smtp:
        assert smtp.recv(64).startswith(b"220 ")


def test_secrets_are_readable_by_owner_only(servers: Servers) -> None:
    folder = servers.config.folder / "secrets"
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    cookie = servers.config.folder / "rabbitmq/.erlang.cookie"
    assert stat.S_IMODE(cookie.stat().st_mode) == 0o400


def test_command_lines_contain_no_secrets(servers: Servers) -> None:
    secrets = [path.read_text(encoding="utf-8") for path in (servers.config.folder / "secrets").glob("*.password")]
    command_lines = "\n".join(" ".join(process.cmdline()) for process in servers.list_processes())
    assert not [secret for secret in secrets if secret in command_lines]


def test_killed_server_is_restarted_with_its_data(servers: Servers) -> None:
    url = servers.service_settings("partners")["DATABASE_URL"]
    with psycopg.connect(url) as connection:
        connection.execute("DROP TABLE IF EXISTS persisted")
        connection.execute("CREATE TABLE persisted AS SELECT 42 AS number")
    before = servers.get_child("postgres")
    os.kill(before.pid, signal.SIGKILL)
    after = wait_until_restarted(servers, "postgres", before.restarts + 1)
    assert after.pid != before.pid
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT number FROM persisted").fetchone() == (42,)
        connection.execute("DROP TABLE persisted")


def test_down_stops_all_processes_and_frees_ports(servers: Servers) -> None:
    processes = servers.list_processes()
    assert servers.list_open_ports()
    assert servers.run("down").returncode == 0
    assert not [process for process in processes if is_running(process)]
    assert not servers.list_open_ports()
    assert servers.run("status").returncode == 1


def test_down_is_idempotent(stopped: Servers) -> None:
    assert stopped.run("down").returncode == 0
    assert stopped.run("down").returncode == 0


def test_data_survives_restart_of_servers(servers: Servers) -> None:
    queue = "persisted"
    url = servers.admin_broker_url
    connection = pika.BlockingConnection(pika.URLParameters(url))
    channel = connection.channel()
    channel.confirm_delivery()
    channel.queue_declare(queue, durable=True, arguments={"x-queue-type": "quorum"})
    channel.basic_publish("", queue, b"event", pika.BasicProperties(delivery_mode=2), mandatory=True)
    connection.close()
    servers.run("down")
    servers.up()
    connection = pika.BlockingConnection(pika.URLParameters(url))
    channel = connection.channel()
    assert channel.basic_get(queue, auto_ack=True)[2] == b"event"
    channel.queue_delete(queue)
    connection.close()


def test_port_in_use_is_reported_with_description_and_variable(stopped: Servers) -> None:
    stopped.run("down")
    number = stopped.config.get_port("POSTGRES_PORT")
    with socket.create_server((stopped.config.bind_address, number)):
        result = stopped.run("up", "--only", "servers")
    assert result.returncode == 1
    assert f"port {number} (PostgreSQL) is in use" in result.stderr
    assert "POSTGRES_PORT" in result.stderr
    assert not stopped.list_open_ports()


def test_up_only_servers_ignores_port_of_edge(stopped: Servers) -> None:
    stopped.run("down")
    with socket.create_server((stopped.config.bind_address, stopped.config.get_port("EDGE_PORT"))):
        assert stopped.run("up", "--only", "servers").returncode == 0


def stop_port_mapper(servers: Servers) -> None:
    """Stop the Erlang port mapper of this mesh only."""
    environment = os.environ | {"ERL_EPMD_PORT": str(servers.config.get_port("EPMD_PORT"))}
    subprocess.run(["epmd", "-kill"], env=environment, check=False, capture_output=True)


def test_up_stops_orphans_of_killed_supervisor(servers: Servers) -> None:
    processes = servers.list_processes()
    os.kill(servers.supervisor_pid, signal.SIGKILL)
    try:
        assert "stopped 6 orphaned processes" in servers.up()
        assert not [process for process in processes if is_running(process)]
    finally:
        stop_port_mapper(servers)


def test_down_stops_orphans_of_killed_supervisor(servers: Servers) -> None:
    processes = servers.list_processes()
    os.kill(servers.supervisor_pid, signal.SIGKILL)
    try:
        assert servers.run("down").returncode == 0
        assert not [process for process in processes if is_running(process)]
        assert not servers.list_open_ports()
    finally:
        stop_port_mapper(servers)
