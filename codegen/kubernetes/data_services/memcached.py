"""Memcached as a StatefulSet, whose pods have names over which the client distributes the entries."""

from collections.abc import Sequence

from codegen.envoy.common import Config
from codegen.kubernetes.data_services.common import (
    CONTAINER_SECURITY_CONTEXT,
    NAMESPACE,
    build_anti_affinity,
    build_disruption_budget,
    build_name,
    build_resources,
    build_server_certificate,
    build_zone_spread,
)
from codegen.kubernetes.data_services.policies import CLIENT_PORTS, POD_LABELS, build_engine_policy
from codegen.kubernetes.objects import build_object

ENGINE = "memcached"
NAME = build_name(ENGINE)
IMAGE = "memcached:1.6"
USER_ID = 11211
REPLICAS = 2
USERS_SECRET = "memcached-users"  # noqa: S105 (the name of a Secret)
USERS_FOLDER, TLS_FOLDER = "/etc/memcached/users", "/etc/memcached/tls"
CACHE_MIB = 256
PORT = CLIENT_PORTS[ENGINE]
SERVICE_NAME = f"{NAME}.{NAMESPACE}.svc.cluster.local"


def list_hosts() -> list[str]:
    """Return the host and port of each pod."""
    return [f"{NAME}-{number}.{SERVICE_NAME}:{PORT}" for number in range(REPLICAS)]


def build_container() -> Config:
    """Return the container. It accepts only connections over TLS by the users of the Secret."""
    tls_options = f"ssl_chain_cert={TLS_FOLDER}/tls.crt,ssl_key={TLS_FOLDER}/tls.key"
    probe = {"tcpSocket": {"port": ENGINE}}
    return {
        "name": ENGINE,
        "image": IMAGE,
        "args": ["memcached", "-m", str(CACHE_MIB), "-Y", f"{USERS_FOLDER}/users", "-Z", "-o", tls_options],
        "ports": [{"name": ENGINE, "containerPort": PORT}],
        "readinessProbe": probe | {"periodSeconds": 2},
        "livenessProbe": probe | {"periodSeconds": 10, "failureThreshold": 3},
        "resources": build_resources("100m", f"{2 * CACHE_MIB}Mi"),
        "securityContext": CONTAINER_SECURITY_CONTEXT | {"readOnlyRootFilesystem": True},
        "volumeMounts": [
            {"name": name, "mountPath": path, "readOnly": True}
            for name, path in (("users", USERS_FOLDER), ("tls", TLS_FOLDER))
        ],
    }


def build_stateful_set() -> Config:
    """Return the StatefulSet. Its pods are independent of each other."""
    labels = POD_LABELS[ENGINE]
    pod = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER_ID,
            "runAsGroup": USER_ID,
            "fsGroup": USER_ID,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "affinity": build_anti_affinity(labels),
        "topologySpreadConstraints": build_zone_spread(labels),
        "containers": [build_container()],
        "volumes": [
            {"name": "users", "secret": {"secretName": USERS_SECRET}},
            {"name": "tls", "secret": {"secretName": f"{ENGINE}-tls"}},
        ],
    }
    spec = {
        "serviceName": NAME,
        "replicas": REPLICAS,
        "podManagementPolicy": "Parallel",
        "selector": {"matchLabels": {**labels}},
        "template": {"metadata": {"labels": {**labels}}, "spec": pod},
    }
    return build_object("apps/v1", "StatefulSet", NAME, ENGINE, spec=spec)


def build_objects(clients: Sequence[str]) -> list[Config]:
    """Return all objects of Memcached."""
    labels = POD_LABELS[ENGINE]
    ports = [{"name": ENGINE, "port": PORT, "targetPort": ENGINE}]
    service = {"clusterIP": "None", "selector": {**labels}, "ports": ports}
    return [
        build_server_certificate(ENGINE, [f"*.{SERVICE_NAME}"]),
        build_object("v1", "Service", NAME, ENGINE, spec=service),
        build_stateful_set(),
        build_disruption_budget(ENGINE, labels),
        build_engine_policy(ENGINE, clients),
    ]
