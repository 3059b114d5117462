"""Process specification of MongoDB, its users and their URLs, with simulated connections."""

import stat
from collections.abc import Callable
from typing import Any, Self
from urllib.parse import unquote, urlsplit

import pytest
from pymongo.errors import OperationFailure

from deploy.local.infrastructure import mongodb
from deploy.local.infrastructure.mongodb import (
    SERVICES_WITH_DOCUMENTS,
    UNAUTHORIZED_ERROR_CODE,
    build_documents_url,
    define_mongodb,
)
from deploy.local.mesh_config import MeshConfig
from deploy.local.pki.secrets import Secrets
from deploy.local.supervisor.process import ProcessSpec

type Command = tuple[str, str, str, dict[str, Any]]
"""User of the connection, database, command with its first argument, and options."""

type Respond = Callable[[str, str, str], dict[str, Any]]


@pytest.fixture
def specification(shared_config: MeshConfig, shared_secrets: Secrets) -> ProcessSpec:
    return define_mongodb(shared_config, shared_secrets)


@pytest.mark.parametrize(
    ("services", "url", "expected"),
    [(("orders",), None, True), (("orders",), "mongodb://{service}@db/{service}", False), ((), None, False)],
)
def test_server_is_needed_for_documents_without_another_server(
    monkeypatch: pytest.MonkeyPatch, services: tuple[str, ...], url: str | None, expected: bool
) -> None:
    monkeypatch.setattr(mongodb, "SERVICES_WITH_DOCUMENTS", services)
    assert mongodb.is_needed(MeshConfig({"MONGODB_URL": url} if url else {})) is expected


class SimulatedServer:
    """Records the commands of all clients; `respond` returns the result of one."""

    def __init__(self) -> None:
        self.addresses: list[str] = []
        self.commands: list[Command] = []
        self.respond: Respond = lambda user, database, command: {"users": []}

    def connect(self, address: str, username: str | None = None, **_: object) -> "SimulatedClient":
        self.addresses.append(unquote(address))
        url = urlsplit(address)
        return SimulatedClient(self, username or url.username or "", url.path.removeprefix("/"))


class SimulatedClient:
    """Client of the simulated server; also the database with its default name."""

    def __init__(self, server: SimulatedServer, user: str, database: str) -> None:
        self._server, self._user, self._database = server, user, database

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __getitem__(self, database: str) -> "SimulatedClient":
        return SimulatedClient(self._server, self._user, database)

    @property
    def admin(self) -> "SimulatedClient":
        return self["admin"]

    def get_default_database(self) -> "SimulatedClient":
        return self

    def command(self, name: str, argument: str = "", **options: Any) -> dict[str, Any]:
        command = f"{name} {argument}".strip()
        self._server.commands.append((self._user, self._database, command, options))
        return self._server.respond(self._user, self._database, command)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> SimulatedServer:
    server = SimulatedServer()

    class Client:
        def __class_getitem__(cls, _: object) -> type["Client"]:
            return cls

        def __new__(cls, address: str, **options: Any) -> SimulatedClient:  # type: ignore[misc]
            return server.connect(address, **options)

    monkeypatch.setattr(mongodb, "MongoClient", Client)
    return server


@pytest.mark.parametrize("service", SERVICES_WITH_DOCUMENTS)
def test_url_contains_user_password_and_database(
    shared_config: MeshConfig, shared_secrets: Secrets, service: str
) -> None:
    url = urlsplit(build_documents_url(shared_config, shared_secrets, service))
    assert (url.scheme, url.hostname, url.port) == ("mongodb", "127.0.0.1", shared_config.get_port("DOCUMENTS_PORT"))
    assert (url.username, url.path) == (service, f"/{service}")
    assert url.password == shared_secrets.get_password(f"mongodb-{service}")


def test_url_of_an_existing_mongodb_names_the_service(shared_config: MeshConfig, shared_secrets: Secrets) -> None:
    environment = {
        "DELIVERY_STATE": str(shared_config.folder),
        "MONGODB_URL": "mongodb://db.example/{service}?tls=true",
    }
    assert (
        build_documents_url(MeshConfig(environment), shared_secrets, "orders") == "mongodb://db.example/orders?tls=true"
    )


def test_server_requires_logins_and_listens_on_the_bind_address(
    shared_config: MeshConfig, specification: ProcessSpec
) -> None:
    options = set(specification.command[1:])
    assert {"--auth", "--noscripting", "--bind_ip=127.0.0.1"} <= options
    assert f"--port={shared_config.get_port('DOCUMENTS_PORT')}" in options
    assert stat.S_IMODE((shared_config.folder / "documents").stat().st_mode) == 0o700


def test_log_contains_no_values_of_slow_operations(specification: ProcessSpec) -> None:
    assert "--slowOpSampleRate=0" in specification.command


def test_socket_is_in_the_folder_of_the_mesh(shared_config: MeshConfig, specification: ProcessSpec) -> None:
    (socket,) = specification.sockets
    assert socket == f"mongodb-{shared_config.get_port('DOCUMENTS_PORT')}.sock"
    assert f"--unixSocketPrefix={shared_config.socket_dir}" in specification.command


def test_readiness_is_a_ping_on_the_socket(
    shared_config: MeshConfig, specification: ProcessSpec, server: SimulatedServer
) -> None:
    assert specification.is_ready()
    assert server.addresses == [str(shared_config.socket_dir / specification.sockets[0])]
    assert server.commands == [("", "admin", "ping", {})]


def run_on_ready(specification: ProcessSpec) -> None:
    assert specification.on_ready is not None
    specification.on_ready()


def user_commands(server: SimulatedServer) -> list[tuple[str, str, str]]:
    return [(user, database, command) for user, database, command, _ in server.commands if "User" in command]


def test_first_start_creates_all_users(specification: ProcessSpec, server: SimulatedServer) -> None:
    run_on_ready(specification)
    assert user_commands(server) == [
        ("", "admin", "createUser app"),
        *(("app", service, f"createUser {service}") for service in SERVICES_WITH_DOCUMENTS),
    ]


def test_service_user_may_write_its_own_database_only(
    specification: ProcessSpec, server: SimulatedServer, shared_secrets: Secrets
) -> None:
    run_on_ready(specification)
    for user, database, command, options in server.commands:
        if user == "app" and command.startswith("createUser"):
            assert options == {"pwd": shared_secrets.get_password(f"mongodb-{database}"), "roles": ["readWrite"]}


def test_next_start_updates_the_users(specification: ProcessSpec, server: SimulatedServer) -> None:
    def respond(user: str, database: str, command: str) -> dict[str, Any]:
        if (user, command) == ("", "createUser app"):
            raise OperationFailure("command createUser requires authentication", UNAUTHORIZED_ERROR_CODE)
        return {"users": [{"user": database}]}

    server.respond = respond
    run_on_ready(specification)
    assert user_commands(server)[1:] == [
        ("app", service, f"updateUser {service}") for service in SERVICES_WITH_DOCUMENTS
    ]


def test_other_error_of_the_first_user_is_raised(specification: ProcessSpec, server: SimulatedServer) -> None:
    def respond(user: str, database: str, command: str) -> dict[str, Any]:
        raise OperationFailure("disk full", 14031)

    server.respond = respond
    with pytest.raises(OperationFailure, match="disk full"):
        run_on_ready(specification)


def test_logins_of_the_services_are_verified(specification: ProcessSpec, server: SimulatedServer) -> None:
    run_on_ready(specification)
    assert [command[:3] for command in server.commands[-len(SERVICES_WITH_DOCUMENTS) :]] == [
        (service, service, "ping") for service in SERVICES_WITH_DOCUMENTS
    ]
