"""Process specification of MongoDB with a user for each service, and the URLs of these users."""

import sysconfig
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pymongo import MongoClient
from pymongo.errors import OperationFailure

from deploy.local.mesh_config import ROOT, SERVICES, MeshConfig
from deploy.local.pki.secrets import Secrets
from deploy.local.supervisor.process import ProcessSpec

SERVICES_WITH_DOCUMENTS = tuple(name for name in SERVICES if (ROOT / "migrations" / name / "documents").is_dir())
"""Services with migrations for MongoDB."""
MONGOD = Path(sysconfig.get_path("purelib")) / "fiftyone/db/bin/mongod"
ADMIN = "app"
CACHE_SIZE_GB = 0.25
"""Size of the storage engine's cache; by default it would be half of the memory."""

IDLE_PARAMETERS = {
    "diagnosticDataCollectionEnabled": "false",
    "diagnosticDataCollectionPeriodMillis": "3600000",
    "clientCursorMonitorFrequencySecs": "300",
}
"""Parameters of monitoring, without which an idle server wakes up more often."""

REPLICA_SET = "documents"
"""Name of the replica set, if there are several servers."""

TIMEOUT_MS = 2000
UNAUTHORIZED_ERROR_CODE = 13
"""MongoDB error code of a command that requires a login."""


def is_needed(config: MeshConfig) -> bool:
    """Return whether the runner starts MongoDB: a service has documents, and the environment names no server."""
    return bool(SERVICES_WITH_DOCUMENTS) and config.mongodb_url is None


def build_documents_url(config: MeshConfig, secrets: Secrets, service: str) -> str:
    """Return the MongoDB URL of a service's database, with its password."""
    if config.mongodb_url is not None:
        return config.mongodb_url.replace("{service}", service)
    addresses = config.list_addresses("DOCUMENTS_PORT")
    options = f"?replicaSet={REPLICA_SET}" if len(addresses) > 1 else ""
    password = secrets.get_password(f"mongodb-{service}")
    return f"mongodb://{service}:{password}@{','.join(addresses)}/{service}{options}"


def get_admin_socket(config: MeshConfig) -> Path:
    """Return the Unix socket for administration, from which MongoDB accepts the first user without a login."""
    return config.socket_dir / f"mongodb-{config.get_port('DOCUMENTS_PORT')}.sock"


def connect_admin(
    socket: Path, username: str | None = None, password: str | None = None
) -> MongoClient[dict[str, Any]]:
    """Connect to the Unix socket of a server."""
    address = quote(str(socket), safe="")
    return MongoClient(
        address, username=username, password=password, serverSelectionTimeoutMS=TIMEOUT_MS, directConnection=True
    )


def create_users(config: MeshConfig, socket: Path, secrets: Secrets) -> None:
    """Create the administrator and the user of each service on the server of a socket, or change their passwords."""
    password = secrets.get_password("mongodb")
    with connect_admin(socket) as client:
        try:
            client.admin.command("createUser", ADMIN, pwd=password, roles=["root"])
        except OperationFailure as error:
            if error.code != UNAUTHORIZED_ERROR_CODE:
                raise
    with connect_admin(socket, ADMIN, password) as client:
        for service in SERVICES_WITH_DOCUMENTS:
            database = client[service]
            command = "updateUser" if database.command("usersInfo", service)["users"] else "createUser"
            database.command(command, service, pwd=secrets.get_password(f"mongodb-{service}"), roles=["readWrite"])
    for service in SERVICES_WITH_DOCUMENTS:
        url = build_documents_url(config, secrets, service)
        with MongoClient[dict[str, Any]](url, serverSelectionTimeoutMS=TIMEOUT_MS) as client:
            client.get_default_database().command("ping")


def define_mongodb(config: MeshConfig, secrets: Secrets) -> ProcessSpec:
    """Define MongoDB, with a user for each service that has rights on its own database only."""
    data, port = config.ensure_subdirectory("documents"), config.get_port("DOCUMENTS_PORT")
    socket = get_admin_socket(config)
    options = {
        "dbpath": data,
        "bind_ip": config.bind_address,
        "port": port,
        "unixSocketPrefix": socket.parent,
        "wiredTigerCacheSizeGB": CACHE_SIZE_GB,
        "slowOpSampleRate": 0,  # the log entry of a slow operation contains its values, which may be personal data
        "journalCommitInterval": 500,  # milliseconds between flushes for which no acknowledged write waits
    }

    def is_ready() -> bool:
        with connect_admin(socket) as client:
            client.admin.command("ping")
        return True

    return ProcessSpec(
        name="documents",
        command=[
            str(MONGOD),
            *("--auth", "--noscripting", "--quiet"),
            *(f"--{name}={value}" for name, value in options.items()),
            *(f"--setParameter={name}={value}" for name, value in IDLE_PARAMETERS.items()),
        ],
        environment={},
        is_ready=is_ready,
        port_variables=["DOCUMENTS_PORT"],
        sockets=[socket.name],
        on_ready=lambda: create_users(config, socket, secrets),
    )
