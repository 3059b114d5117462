"""MongoDB as a resource of the MongoDB Community Operator: a replica set with a user and a database for each service.

API: https://github.com/mongodb/mongodb-kubernetes, MongoDBCommunity
"""

from collections.abc import Sequence

from codegen.envoy.common import Config
from codegen.kubernetes.data_services.common import (
    CONTAINER_SECURITY_CONTEXT,
    NAMESPACE,
    REPLICAS,
    build_anti_affinity,
    build_disruption_budget,
    build_name,
    build_resources,
    build_secret_name,
    build_server_certificate,
    build_zone_spread,
)
from codegen.kubernetes.data_services.policies import CLIENT_PORTS, POD_LABELS, build_engine_policy
from codegen.kubernetes.network_policies import build_ports
from codegen.kubernetes.objects import build_object

ENGINE = "mongodb"
NAME = build_name(ENGINE)
VERSION = "8.2.1"
SERVICE_NAME = f"{NAME}-svc.{NAMESPACE}.svc.cluster.local"
"""Domain of the members' host names, which the members advertise to clients."""

OPLOG_PARAMETERS = {"oplogNetworkTimeoutBufferSeconds": 1}
"""Parameters of a secondary, which reads from the new primary ten seconds after the old one has become unreachable."""

VOLUME_SIZES = {"data-volume": "50Gi", "logs-volume": "2Gi"}


def list_hosts() -> list[str]:
    """Return the host and port of each member."""
    return [f"{NAME}-{number}.{SERVICE_NAME}:{CLIENT_PORTS[ENGINE]}" for number in range(REPLICAS)]


def build_user(service: str) -> Config:
    """Return the user of a service, with rights on its own database only."""
    secret_name = build_secret_name(service, ENGINE)
    return {
        "name": service,
        "db": service,
        "passwordSecretRef": {"name": secret_name, "key": "password"},
        "roles": [{"name": "readWrite", "db": service}],
        "scramCredentialsSecretName": secret_name,
    }


def build_stateful_set() -> Config:
    """Return the part of the StatefulSet's spec that is merged into that of the operator."""
    labels = POD_LABELS[ENGINE]
    pod = {
        "serviceAccountName": NAME,
        "affinity": build_anti_affinity(labels),
        "topologySpreadConstraints": build_zone_spread(labels),
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "initContainers": [
            {"name": name, "securityContext": CONTAINER_SECURITY_CONTEXT}
            for name in ("mongod-posthook", "mongodb-agent-readinessprobe")
        ],
        "containers": [
            {"name": name, "resources": resources, "securityContext": CONTAINER_SECURITY_CONTEXT}
            for name, resources in (
                ("mongod", build_resources("1", "3Gi")),
                ("mongodb-agent", build_resources("100m", "400Mi")),
            )
        ],
    }
    volumes = [
        {"metadata": {"name": name}, "spec": {"resources": {"requests": {"storage": size}}}}
        for name, size in VOLUME_SIZES.items()
    ]
    return {"template": {"spec": pod}, "volumeClaimTemplates": volumes}


def build_replica_set(services: Sequence[str]) -> Config:
    """Return the MongoDBCommunity. The default write concern of its members is a majority.

    Secondaries read from the primary only, so that the loss of a secondary does not delay the replication to the other.
    """
    secret = {"name": f"{ENGINE}-tls"}
    spec = {
        "members": REPLICAS,
        "type": "ReplicaSet",
        "version": VERSION,
        "security": {
            "authentication": {"modes": ["SCRAM"]},
            "tls": {"enabled": True, "certificateKeySecretRef": secret, "caCertificateSecretRef": secret},
        },
        "automationConfig": {"replicaSet": {"settings": {"chainingAllowed": False}}},
        "additionalMongodConfig": {"setParameter": OPLOG_PARAMETERS},
        "users": [build_user(service) for service in services],
        "statefulSet": {"spec": build_stateful_set()},
    }
    return build_object("mongodbcommunity.mongodb.com/v1", "MongoDBCommunity", NAME, ENGINE, spec=spec)


def build_agent_access() -> list[Config]:
    """Return the service account of the members, whose agents report their state in the annotations of their pods."""
    group = "rbac.authorization.k8s.io"
    pods = [f"{NAME}-{number}" for number in range(REPLICAS)]
    rules = [
        {"apiGroups": [""], "resources": ["secrets"], "resourceNames": [f"{NAME}-config"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["pods"], "resourceNames": pods, "verbs": ["get", "patch", "delete"]},
    ]
    subject = {"kind": "ServiceAccount", "name": NAME}
    role = {"apiGroup": group, "kind": "Role", "name": NAME}
    return [
        build_object("v1", "ServiceAccount", NAME, ENGINE),
        build_object(f"{group}/v1", "Role", NAME, ENGINE, rules=rules),
        build_object(f"{group}/v1", "RoleBinding", NAME, ENGINE, roleRef=role, subjects=[subject]),
    ]


def build_objects(clients: Sequence[str]) -> list[Config]:
    """Return all objects of MongoDB."""
    policy = build_engine_policy(ENGINE, clients, node_ports=build_ports(CLIENT_PORTS[ENGINE]), needs_api_server=True)
    return [
        build_server_certificate(ENGINE, [f"*.{SERVICE_NAME}"]),
        *build_agent_access(),
        build_replica_set(clients),
        build_disruption_budget(ENGINE, POD_LABELS[ENGINE]),
        policy,
    ]
