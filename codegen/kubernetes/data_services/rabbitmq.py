"""RabbitMQ as a resource of the RabbitMQ Cluster Operator, with the generated definitions and the users of a Secret.

API: https://www.rabbitmq.com/kubernetes/operator/using-operator
"""

from collections.abc import Sequence

from codegen.envoy.common import Config
from codegen.kubernetes.data_services.common import (
    CONTAINER_SECURITY_CONTEXT,
    NAMESPACE,
    REPLICAS,
    build_anti_affinity,
    build_disruption_budget,
    build_host_names,
    build_name,
    build_resources,
    build_server_certificate,
    build_zone_spread,
)
from codegen.kubernetes.data_services.policies import POD_LABELS, build_engine_policy
from codegen.kubernetes.network_policies import build_ports
from codegen.kubernetes.objects import build_object

ENGINE = "rabbitmq"
NAME = build_name(ENGINE)
IMAGE = "rabbitmq:4.2-management"
OPERATOR_NAMESPACE = "rabbitmq-system"
USERS_SECRET = "rabbitmq-users"  # noqa: S105 (the name of a Secret)
DEFINITIONS_CONFIG_MAP = "broker-definitions"
DEFINITIONS_FOLDER = "/etc/rabbitmq/definitions"
CONFIGURATION = f"""\
cluster_partition_handling = pause_minority
default_queue_type = quorum
load_definitions = {DEFINITIONS_FOLDER}
"""

EPMD_PORT, CLUSTER_PORT, METRICS_PORT = 4369, 25672, 15691
CLI_PORTS = (35672, 35682)
"""First and last port of the command-line tools, which connect to all nodes."""

MANAGEMENT_TLS_PORT = 15671
DEFINITIONS_PATH = "spec/override/statefulSet/spec/template/spec/volumes/configMap/name"
"""Path of the name of the definitions, which changes with their content so that the nodes import them at a restart."""


def build_pod_template() -> Config:
    """Return the part of the pod template that is merged into that of the operator."""
    files = {"users": ("01-users.json", "users.json"), "definitions": ("02-definitions.json", "definitions.json")}
    mounts = [
        {"name": name, "mountPath": f"{DEFINITIONS_FOLDER}/{target}", "subPath": source, "readOnly": True}
        for name, (target, source) in files.items()
    ]
    labels = POD_LABELS[ENGINE]
    spec = {
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "topologySpreadConstraints": build_zone_spread(labels),
        "initContainers": [{"name": "setup-container", "securityContext": CONTAINER_SECURITY_CONTEXT}],
        "containers": [{"name": ENGINE, "securityContext": CONTAINER_SECURITY_CONTEXT, "volumeMounts": mounts}],
        "volumes": [
            {"name": "users", "secret": {"secretName": USERS_SECRET}},
            {"name": "definitions", "configMap": {"name": DEFINITIONS_CONFIG_MAP}},
        ],
    }
    return {"spec": spec}


def build_cluster() -> Config:
    """Return the RabbitmqCluster. Each quorum queue has a replica on every node."""
    spec = {
        "replicas": REPLICAS,
        "image": IMAGE,
        "persistence": {"storage": "20Gi"},
        "resources": build_resources("1", "2Gi"),
        "affinity": build_anti_affinity(POD_LABELS[ENGINE]),
        "tls": {"secretName": f"{ENGINE}-tls", "disableNonTLSListeners": True},
        "rabbitmq": {"additionalConfig": CONFIGURATION},
        "override": {"statefulSet": {"spec": {"template": build_pod_template()}}},
    }
    return build_object("rabbitmq.com/v1beta1", "RabbitmqCluster", NAME, ENGINE, spec=spec)


def build_objects(clients: Sequence[str]) -> list[Config]:
    """Return all objects of RabbitMQ; the kustomization adds the ConfigMap of the definitions."""
    first_cli_port, last_cli_port = CLI_PORTS
    policy = build_engine_policy(
        ENGINE,
        clients,
        node_ports=[
            *build_ports(EPMD_PORT, CLUSTER_PORT),
            {"protocol": "TCP", "port": first_cli_port, "endPort": last_cli_port},
        ],
        metrics_port=METRICS_PORT,
        operator=(OPERATOR_NAMESPACE, (MANAGEMENT_TLS_PORT,)),
        needs_api_server=True,
    )
    nodes = f"*.{NAME}-nodes.{NAMESPACE}.svc.cluster.local"
    return [
        build_server_certificate(ENGINE, [*build_host_names(NAME), nodes]),
        build_cluster(),
        build_disruption_budget(ENGINE, POD_LABELS[ENGINE]),
        policy,
    ]


def build_name_reference() -> Config:
    """Return kustomize's configuration for the name of the ConfigMap within the RabbitmqCluster."""
    field = {"kind": "RabbitmqCluster", "path": DEFINITIONS_PATH}
    return {"nameReference": [{"kind": "ConfigMap", "version": "v1", "fieldSpecs": [field]}]}
