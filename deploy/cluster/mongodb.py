"""Process specification of a member of MongoDB's replica set."""

import hashlib
from dataclasses import replace
from typing import Any

from pymongo.errors import OperationFailure

from deploy.cluster.machines import DATA_MACHINES, Machine, MachineConfig
from deploy.local.infrastructure.mongodb import (
    REPLICA_SET,
    UNAUTHORIZED_ERROR_CODE,
    connect_admin,
    create_users,
    define_mongodb,
    get_admin_socket,
)
from deploy.local.pki.secrets import Secrets, write_private
from deploy.local.supervisor.process import ProcessSpec

ELECTION_TIMEOUT_MS = 3000
"""Time without the primary after which the members elect another one."""

OPLOG_PARAMETERS = {"oplogNetworkTimeoutBufferSeconds": 1}
"""Parameters of a secondary, which notices in less than three seconds that its source is unreachable.

It then tries to reconnect for seven seconds before it reads from the new primary. With the default of five seconds,
writes are acknowledged by a majority of the remaining members after 14 seconds. Without the attempt to reconnect, it
may choose the old primary again and wait for it for 20 seconds, since the election may take longer.
"""

ALREADY_INITIALIZED_ERROR_CODE = 23
"""MongoDB error code of replSetInitiate."""


class PrimaryMissing(Exception):
    """The replica set has no primary yet."""


def build_replica_set_config(config: MachineConfig) -> dict[str, Any]:
    """Return the configuration of the replica set, for `replSetInitiate`.

    Secondaries read from the primary only, so that the loss of a secondary does not delay the replication to the other.
    """
    return {
        "_id": REPLICA_SET,
        "members": [
            {"_id": number, "host": address} for number, address in enumerate(config.list_addresses("DOCUMENTS_PORT"))
        ],
        "settings": {
            "chainingAllowed": False,
            "electionTimeoutMillis": ELECTION_TIMEOUT_MS,
            "heartbeatIntervalMillis": 500,
        },
    }


def define_member(configs: dict[Machine, MachineConfig], config: MachineConfig, secrets: Secrets) -> ProcessSpec:
    """Define a member. The first one initiates the replica set, and creates the users on the primary."""
    single = define_mongodb(config, secrets)
    path = config.folder / "documents.key"
    # The key consists of characters of Base64.
    key = hashlib.sha256(secrets.get_password("mongodb-members").encode()).hexdigest()

    parameters = [f"--setParameter={name}={value}" for name, value in OPLOG_PARAMETERS.items()]

    def prepare() -> None:
        write_private(path, key)

    def finish() -> None:
        socket = get_admin_socket(config)
        _initiate(config)
        with connect_admin(socket) as client:
            primary = client.admin.command("hello").get("primary")
        addresses = config.list_addresses("DOCUMENTS_PORT")
        if primary not in addresses:
            raise PrimaryMissing
        create_users(config, get_admin_socket(configs[DATA_MACHINES[addresses.index(primary)]]), secrets)

    return replace(
        single,
        command=[*single.command, f"--replSet={REPLICA_SET}", f"--keyFile={path}", *parameters],
        before_start=prepare,
        on_ready=finish if config.machine is DATA_MACHINES[0] else None,
    )


def _initiate(config: MachineConfig) -> None:
    """Initiate the replica set. This needs no login before the first user exists."""
    socket = get_admin_socket(config)
    try:
        with connect_admin(socket) as client:
            client.admin.command("replSetInitiate", build_replica_set_config(config))
    except OperationFailure as error:
        if error.code not in (ALREADY_INITIALIZED_ERROR_CODE, UNAUTHORIZED_ERROR_CODE):
            raise
