"""Process specifications of etcd, and of PostgreSQL with Patroni, which replicates synchronously and fails over."""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import psycopg

from deploy.cluster.machines import DATA_MACHINES, ETCD_MACHINES, MachineConfig
from deploy.local.infrastructure.servers import (
    POSTGRES_BIN_DIR,
    POSTGRES_LOG_SETTINGS,
    choose_unprivileged_user,
    create_databases,
)
from deploy.local.mesh_config import ROOT
from deploy.local.pki.secrets import Secrets, write_private
from deploy.local.supervisor.process import ProcessSpec
from generated import mesh

PATRONI_PYTHON = ROOT / ".local/patroni/bin/python"
PATRONI_LAUNCHER = Path(__file__).with_name("short_lease.py")
ETCD_CLIENT_PORT, ETCD_PEER_PORT, PATRONI_PORT = 2379, 2380, 8008
SUPERUSER, REPLICATION_USER = "app", "replicator"

LEADER_TTL_S = 12
"""Seconds after which the lease of an unreachable leader expires.

A leader that cannot renew it demotes itself earlier, since `loop_wait + 2 * retry_timeout` is not longer.
"""

DYNAMIC_CONFIGURATION: Mapping[str, Any] = {
    "ttl": LEADER_TTL_S,
    "loop_wait": 2,
    "retry_timeout": 5,
    # A crashed leader is not restarted first.
    "primary_start_timeout": 0,
    "synchronous_mode": True,
    # Without a majority of etcd, a leader continues while it reaches all standbys.
    "failsafe_mode": True,
    "postgresql": {
        "use_pg_rewind": True,
        "parameters": {
            "max_connections": 120,
            "shared_buffers": "64MB",
            "wal_keep_size": "256MB",
            "max_wal_size": "256MB",
            # A standby or leader notices within these times that the other one is unreachable.
            "wal_sender_timeout": "5s",
            "wal_receiver_timeout": "5s",
            "tcp_user_timeout": "5s",
            **POSTGRES_LOG_SETTINGS,
        },
    },
}
"""Configuration of all nodes, which Patroni stores in etcd."""


def define_etcd(config: MachineConfig) -> ProcessSpec:
    """Define a member of etcd. Members and clients need no certificate in the private network of the cluster."""
    name, address = config.machine.name, config.machine.address
    client_url, peer_url = f"http://{address}:{ETCD_CLIENT_PORT}", f"http://{address}:{ETCD_PEER_PORT}"
    options = {
        "name": name,
        "data-dir": config.ensure_subdirectory("etcd"),
        "listen-client-urls": client_url,
        "advertise-client-urls": client_url,
        "listen-peer-urls": peer_url,
        "initial-advertise-peer-urls": peer_url,
        "initial-cluster": ",".join(f"{each.name}=http://{each.address}:{ETCD_PEER_PORT}" for each in ETCD_MACHINES),
        "initial-cluster-token": mesh.NAME,
        # Two processors are shared by all machines, so that heartbeats are late.
        "heartbeat-interval": 250,
        "election-timeout": 2500,
        # A member that returns from a partition does not depose the leader; the default of etcd 3.5 and later.
        "pre-vote": "true",
        "log-level": "warn",
    }

    def is_ready() -> bool:
        response = httpx.get(f"{client_url}/health", trust_env=False, timeout=2)
        return bool(response.is_success and response.json()["health"] == "true")

    return ProcessSpec(
        name="etcd",
        command=["etcd", *(f"--{option}={value}" for option, value in options.items())],
        environment={"GOMAXPROCS": "1"},
        is_ready=is_ready,
    )


def build_patroni_config(config: MachineConfig, secrets: Secrets) -> dict[str, Any]:
    """Return the configuration of Patroni on a machine."""
    address, folder = config.machine.address, config.folder / "patroni"
    superuser = {"username": SUPERUSER, "password": secrets.get_password("postgres")}
    return {
        "scope": mesh.NAME,
        "name": config.machine.name,
        "restapi": {"listen": f"{address}:{PATRONI_PORT}", "connect_address": f"{address}:{PATRONI_PORT}"},
        "etcd3": {"hosts": [f"{machine.address}:{ETCD_CLIENT_PORT}" for machine in ETCD_MACHINES]},
        "bootstrap": {
            "dcs": DYNAMIC_CONFIGURATION,
            "initdb": [{"encoding": "UTF8"}, {"locale-provider": "builtin"}, {"builtin-locale": "C.UTF-8"}],
        },
        "postgresql": {
            "listen": f"{address}:{config.get_port('POSTGRES_PORT')}",
            "connect_address": f"{address}:{config.get_port('POSTGRES_PORT')}",
            "data_dir": str(folder / "data"),
            "bin_dir": str(POSTGRES_BIN_DIR),
            "pgpass": str(folder / "pgpass"),
            # By default, the copy for a standby begins after a checkpoint that lasts minutes.
            "basebackup": [{"checkpoint": "fast"}],
            "authentication": {
                "superuser": superuser,
                "replication": {
                    "username": REPLICATION_USER,
                    "password": secrets.get_password("postgres-replication"),
                },
                "rewind": superuser,
            },
            "pg_hba": ["host all all 0.0.0.0/0 scram-sha-256", "host replication all 0.0.0.0/0 scram-sha-256"],
            "parameters": {"unix_socket_directories": ""},
        },
        "watchdog": {"mode": "off"},
    }


def define_patroni(config: MachineConfig, secrets: Secrets) -> ProcessSpec:
    """Define Patroni, which runs PostgreSQL as an unprivileged user. The first node creates the databases."""
    folder = config.folder / "patroni"
    prefix, user = choose_unprivileged_user(config.folder, Path(sys.executable).resolve(), PATRONI_LAUNCHER)
    path = folder / "patroni.json"
    content = json.dumps(build_patroni_config(config, secrets))

    def prepare() -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        write_private(path, content)
        if user is not None:
            for each in (folder, path):
                os.chown(each, user, user)

    def is_ready() -> bool:
        url = f"http://{config.machine.address}:{PATRONI_PORT}/health"
        return httpx.get(url, trust_env=False, timeout=2).is_success

    def finish() -> None:
        url = f"postgresql://{SUPERUSER}@{','.join(config.list_addresses('POSTGRES_PORT'))}/postgres"
        password = secrets.get_password("postgres")
        with psycopg.connect(
            url, password=password, target_session_attrs="read-write", autocommit=True, connect_timeout=2
        ) as connection:
            create_databases(connection, secrets)

    return ProcessSpec(
        name="postgres",
        command=[*prefix, str(PATRONI_PYTHON), "-P", str(PATRONI_LAUNCHER), str(path)],
        environment={"HOME": str(folder), "PATH": f"{POSTGRES_BIN_DIR}:{os.environ.get('PATH', os.defpath)}"},
        is_ready=is_ready,
        port_variables=["POSTGRES_PORT"],
        stop_timeout_s=30,
        user=user,
        before_start=prepare,
        on_ready=finish if config.machine is DATA_MACHINES[0] else None,
    )
