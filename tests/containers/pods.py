"""Cluster emulation with Podman: the Deployments of the overlay `substitutes`, with rolling replacement of pods.

Features that Podman 4 does not support are emulated. Services are network aliases shared by all pods of a name. Secrets
for the environment are Podman secrets, and Secrets mounted as files are ConfigMaps with the file names of `items`.
Volumes have the pod's name as a prefix. Declared ports are removed, because Podman would publish them.
"""

import base64
import json
import shlex
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from deploy.kubernetes.check import build_overlay
from deploy.kubernetes.secrets import build_secrets
from deploy.local.mesh_config import CALLEES
from services.runtime.rpc.health_check import is_serving
from tests.conftest import ROOT
from tests.containers.podman import STATE_DIR, run_podman
from tests.wait import wait_until

START_TIMEOUT_S, POLL_INTERVAL_S = 180.0, 0.5
NETWORK = "delivery"
SERVERS = ("postgres", "mongo", "rabbitmq", "memcached", "objects", "jaeger", "sandbox")
SERVICES = (*CALLEES, "gateway")
SERVICE_PROXY = "delivery-service"
"""Name of the Envoy container that emulates the gateway's Service."""

INIT_CONTAINER_ANNOTATIONS = {"io.podman.annotations.init.container.type": "always"}
"""Without this annotation, Podman removes an init container while it is still exiting."""


class PodmanCluster:
    """Running pods, by the name of their Deployment."""

    def __init__(self, folder: Path = STATE_DIR / "kubernetes") -> None:
        objects = build_overlay(ROOT / "deploy/kubernetes/substitutes")
        self._folder = folder
        self._deployments = {each["metadata"]["name"]: each for each in objects if each["kind"] == "Deployment"}
        self._config_maps = [each for each in objects if each["kind"] == "ConfigMap"]
        folder.mkdir(parents=True, exist_ok=True)
        self._secrets = dict(build_secrets(folder))
        self._pods: dict[str, str] = {}

    def __enter__(self) -> "PodmanCluster":
        self.__exit__()
        run_podman("network", "create", NETWORK)
        for name, data in self._secrets.items():
            run_podman("secret", "create", name, "-", stdin_text=json.dumps(_encode_base64(data)))
        return self

    def __exit__(self, *_: object) -> None:
        run_podman("pod", "rm", "--all", "--force", check=False)
        run_podman("rm", "--force", "--ignore", SERVICE_PROXY, check=False)
        run_podman("volume", "prune", "--force", check=False)
        run_podman("secret", "rm", "--all", check=False)
        run_podman("network", "rm", "--force", NETWORK, check=False)

    def start_pod(self, name: str, instance: str) -> None:
        """Start a pod and wait until its readiness probe succeeds."""
        pod = f"{name}-{instance}"
        deployment = json.loads(json.dumps(self._deployments[name]))
        objects = [*self._build_secret_files(deployment), *self._config_maps, adapt_deployment(deployment, pod)]
        path = self._folder / f"{pod}.yaml"
        path.write_text("\n---\n".join(map(json.dumps, objects)), encoding="utf-8")
        run_podman("play", "kube", "--network", f"{NETWORK}:alias={name}", str(path))
        self._pods[name] = f"{pod}-pod-0"
        address = self.get_pod_address(name)
        container = self._deployments[name]["spec"]["template"]["spec"]["containers"][0]
        if probe := container["readinessProbe"].get("grpc"):
            wait_until(
                lambda: is_serving(f"{address}:{probe['port']}"),
                timeout_s=START_TIMEOUT_S,
                interval_s=POLL_INTERVAL_S,
                description=f"{pod} serving",
            )
        else:
            port = container["readinessProbe"]["tcpSocket"]["port"]
            wait_until(
                lambda: is_listening(address, port),
                timeout_s=START_TIMEOUT_S,
                interval_s=POLL_INTERVAL_S,
                description=f"{pod} listening",
            )

    def _build_secret_files(self, deployment: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
        """Replace the Secret volumes of a Deployment by ConfigMap volumes, and yield the ConfigMaps."""
        for volume in deployment["spec"]["template"]["spec"].get("volumes", []):
            if secret := volume.pop("secret", None):
                data = self._secrets[secret["secretName"]]
                paths = {item["key"]: item["path"] for item in secret.get("items", [])} or {key: key for key in data}
                name = f"{secret['secretName']}-files"
                volume["configMap"] = {"name": name}
                yield {
                    "apiVersion": "v1",
                    "kind": "ConfigMap",
                    "metadata": {"name": name},
                    "data": {path: data[key] for key, path in paths.items()},
                }

    def get_pod_address(self, name: str) -> str:
        """Return the address of a Deployment's newest pod."""
        infra = run_podman("pod", "inspect", self._pods[name], "--format", "{{.InfraContainerID}}")
        return run_podman(
            "inspect", infra, "--format", f'{{{{(index .NetworkSettings.Networks "{NETWORK}").IPAddress}}}}'
        )

    def run_module(self, name: str, *module: str) -> None:
        """Run a module in the first container of a Deployment's newest pod. Raises CommandError."""
        run_podman("exec", f"{self._pods[name]}-{name}", "python", "-m", *module)

    def replace_pod(self, name: str, instance: str) -> None:
        """Replace a pod as a rolling update does: start the new pod, run the old pod's preStop hook, and stop it."""
        old = self._pods[name]
        self.start_pod(name, instance)
        container = self._deployments[name]["spec"]["template"]["spec"]["containers"][0]
        run_podman("exec", f"{old}-{name}", *container["lifecycle"]["preStop"]["exec"]["command"])
        run_podman("stop", "--time", "30", f"{old}-{name}")
        run_podman("pod", "rm", "--force", old)

    def publish_ports(self, probe_ports: Mapping[int, tuple[str, int | None]]) -> None:
        """Start an Envoy that balances connections over all ready pods, as kube-proxy does for a Service."""
        path = self._folder / "services.yaml"
        path.write_text(json.dumps(_build_balancer_config(probe_ports)), encoding="utf-8")
        image = self._deployments["gateway"]["spec"]["template"]["spec"]["containers"][1]["image"]
        published = [f"--publish=127.0.0.1:{port}:{port}" for port in probe_ports]
        run_podman(
            *(
                "run",
                "--detach",
                f"--name={SERVICE_PROXY}",
                f"--network={NETWORK}",
                *published,
                f"--volume={path}:/services.yaml:ro",
            ),
            *(image, *shlex.split("-c /services.yaml --disable-hot-restart --log-level warn")),
        )


def adapt_deployment(deployment: dict[str, Any], pod: str) -> dict[str, Any]:
    """Adapt a Deployment to the features that Podman supports."""
    deployment["metadata"] = {"name": pod, "annotations": INIT_CONTAINER_ANNOTATIONS}
    spec = deployment["spec"]["template"]["spec"]
    spec["restartPolicy"] = "OnFailure"  # Podman applies that of a Deployment, Always, to completed init containers too
    renamed = {volume["name"]: f"{pod}-{volume['name']}" for volume in spec.get("volumes", []) if "emptyDir" in volume}
    for volume in spec.get("volumes", []):
        volume["name"] = renamed.get(volume["name"], volume["name"])
    for container in [*spec.get("initContainers", []), *spec["containers"]]:
        for mount in container.get("volumeMounts", []):
            mount["name"] = renamed.get(mount["name"], mount["name"])
        for unsupported in ("ports", "startupProbe", "readinessProbe"):
            container.pop(unsupported, None)
        if probe := container.get("livenessProbe"):
            probe["exec"] = {"command": _build_probe_command(probe)}
            probe["timeoutSeconds"] = 15  # each probe starts a process
            for unsupported in ("grpc", "tcpSocket"):
                probe.pop(unsupported, None)
    return deployment


def _build_probe_command(probe: Mapping[str, Any]) -> list[str]:
    """Return a liveness probe as a command, which Podman runs in a shell, since it supports no gRPC probes."""
    if "grpc" in probe:
        return ["python", "-m", "services.runtime.rpc.health_check"]
    return ["bash", "-c", shlex.quote(f"exec 3<>/dev/tcp/127.0.0.1/{probe['tcpSocket']['port']}")]


def _build_balancer_config(probe_ports: Mapping[int, tuple[str, int | None]]) -> dict[str, Any]:
    """Return the Envoy configuration for TCP to the pods of each name; with a probe port, only to healthy pods."""
    http2 = {
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http2_protocol_options": {}},
    }
    health_check = {
        "health_checks": [
            {
                "timeout": "1s",
                "interval": "1s",
                "unhealthy_threshold": 2,
                "healthy_threshold": 1,
                "grpc_health_check": {},
            }
        ],
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": http2},
    }
    clusters, listeners = [], []
    for port, (name, probe) in probe_ports.items():
        endpoint: dict[str, Any] = {"address": {"socket_address": {"address": name, "port_value": port}}}
        if probe:
            endpoint["health_check_config"] = {"port_value": probe}
        clusters.append(
            {
                "name": name,
                "type": "STRICT_DNS",
                "dns_refresh_rate": "1s",
                "connect_timeout": "1s",
                "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [{"endpoint": endpoint}]}]},
                **(health_check if probe else {}),
            }
        )
        proxy = {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
            "stat_prefix": name,
            "cluster": name,
        }
        listeners.append(
            {
                "address": {"socket_address": {"address": "0.0.0.0", "port_value": port}},  # noqa: S104 (in a container)
                "filter_chains": [{"filters": [{"name": "tcp", "typed_config": proxy}]}],
            }
        )
    return {"static_resources": {"listeners": listeners, "clusters": clusters}}


def _encode_base64(data: Mapping[str, str]) -> dict[str, str]:
    return {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}


def is_listening(address: str, port: int) -> bool:
    """Return whether the port accepts connections."""
    try:
        socket.create_connection((address, port), timeout=1).close()
    except OSError:
        return False
    return True
