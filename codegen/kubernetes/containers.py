"""Containers of a service's pods: app, sidecar and bootstrap renderer."""

from collections.abc import Mapping

from codegen.envoy.common import Config
from codegen.mesh import PLACEHOLDER

SERVICE_IMAGE = f"{PLACEHOLDER}/service"
ENVOY_IMAGE = "envoyproxy/envoy"
DRAIN_S = 10
"""Seconds in which a terminating pod still serves requests until all clients have stopped using it."""
SIDECAR_STOP_DELAY_S = 25
"""Seconds after which the sidecar of a terminating pod receives SIGTERM, when the app has ended.

The preStop hook of the app takes DRAIN_S seconds and the start of a process. The app then reports NOT_SERVING for a
second and drains for up to DRAIN_SECONDS of the overlay, which is at most 12.
"""
GRACE_PERIOD_S = 40
"""Seconds after which a terminating pod is killed."""
SIDECAR_MEMORY_MIB, EDGE_MEMORY_MIB = 256, 384
"""Maximum memory of a sidecar. That of the gateway is the edge, which also has the connections of all clients."""

RUN_FOLDER = f"/run/{PLACEHOLDER}"
RUN_VOLUME_MOUNT = {"name": "run", "mountPath": RUN_FOLDER}
TMP_VOLUME_MOUNT = {"name": "tmp", "mountPath": "/tmp"}  # noqa: S108
SECURITY_CONTEXT = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


def build_environment_sources(service: str) -> list[Config]:
    """Return the ConfigMap and the Secret with the service's settings."""
    return [{"configMapRef": {"name": service}}, {"secretRef": {"name": service}}]


def build_socket_environment(service: str) -> list[Config]:
    """Return the environment variables of the sockets, all in the volume that app and sidecar share."""
    names = {"SERVICE_SOCKET": service}
    if service == "gateway":
        names |= {"HEALTH_SOCKET": "gateway-health", "EGRESS_SOCKET": "gateway-egress"}
    return [{"name": variable, "value": f"{RUN_FOLDER}/{name}.sock"} for variable, name in names.items()]


def build_probes(port: int) -> Config:
    """Return gRPC probes at the sidecar's probe listener, which forwards to the app and so covers both."""
    probe = {"grpc": {"port": port}, "timeoutSeconds": 2}
    return {
        "startupProbe": probe | {"periodSeconds": 2, "failureThreshold": 60},
        "readinessProbe": probe | {"periodSeconds": 2, "failureThreshold": 2},
        "livenessProbe": probe | {"periodSeconds": 10, "failureThreshold": 3},
    }


def build_app_container(service: str, probe_port: int) -> Config:
    """Return the container of the app, which listens on unix sockets only."""
    return {
        "name": service,
        "image": SERVICE_IMAGE,
        "args": [f"services.{service}", "serve"],
        "env": build_socket_environment(service),
        "envFrom": build_environment_sources(service),
        "resources": {"requests": {"cpu": "250m", "memory": "192Mi"}, "limits": {"memory": "512Mi"}},
        "securityContext": SECURITY_CONTEXT,
        **build_probes(probe_port),
        "lifecycle": {"preStop": {"exec": {"command": ["python", "-m", "deploy.drain", service]}}},
        "volumeMounts": [
            RUN_VOLUME_MOUNT,
            TMP_VOLUME_MOUNT,
            {"name": "secrets", "mountPath": "/run/secrets", "readOnly": True},
        ],
    }


def build_envoy_container(service: str, ports: Mapping[str, int]) -> Config:
    """Return the container of the sidecar. It outlives the app, which drains it and completes its open requests."""
    mounts = [RUN_VOLUME_MOUNT, {"name": "pki", "mountPath": "/run/pki", "readOnly": True}]
    memory_mib = SIDECAR_MEMORY_MIB
    if service == "gateway":
        memory_mib = EDGE_MEMORY_MIB
        mounts.append({"name": "edge", "mountPath": "/run/edge", "readOnly": True})
    probe = {"tcpSocket": {"port": ports["probe"]}, "periodSeconds": 10, "failureThreshold": 3}
    return {
        "name": "envoy",
        "image": ENVOY_IMAGE,
        "command": ["envoy", "-c", f"{RUN_FOLDER}/envoy.json"],
        "args": ["--disable-hot-restart", "--concurrency", "1", "--log-level", "warn", "--drain-time-s", str(DRAIN_S)],
        "ports": [{"name": name, "containerPort": port} for name, port in ports.items()],
        "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": f"{memory_mib}Mi"}},
        "securityContext": SECURITY_CONTEXT,
        "livenessProbe": probe,
        "readinessProbe": probe | {"periodSeconds": 2},
        "lifecycle": {"preStop": {"exec": {"command": ["sleep", str(SIDECAR_STOP_DELAY_S)]}}},
        "volumeMounts": mounts,
    }


def build_bootstrap_container(service: str) -> Config:
    """Return the init container that renders the sidecar's bootstrap."""
    return {
        "name": "bootstrap",
        "image": SERVICE_IMAGE,
        "args": ["deploy.render_bootstrap", service, f"{RUN_FOLDER}/envoy.json"],
        "envFrom": [{"configMapRef": {"name": "sidecars"}}],
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}},
        "securityContext": SECURITY_CONTEXT,
        "volumeMounts": [RUN_VOLUME_MOUNT],
    }


def build_migration_container(service: str) -> Config:
    """Return the container that runs the service's migrations."""
    return {
        "name": "migrate",
        "image": SERVICE_IMAGE,
        "args": [f"services.{service}", "migrate"],
        "env": build_socket_environment(service),
        "envFrom": build_environment_sources(service),
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}},
        "securityContext": SECURITY_CONTEXT,
        "volumeMounts": [TMP_VOLUME_MOUNT],
    }
