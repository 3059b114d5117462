"""PostgreSQL as resources of CloudNativePG: a cluster with a database and its owner for each service, and backups.

API: https://cloudnative-pg.io/documentation/current/ and the Barman Cloud plugin.
"""

from collections.abc import Sequence

from codegen.envoy.common import Config
from codegen.kubernetes.data_services.common import (
    HOST_TOPOLOGY,
    REPLICAS,
    build_host_names,
    build_name,
    build_resources,
    build_secret_name,
    build_server_certificate,
    build_zone_spread,
)
from codegen.kubernetes.data_services.policies import POD_LABELS, build_engine_policy
from codegen.kubernetes.network_policies import build_ports
from codegen.kubernetes.objects import build_object
from codegen.mesh import PLACEHOLDER

ENGINE = "postgresql"
NAME = build_name(ENGINE)
API_VERSION = "postgresql.cnpg.io/v1"
IMAGE = "ghcr.io/cloudnative-pg/postgresql:18.1-standard-trixie"
LOCALE = "C.UTF-8"
"""Locale that classifies the characters of all scripts, as the trigrams of the search need, and sorts by code point."""

OPERATOR_NAMESPACE = "cnpg-system"
BACKUP_PLUGIN = "barman-cloud.cloudnative-pg.io"
BACKUP_SECRET = "postgresql-backup"  # noqa: S105 (the name of a Secret)
RETENTION = "30d"
PARAMETERS = {
    "archive_timeout": "60s",
    "max_connections": "400",
    "shared_buffers": "1GB",
}
"""Server settings. The archive is at most a minute old, and 40 pods have 8 connections each."""

INSTANCE_PORT, STATUS_PORT, METRICS_PORT = 5432, 8000, 9187


def build_host_based_authentication(services: Sequence[str]) -> list[str]:
    """Return the lines of pg_hba.conf: each role connects to its own database only, over TLS."""
    return [*(f"hostssl {name} {name} all scram-sha-256" for name in services), "host all all all reject"]


def build_cluster(services: Sequence[str]) -> Config:
    """Return the Cluster. A failover loses no transaction.

    A commit waits for one of the two standbys, and an instance is promoted only if it has all commits.
    """
    roles = [
        {
            "name": name,
            "ensure": "present",
            "login": True,
            "passwordSecret": {"name": build_secret_name(name, ENGINE)},
        }
        for name in services
    ]
    # CloudNativePG creates one database with its owner at first; those of the services are resources of their own.
    bootstrap = {"database": PLACEHOLDER, "owner": PLACEHOLDER, "encoding": "UTF8"}
    bootstrap |= {"localeCollate": LOCALE, "localeCType": LOCALE}
    spec = {
        "instances": REPLICAS,
        "imageName": IMAGE,
        "primaryUpdateStrategy": "unsupervised",
        "primaryUpdateMethod": "switchover",
        "bootstrap": {"initdb": bootstrap},
        "managed": {"roles": roles},
        "postgresql": {
            "parameters": PARAMETERS,
            "synchronous": {"method": "any", "number": 1, "dataDurability": "required", "failoverQuorum": True},
            "pg_hba": build_host_based_authentication(services),
        },
        "certificates": {"serverTLSSecret": f"{ENGINE}-tls", "serverCASecret": f"{ENGINE}-tls"},
        "enablePDB": True,
        "affinity": {
            "enablePodAntiAffinity": True,
            "podAntiAffinityType": "required",
            "topologyKey": HOST_TOPOLOGY,
        },
        "topologySpreadConstraints": build_zone_spread(POD_LABELS[ENGINE]),
        "storage": {"size": "100Gi"},
        "walStorage": {"size": "20Gi"},
        "resources": build_resources("2", "4Gi"),
        "plugins": [{"name": BACKUP_PLUGIN, "isWALArchiver": True, "parameters": {"barmanObjectName": NAME}}],
    }
    return build_object(API_VERSION, "Cluster", NAME, ENGINE, spec=spec)


def build_database(service: str) -> Config:
    """Return the Database of a service, with encoding and locale of the cluster.

    It is retained if the resource is deleted.
    """
    spec = {"name": service, "owner": service, "cluster": {"name": NAME}, "databaseReclaimPolicy": "retain"}
    return build_object(API_VERSION, "Database", service, ENGINE, spec=spec)


def build_backups() -> list[Config]:
    """Return the object storage of base backups and WAL, and the daily backup. Overlays replace the destination."""
    credentials = {"applicationCredentials": {"name": BACKUP_SECRET, "key": "service-account.json"}}
    configuration = {
        "destinationPath": f"gs://{PLACEHOLDER}-backups/",
        "googleCredentials": credentials,
        "wal": {"compression": "gzip"},
        "data": {"compression": "gzip"},
    }
    store = {"retentionPolicy": RETENTION, "configuration": configuration}
    schedule = {
        "cluster": {"name": NAME},
        "schedule": "0 0 2 * * *",
        "immediate": True,
        "backupOwnerReference": "cluster",
        "method": "plugin",
        "pluginConfiguration": {"name": BACKUP_PLUGIN},
    }
    return [
        build_object("barmancloud.cnpg.io/v1", "ObjectStore", NAME, ENGINE, spec=store),
        build_object(API_VERSION, "ScheduledBackup", NAME, ENGINE, spec=schedule),
    ]


def build_objects(clients: Sequence[str]) -> list[Config]:
    """Return all objects of PostgreSQL. The operator creates the PodDisruptionBudgets."""
    host_names = [name for suffix in ("rw", "r", "ro") for name in build_host_names(f"{NAME}-{suffix}")]
    policy = build_engine_policy(
        ENGINE,
        clients,
        node_ports=build_ports(INSTANCE_PORT, STATUS_PORT),
        metrics_port=METRICS_PORT,
        operator=(OPERATOR_NAMESPACE, (INSTANCE_PORT, STATUS_PORT)),
        needs_api_server=True,
        public_ports=(443,),
    )
    return [
        build_server_certificate(ENGINE, host_names, **{"cnpg.io/reload": ""}),
        build_cluster(clients),
        *map(build_database, clients),
        *build_backups(),
        policy,
    ]
