"""The servers of one machine, started by the runner: who may log in where, and what is left when they stop.

They have a folder and ports of their own beside the tests' mesh, because these tests kill the supervisor.
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
from dataclasses import dataclass

import httpx
import pika
import pika.exceptions
import psutil
import psycopg
import pymongo
import pytest
from pymemcache.client.base import Client as Memcached

from deploy.local.infrastructure import services
from deploy.local.infrastructure.servers import SERVICES
from deploy.local.mesh_config import ROOT, MeshConfig
from deploy.local.pki.secrets import Secrets
from deploy.local.supervisor.supervisor_state import ProcessState, read_running_state, read_supervisor_state
from tests.conftest import PORT_OFFSET, STATE_DIR

SERVERS = {"rabbitmq", "postgres", "memcached", "documents", "sandbox"}


@dataclass(frozen=True)
class Servers:
    """A mesh that ends with the servers, and how to run commands on it."""

    state: MeshConfig
    secrets: Secrets
    environment: dict[str, str]

    def run(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        """The runner's command line; `more` goes into its environment."""
        return subprocess.run(
            [sys.executable, "-m", "deploy.local", *arguments],
            cwd=ROOT,
            env=self.environment | more,
            capture_output=True,
            text=True,
            check=False,
        )

    def up(self) -> str:
        """Starts the servers. Returns what was said."""
        done = self.run("up", "--only", "servers")
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def told(self, service: str) -> dict[str, str]:
        """The environment that a service would be given."""
        return dict(services.build_service_environment(self.state, self.secrets, service))

    @property
    def supervisor(self) -> int:
        """The pid of the supervisor."""
        report = read_supervisor_state(self.state)
        assert report is not None
        return report.pid

    def child(self, name: str) -> ProcessState:
        """What the supervisor says of one child."""
        report = read_supervisor_state(self.state)
        assert report is not None
        return next(child for child in report.children if child.name == name)

    def family(self) -> list[psutil.Process]:
        """The supervisor, all it started, and what they did, down to the last."""
        supervisor = psutil.Process(self.supervisor)
        return [supervisor, *supervisor.children(recursive=True)]

    def listening(self) -> set[int]:
        """Those of this mesh's ports on which somebody listens."""
        return {number for number, _ in self.state.ports.values() if answers(self.state.bind_address, number)}


def runs(process: psutil.Process) -> bool:
    """Whether a process runs; one that only waits to be reaped by some other's parent does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def answers(host: str, port: int) -> bool:
    """Whether somebody listens."""
    with socket.socket() as probe:
        return probe.connect_ex((host, port)) == 0


def until_ready(servers: Servers, name: str, restarts: int) -> ProcessState:
    """Waits until a child has been started again this often and is ready."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        child = servers.child(name)
        if (child.restarts, child.state) == (restarts, "ready"):
            return child
        time.sleep(0.05)
    raise AssertionError(f"{name} was not started again: {servers.child(name)}")


@pytest.fixture(scope="module")
def stopped() -> Iterator[Servers]:
    """Servers that have never run; whatever a test starts is stopped in the end."""
    folder = STATE_DIR.absolute() / "servers"
    environment = os.environ | {"DELIVERY_STATE": str(folder), "PORT_OFFSET": str(PORT_OFFSET + 1000)}
    with pytest.MonkeyPatch.context() as patch:
        for name in ("DELIVERY_STATE", "PORT_OFFSET"):
            patch.setenv(name, environment[name])
        state = MeshConfig()
        folder.mkdir(parents=True, exist_ok=True)
        before = Servers(state, Secrets(state), environment)
        before.run("down")
        shutil.rmtree(folder)
        folder.mkdir()
        servers = Servers(state, Secrets(state), environment)
        yield servers
        servers.run("down")


@pytest.fixture
def servers(stopped: Servers) -> Servers:
    """Servers that run: found running, or started. The runner is only asked when it has something to do."""
    report = read_running_state(stopped.state)
    if report is None or report.phase != "ready":
        stopped.up()
    return stopped


def test_status_shows_every_process(servers: Servers) -> None:
    done = servers.run("status", COLUMNS="160")
    assert done.returncode == 0, done.stdout
    for name in SERVERS:
        assert re.search(rf"{name} +ready .* {servers.child(name).pid} ", done.stdout), done.stdout


def test_running_servers_are_used_again(servers: Servers) -> None:
    before = servers.supervisor
    begun = time.monotonic()
    servers.up()
    assert time.monotonic() - begun < 5
    assert servers.supervisor == before


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_owns_its_database(servers: Servers, service: str) -> None:
    with psycopg.connect(servers.told(service)["DATABASE_URL"]) as connection:
        row = connection.execute(
            "SELECT current_database(), current_user, rolsuper, rolcreatedb, rolcreaterole,"
            " current_setting('server_encoding') FROM pg_roles WHERE rolname = current_user"
        ).fetchone()
        assert row == (service, service, False, False, False, "UTF8")
        connection.execute("CREATE TEMPORARY TABLE anything (id uuid DEFAULT gen_random_uuid())")


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_enters_no_other_database(servers: Servers, service: str) -> None:
    url = servers.told(service)["DATABASE_URL"].removesuffix(service)
    for other in set(SERVICES) - {service}:
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            psycopg.connect(url + other)


def test_a_wrong_password_opens_no_database(servers: Servers) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(servers.told("orders")["DATABASE_URL"], password="wrong")


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_publishes_with_confirms(servers: Servers, service: str) -> None:
    queue = f"{service}.{uuid.uuid4().hex}"
    connection = pika.BlockingConnection(pika.URLParameters(servers.told(service)["BROKER_URL"]))
    channel = connection.channel()
    channel.confirm_delivery()
    channel.queue_declare(queue, durable=True, arguments={"x-queue-type": "quorum"})
    channel.basic_publish("", queue, b"event", mandatory=True)
    _, _, body = channel.basic_get(queue, auto_ack=True)
    assert body == b"event"
    channel.queue_delete(queue)
    connection.close()


@pytest.mark.parametrize(
    ("user", "host"), [("guest:guest", "delivery"), ("orders:wrong", "delivery"), ("guest:guest", "%2F")]
)
def test_the_broker_knows_nobody_else(servers: Servers, user: str, host: str) -> None:
    url = f"amqp://{user}@{servers.state.bind_address}:{servers.state.get_port('RABBITMQ_PORT')}/{host}"
    with pytest.raises(pika.exceptions.ProbableAuthenticationError):
        pika.BlockingConnection(pika.URLParameters(url))


def test_the_cache_keeps_what_it_is_given(servers: Servers) -> None:
    host, port = servers.told("gateway")["CACHE_ADDRESS"].split(":")
    cache = Memcached((host, int(port)), default_noreply=False, timeout=2)
    cache.set("check", b"kept", expire=60)
    assert cache.get("check") == b"kept"
    assert cache.delete("check")
    cache.close()


@pytest.mark.parametrize("service", ["orders", "notifications"])
def test_documents_change_only_as_they_were_read(servers: Servers, service: str) -> None:
    url = servers.told(service)["DOCUMENTS_URL"]
    with pymongo.MongoClient[dict[str, object]](url, serverSelectionTimeoutMS=3000) as client:
        collection = client.get_default_database()[f"test_{uuid.uuid4().hex}"]
        collection.insert_one({"_id": "one", "version": 1})
        assert collection.update_one({"_id": "one", "version": 1}, {"$set": {"version": 2}}).modified_count == 1
        assert collection.update_one({"_id": "one", "version": 1}, {"$set": {"version": 3}}).modified_count == 0
        assert collection.find_one({"_id": "one"}) == {"_id": "one", "version": 2}
        collection.drop()


def test_only_those_with_a_document_store_are_told_of_it(servers: Servers) -> None:
    assert {name for name in SERVICES if "DOCUMENTS_URL" in servers.told(name)} == {"orders", "notifications"}


def test_the_outside_world_answers(servers: Servers) -> None:
    keys = httpx.get(f"{servers.state.sandbox_url}/jwks.json", trust_env=False).raise_for_status().json()["keys"]
    assert [key["kty"] for key in keys] == ["RSA"]
    with socket.create_connection((servers.state.bind_address, servers.state.get_port("SMTP_PORT")), timeout=2) as smtp:
        assert smtp.recv(64).startswith(b"220 ")


def test_secrets_are_their_owners_only(servers: Servers) -> None:
    folder = servers.state.folder / "secrets"
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    cookie = servers.state.folder / "rabbitmq/.erlang.cookie"
    assert stat.S_IMODE(cookie.stat().st_mode) == 0o400


def test_no_secret_is_among_the_arguments_of_a_process(servers: Servers) -> None:
    secrets = [path.read_text() for path in (servers.state.folder / "secrets").glob("*.password")]
    said = "\n".join(" ".join(process.cmdline()) for process in servers.family())
    assert not [secret for secret in secrets if secret in said]


def test_a_server_that_dies_is_started_again_with_its_data(servers: Servers) -> None:
    url = servers.told("partners")["DATABASE_URL"]
    with psycopg.connect(url) as connection:
        connection.execute("DROP TABLE IF EXISTS kept")
        connection.execute("CREATE TABLE kept AS SELECT 42 AS number")
    before = servers.child("postgres")
    os.kill(before.pid, signal.SIGKILL)
    after = until_ready(servers, "postgres", before.restarts + 1)
    assert after.pid != before.pid
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT number FROM kept").fetchone() == (42,)
        connection.execute("DROP TABLE kept")


def test_down_leaves_no_process_and_no_port(servers: Servers) -> None:
    family = servers.family()
    assert servers.listening()
    assert servers.run("down").returncode == 0
    assert not [process for process in family if runs(process)]
    assert not servers.listening()
    assert servers.run("status").returncode == 1


def test_down_twice_is_no_error(stopped: Servers) -> None:
    assert stopped.run("down").returncode == 0
    assert stopped.run("down").returncode == 0


def test_data_outlives_the_servers(servers: Servers) -> None:
    queue = "kept"
    url = servers.told("orders")["BROKER_URL"]
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


def test_a_taken_port_is_named_with_its_purpose_and_its_variable(stopped: Servers) -> None:
    stopped.run("down")
    number = stopped.state.get_port("POSTGRES_PORT")
    with socket.create_server((stopped.state.bind_address, number)):
        done = stopped.run("up", "--only", "servers")
    assert done.returncode == 1
    assert f"port {number} (PostgreSQL) is taken" in done.stderr
    assert "POSTGRES_PORT" in done.stderr
    assert not stopped.listening()


def test_servers_need_no_port_of_the_edge(stopped: Servers) -> None:
    stopped.run("down")
    with socket.create_server((stopped.state.bind_address, stopped.state.get_port("EDGE_PORT"))):
        assert stopped.run("up", "--only", "servers").returncode == 0


def end_port_mapper(servers: Servers) -> None:
    """Ends the port mapper of this mesh, and no other."""
    environment = os.environ | {"ERL_EPMD_PORT": str(servers.state.get_port("EPMD_PORT"))}
    subprocess.run(["epmd", "-kill"], env=environment, check=False, capture_output=True)


def test_a_killed_supervisor_leaves_nothing_after_the_next_start(servers: Servers) -> None:
    family = servers.family()
    os.kill(servers.supervisor, signal.SIGKILL)
    try:
        assert "stopped 6 processes" in servers.up()
        assert not [process for process in family if runs(process)]
    finally:
        end_port_mapper(servers)


def test_down_also_ends_what_a_killed_supervisor_left(servers: Servers) -> None:
    family = servers.family()
    os.kill(servers.supervisor, signal.SIGKILL)
    try:
        assert servers.run("down").returncode == 0
        assert not [process for process in family if runs(process)]
        assert not servers.listening()
    finally:
        end_port_mapper(servers)
