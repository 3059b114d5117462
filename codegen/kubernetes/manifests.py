"""What Kubernetes runs for each service: its pod with the sidecar, who may call it, how many there are; by the contracts.

What differs from cluster to cluster is not here: overlays name images, settings (ConfigMap `<service>`), secrets (Secret
`<service>`), certificates (Secrets `<service>-pki`, `gateway-edge`) and what sidecars are told (ConfigMap `sidecars`).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from codegen.contracts import Contracts, Files
from codegen.envoy import MESH_FILE, operator_proxy
from codegen.envoy.common import Config, spiffe_id
from codegen.envoy.sidecar import service_methods

HEADER = "# Written by `make generate` from api-specs and envoy/mesh.yaml. Do not edit.\n"
SERVICE_IMAGE = "delivery/service"
ENVOY_IMAGE = "envoyproxy/envoy"
USER_ID = 10001
DRAIN_S = 10
"""How long a pod that goes still serves those who have not heard of it."""

PART_OF_LABEL = {"app.kubernetes.io/part-of": "delivery"}
RUN_VOLUME_MOUNT = {"name": "run", "mountPath": "/run/delivery"}
SECURITY_CONTEXT = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


class _NoAliasDumper(yaml.CSafeDumper):
    """Writes shared parts in full, for readers."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def labels(name: str) -> dict[str, str]:
    """What pods of a service have, and selectors ask for."""
    return {"app.kubernetes.io/name": name, **PART_OF_LABEL}


def kubernetes_object(api_version: str, kind: str, name: str, app_name: str, **rest: Any) -> Config:
    """The head of an object."""
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "labels": labels(app_name)}, **rest}


def pod_spec(service: str, *, has_service_account: bool = True) -> Config:
    """What every pod of ours is: nobody's root, and without a token for the cluster."""
    return {
        **({"serviceAccountName": service} if has_service_account else {}),
        "automountServiceAccountToken": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER_ID,
            "runAsGroup": USER_ID,
            "fsGroup": USER_ID,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }


def environment_sources(service: str) -> list[Config]:
    """A service's settings, and those that are secret."""
    return [{"configMapRef": {"name": service}}, {"secretRef": {"name": service}}]


def socket_environment(service: str) -> list[Config]:
    """Where a service listens, and by which socket it calls others: all in the volume that it shares with its sidecar."""
    names = {"SERVICE_SOCKET": service}
    if service == "gateway":
        names |= {"HEALTH_SOCKET": "gateway-health", "EGRESS_SOCKET": "gateway-egress"}
    return [{"name": variable, "value": f"/run/delivery/{name}.sock"} for variable, name in names.items()]


def probes(port: int) -> Config:
    """By gRPC through the sidecar's probe door, which asks the app; so both must live."""
    ask = {"grpc": {"port": port}, "timeoutSeconds": 2}
    return {
        "startupProbe": ask | {"periodSeconds": 2, "failureThreshold": 60},
        "readinessProbe": ask | {"periodSeconds": 2, "failureThreshold": 2},
        "livenessProbe": ask | {"periodSeconds": 10, "failureThreshold": 3},
    }


def app_container(service: str, probe_port: int) -> Config:
    """The service itself, which listens on unix sockets alone."""
    return {
        "name": service,
        "image": SERVICE_IMAGE,
        "args": [f"services.{service}", "serve"],
        "env": socket_environment(service),
        "envFrom": environment_sources(service),
        "resources": {"requests": {"cpu": "250m", "memory": "192Mi"}, "limits": {"memory": "512Mi"}},
        "securityContext": SECURITY_CONTEXT,
        **probes(probe_port),
        "lifecycle": {"preStop": {"exec": {"command": ["python", "-m", "deploy.drain", service]}}},
        "volumeMounts": [
            RUN_VOLUME_MOUNT,
            {"name": "tmp", "mountPath": "/tmp"},
            {"name": "secrets", "mountPath": "/run/secrets", "readOnly": True},
        ],
    }


def envoy_container(service: str, ports: Mapping[str, int]) -> Config:
    """The sidecar. It outlives the app, which drains it and then finishes what it began."""
    mounts = [RUN_VOLUME_MOUNT, {"name": "pki", "mountPath": "/run/pki", "readOnly": True}]
    if service == "gateway":
        mounts.append({"name": "edge", "mountPath": "/run/edge", "readOnly": True})
    alive = {"tcpSocket": {"port": ports["probe"]}, "periodSeconds": 10, "failureThreshold": 3}
    return {
        "name": "envoy",
        "image": ENVOY_IMAGE,
        "command": ["envoy", "-c", "/run/delivery/envoy.yaml"],
        "args": ["--disable-hot-restart", "--concurrency", "1", "--log-level", "warn", "--drain-time-s", str(DRAIN_S)],
        "ports": [{"name": name, "containerPort": port} for name, port in ports.items()],
        "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
        "securityContext": SECURITY_CONTEXT,
        "livenessProbe": alive,
        "readinessProbe": alive | {"periodSeconds": 2},
        "lifecycle": {"preStop": {"exec": {"command": ["sleep", str(2 * DRAIN_S)]}}},
        "volumeMounts": mounts,
    }


def deployment(service: str, ports: Mapping[str, int]) -> Config:
    """A pod is replaced by one that serves already."""
    volumes: list[Config] = [
        {"name": "run", "emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}},
        {"name": "tmp", "emptyDir": {"sizeLimit": "256Mi"}},
        {"name": "secrets", "secret": {"secretName": f"{service}-files", "optional": True}},
        {"name": "pki", "secret": certificate_volume(f"{service}-pki", service)},
    ]
    if service == "gateway":
        volumes.append({"name": "edge", "secret": certificate_volume("gateway-edge", "edge")})
    bootstrap = {
        "name": "bootstrap",
        "image": SERVICE_IMAGE,
        "args": ["deploy.render_bootstrap", service, "/run/delivery/envoy.yaml"],
        "envFrom": [{"configMapRef": {"name": "sidecars"}}],
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}},
        "securityContext": SECURITY_CONTEXT,
        "volumeMounts": [RUN_VOLUME_MOUNT],
    }
    spec = {
        **pod_spec(service),
        "terminationGracePeriodSeconds": 4 * DRAIN_S,
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": labels(service)},
            }
        ],
        "initContainers": [bootstrap],
        "containers": [app_container(service, ports["probe"]), envoy_container(service, ports)],
        "volumes": volumes,
    }
    return kubernetes_object(
        "apps/v1",
        "Deployment",
        service,
        service,
        spec={
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "selector": {"matchLabels": labels(service)},
            "template": {"metadata": {"labels": labels(service)}, "spec": spec},
        },
    )


def certificate_volume(secret_name: str, name: str) -> Config:
    """A Secret as cert-manager writes it, under the names that bootstraps have."""
    files = {"tls.crt": f"{name}.pem", "tls.key": f"{name}.key"} | ({} if name == "edge" else {"ca.crt": "ca.pem"})
    return {"secretName": secret_name, "items": [{"key": key, "path": path} for key, path in files.items()]}


def network_policy(service: str, ports: Mapping[str, int], callers: Sequence[str]) -> Config:
    """Who may reach a pod: the contract's callers at its ingress, everybody at the edge, what scrapes at the probe door."""
    doors: list[Config] = [
        {"ports": [{"port": "probe"}], "from": [{"namespaceSelector": {"matchLabels": {"metrics": "delivery"}}}]}
    ]
    if "ingress" in ports:
        peers = [{"podSelector": {"matchLabels": labels(caller)}} for caller in callers]
        doors.append({"ports": [{"port": "ingress"}], "from": peers})
    else:
        doors.append({"ports": [{"port": name} for name in ports if name.startswith("edge")]})
    return kubernetes_object(
        "networking.k8s.io/v1",
        "NetworkPolicy",
        service,
        service,
        spec={"podSelector": {"matchLabels": labels(service)}, "policyTypes": ["Ingress"], "ingress": doors},
    )


def service_objects(service: str, ports: Mapping[str, int], callers: Sequence[str]) -> list[Config]:
    """Everything of one service."""
    doors = [{"name": name, "port": port, "targetPort": name} for name, port in ports.items() if name != "probe"]
    # Sidecars choose among pods themselves, so the name of a service that only they call leads to all of them.
    headless = {} if service == "gateway" else {"clusterIP": "None"}
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": service}
    load = {
        "type": "Resource",
        "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}},
    }
    return [
        kubernetes_object("v1", "ServiceAccount", service, service, automountServiceAccountToken=False),
        kubernetes_object(
            "v1", "Service", service, service, spec={**headless, "selector": labels(service), "ports": doors}
        ),
        deployment(service, ports),
        kubernetes_object(
            "autoscaling/v2",
            "HorizontalPodAutoscaler",
            service,
            service,
            spec={"scaleTargetRef": target, "minReplicas": 2, "maxReplicas": 10, "metrics": [load]},
        ),
        kubernetes_object(
            "policy/v1",
            "PodDisruptionBudget",
            service,
            service,
            spec={"maxUnavailable": 1, "selector": {"matchLabels": labels(service)}},
        ),
        network_policy(service, ports, callers),
    ]


def migration_job(service: str) -> Config:
    """Brings a database to what the next release needs, before any pod of it starts; the present release goes on."""
    container = {
        "name": "migrate",
        "image": SERVICE_IMAGE,
        "args": [f"services.{service}", "migrate"],
        "env": socket_environment(service),
        "envFrom": environment_sources(service),
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}},
        "securityContext": SECURITY_CONTEXT,
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    }
    spec = {
        **pod_spec(service, has_service_account=False),
        "restartPolicy": "Never",
        "containers": [container],
        "volumes": [{"name": "tmp", "emptyDir": {}}],
    }
    return kubernetes_object(
        "batch/v1",
        "Job",
        f"{service}-migrate",
        service,
        spec={
            "backoffLimit": 3,
            "activeDeadlineSeconds": 600,
            "ttlSecondsAfterFinished": 600,
            # Not the labels of the service's pods, or its Service would lead here.
            "template": {
                "metadata": {"labels": {"app.kubernetes.io/name": f"{service}-migrate", **PART_OF_LABEL}},
                "spec": spec,
            },
        },
    )


def sidecar_certificate(service: str, trust_domain: str) -> Config:
    """A sidecar's certificate, for cert-manager to keep: others know the sidecar by its SPIFFE id."""
    return kubernetes_object(
        "cert-manager.io/v1",
        "Certificate",
        service,
        service,
        spec={
            "secretName": f"{service}-pki",
            "issuerRef": {"kind": "Issuer", "name": "mesh"},
            "uris": [spiffe_id(trust_domain, service)],
            "usages": ["server auth", "client auth"],
            "duration": "2160h",
            "privateKey": {"algorithm": "ECDSA", "rotationPolicy": "Always"},
        },
    )


def sidecar_ports(mesh: Mapping[str, Any], service: str) -> dict[str, int]:
    """The ports of a sidecar that others reach, by name."""
    named = (
        {"edge": "EDGE_PORT", "edge-tls": "EDGE_TLS_PORT"}
        if service == "gateway"
        else {"ingress": f"{service.upper()}_INGRESS_PORT"}
    )
    named["probe"] = f"{service.upper()}_PROBE_PORT"
    return {name: mesh["settings"][setting]["default"] for name, setting in named.items()}


def dump_yaml(*content: Config) -> str:
    """As YAML."""
    return HEADER + yaml.dump_all(content, Dumper=_NoAliasDumper, sort_keys=False, width=120)


def generate(contracts: Contracts) -> Files:
    """`generated/kubernetes/{services,migrations,certificates}/`, each with a kustomization."""
    mesh: Config = yaml.safe_load(MESH_FILE.read_text())
    services = [name for name in mesh["sidecars"] if name != operator_proxy.SIDECAR_NAME]
    files: Files = {}
    for name in services:
        callers = sorted({caller for method in service_methods(contracts, name) for caller in method.callers})
        files[f"kubernetes/services/{name}.yaml"] = dump_yaml(
            *service_objects(name, sidecar_ports(mesh, name), callers)
        )
        files[f"kubernetes/migrations/{name}.yaml"] = dump_yaml(migration_job(name))
        files[f"kubernetes/certificates/{name}.yaml"] = dump_yaml(sidecar_certificate(name, mesh["trust_domain"]))
    kustomization = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}
    for folder in ("services", "migrations", "certificates"):
        files[f"kubernetes/{folder}/kustomization.yaml"] = dump_yaml(
            kustomization | {"resources": [f"{name}.yaml" for name in services]}
        )
    return files
