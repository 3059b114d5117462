"""Checks of the Kubernetes objects with injected violations, and completeness of the overlays' settings."""

import copy
import json
import os
import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from codegen.contracts import Contracts, load
from codegen.envoy.sidecar import list_service_methods
from deploy import drain, render_bootstrap
from deploy.kubernetes import check
from deploy.kubernetes.secrets import build_secrets
from deploy.local.mesh_config import CALLEES, MeshConfig
from services.runtime.config import settings
from services.runtime.rpc.server import DRAIN_NOTICE_S
from tests.conftest import ROOT
from tests.service_settings import SETTINGS
from tests.unit.runtime.config.test_production_checks import VALID_SETTINGS

OVERLAYS = ROOT / "deploy/kubernetes"
KUBERNETES_PAGE = ROOT / "docs/kubernetes.md"
PROCESS_TIMES_S = 2
"""Seconds in which the preStop hook starts, and in which the drained app ends."""

SECRET_NAMES = (
    "DATABASE_URL",
    "BROKER_URL",
    "DOCUMENTS_URL",
    "ENCRYPTION_KEY",
    "CACHE_PASSWORD",
    "FIREBASE_API_KEY",
    "SMTP_URL",
)
"""Settings in Secrets in production, see docs/kubernetes.md."""


@pytest.fixture(scope="module")
def contracts() -> Contracts:
    return load(ROOT)


@cache
def load_overlay(name: str) -> Any:
    """Return the objects of an overlay, which must not be changed."""
    return check.build_overlay(OVERLAYS / name)


@pytest.fixture(scope="module", params=check.OVERLAYS)
def overlay(request: pytest.FixtureRequest) -> Any:
    return load_overlay(request.param)


@pytest.fixture
def local() -> Any:
    """Return a copy of the local overlay that may be changed."""
    return copy.deepcopy(load_overlay("local"))


def find(objects: Any, kind: str, name: str) -> Any:
    """Return the object with this name; names of generated ConfigMaps have a hash as suffix."""
    (match,) = (
        each
        for each in objects
        if each["kind"] == kind
        and (each["metadata"]["name"] == name or each["metadata"]["name"].rpartition("-")[0] == name)
    )
    return match


def test_overlay_has_no_violations(overlay: Any) -> None:
    assert list(check.check_objects(overlay)) == []


def change(spec: Any, container: str, path: str, value: Any) -> None:
    """Set the value at a path below a container of a pod, or remove it if no value is given."""
    *parents, key = path.split("/")
    (node,) = (each for each in spec["containers"] if each["name"] == container)
    for name in parents:
        node = node[name]
    if value is None:
        del node[key]
    else:
        node[key] = value


@pytest.mark.parametrize(
    ("container", "path", "value", "message"),
    [
        ("orders", "livenessProbe", None, "orders has no livenessProbe"),
        ("envoy", "readinessProbe", None, "envoy has no readinessProbe"),
        ("orders", "securityContext/runAsUser", 0, "orders may run as root"),
        ("envoy", "securityContext/runAsNonRoot", False, "envoy may run as root"),
        ("orders", "securityContext/readOnlyRootFilesystem", False, "orders has a writable root file system"),
        ("envoy", "securityContext/readOnlyRootFilesystem", None, "envoy has a writable root file system"),
        ("envoy", "securityContext/capabilities", {"drop": []}, "envoy has capabilities or privilege escalation"),
        ("orders", "startupProbe", None, "orders has no startupProbe"),
        ("orders", "lifecycle", None, "orders has no preStop hook"),
        ("envoy", "lifecycle", None, "envoy has no preStop hook"),
        ("orders", "resources/limits", None, "orders has no limits"),
        ("envoy", "resources/requests", None, "envoy has no requests"),
        ("orders", "resources/requests/cpu", None, "orders has no requests"),
        ("orders", "image", "delivery/service", "orders has an image without a version"),
        ("orders", "lifecycel", {}, "Additional properties are not allowed ('lifecycel' was unexpected)"),
    ],
)
def test_pod_violation_is_reported(local: Any, container: str, path: str, value: Any, message: str) -> None:
    deployment = find(local, "Deployment", "orders")
    change(deployment["spec"]["template"]["spec"], container, path, value)
    assert list(check.check_objects([deployment])) == [f"Deployment orders: {message}"]


def test_image_with_digest_needs_no_version(local: Any) -> None:
    deployment = find(local, "Deployment", "orders")
    change(deployment["spec"]["template"]["spec"], "orders", "image", f"delivery/service@sha256:{'0' * 64}")
    assert list(check.check_objects([deployment])) == []


@pytest.mark.parametrize("label", check.RECOMMENDED_LABELS)
def test_missing_label_is_reported(local: Any, label: str) -> None:
    service, deployment = find(local, "Service", "orders"), find(local, "Deployment", "orders")
    del service["metadata"]["labels"][label]
    del deployment["spec"]["template"]["metadata"]["labels"][label]
    assert list(check.check_objects([service, deployment])) == [
        f"Service orders: no label {label}",
        f"Deployment orders: pod: no label {label}",
    ]


@pytest.mark.parametrize(
    ("kind", "name", "path", "value", "message"),
    [
        ("Certificate", "orders", "secretName", 1, "data/spec/secretName must be string"),
        ("HTTPRoute", "edge", "hostnames", ["-"], "data/spec/hostnames/0 must match pattern"),
        ("BackendTLSPolicy", "edge", "targetRefs", [], "data/spec/targetRefs must NOT have less than 1 item"),
        ("PodMonitor", "delivery", "podMetricsEndpoints", {}, "data/spec/podMetricsEndpoints must be array"),
        ("PrometheusRule", "delivery", "groups", [{}], "data/spec/groups/0 must have required property name"),
    ],
)
def test_schema_violation_of_custom_resource_is_reported(
    kind: str, name: str, path: str, value: Any, message: str
) -> None:
    custom_resource = copy.deepcopy(find(load_overlay("production"), kind, name))
    custom_resource["spec"][path] = value
    (finding,) = check.check_objects([custom_resource])
    assert finding.startswith(f"{kind} {name}: {message}")


def test_custom_resource_without_schema_is_reported() -> None:
    custom_resource = {**find(load_overlay("production"), "PodMonitor", "delivery"), "kind": "PodMonitors"}
    assert list(check.check_objects([custom_resource])) == [
        "PodMonitors delivery: no schema of monitoring.coreos.com/v1 PodMonitors"
    ]


@pytest.mark.parametrize("base", ["services", "migrations", "certificates", "monitoring"])
def test_generated_objects_have_all_recommended_labels(base: str) -> None:
    objects = check.build_overlay(ROOT / "generated/kubernetes" / base)
    templates = [each["spec"]["template"] for each in objects if each["kind"] in ("Deployment", "Job")]
    for each in (*objects, *templates):
        assert {*check.RECOMMENDED_LABELS} <= each["metadata"]["labels"].keys()


@pytest.mark.parametrize("name", check.OVERLAYS)
def test_overlay_replaces_the_instance_of_the_base(name: str) -> None:
    instances = {each["metadata"]["labels"]["app.kubernetes.io/instance"] for each in load_overlay(name)}
    assert instances == {name.partition("/")[0]}


def test_labels_and_image_tags_are_the_version_of_the_project(overlay: Any) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    for each in overlay:
        labels = each["metadata"]["labels"]
        if labels["app.kubernetes.io/component"] != "server":
            assert labels["app.kubernetes.io/version"] == version, each["metadata"]["name"]
        if each["kind"] in ("Deployment", "Job"):
            spec = each["spec"]["template"]["spec"]
            images = {c["image"] for c in [*spec["containers"], *spec.get("initContainers", [])]}
            assert {image.rpartition(":")[2] for image in images if "delivery/" in image} <= {version}


@pytest.mark.parametrize("service", SETTINGS)
def test_production_overlay_has_all_service_settings(monkeypatch: pytest.MonkeyPatch, service: str) -> None:
    objects = load_overlay("production")
    for name in {*VALID_SETTINGS, "SECRETS_DIR", "ENVIRONMENT"}:
        monkeypatch.delenv(name, raising=False)
    container = find(objects, "Deployment", service)["spec"]["template"]["spec"]["containers"][0]
    values = {each["name"]: each["value"] for each in container["env"]} | find(objects, "ConfigMap", service)["data"]
    assert not values.keys() & {*SECRET_NAMES}
    for name, value in (values | {name: VALID_SETTINGS[name] for name in SECRET_NAMES}).items():
        monkeypatch.setenv(name, value)
    assert settings.load_settings(SETTINGS[service]).environment == "production"


@pytest.mark.parametrize("name", ["local", "production"])
def test_overlay_has_all_sidecar_settings(name: str) -> None:
    values = find(load_overlay(name), "ConfigMap", "sidecars")["data"]
    for service in SETTINGS:
        bootstrap = render_bootstrap.render_bootstrap(service, values["ENVIRONMENT"], values)
        assert json.loads(bootstrap)["node"]["id"] == service


def test_local_overlay_has_all_secrets(local: Any, tmp_path: Any) -> None:
    secrets = dict(build_secrets(tmp_path))
    for each in local:
        if each["kind"] != "Deployment":
            continue
        spec = each["spec"]["template"]["spec"]
        secret_names = [
            source["secretRef"]["name"]
            for c in spec["containers"]
            for source in c.get("envFrom", [])
            if "secretRef" in source
        ]
        for volume in spec.get("volumes", []):
            if secret := volume.get("secret"):
                secret_names.append(secret["secretName"])
                assert {item["key"] for item in secret.get("items", [])} <= secrets[secret["secretName"]].keys()
        assert {*secret_names} <= secrets.keys()


def test_browsers_reach_the_sandbox_of_the_local_overlay(local: Any) -> None:
    data = find(local, "ConfigMap", "orders")["data"]
    url = urlsplit(data["SANDBOX_BROWSER_URL"])
    assert url.hostname == "127.0.0.1"
    assert url.port in {port["port"] for port in find(local, "Service", "sandbox")["spec"]["ports"]}
    assert "kubectl port-forward service/sandbox 8090" in KUBERNETES_PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["local", "production"])
def test_console_links_no_trace_by_the_id_of_an_order(name: str) -> None:
    url = find(load_overlay(name), "ConfigMap", "gateway")["data"].get("TRACE_VIEWER_URL", "")
    assert not url or urlsplit(url).path.endswith("/search")


@pytest.mark.parametrize("service", SETTINGS)
@pytest.mark.parametrize("name", ["local", "production"])
def test_sidecar_receives_sigterm_after_the_app_has_drained(name: str, service: str) -> None:
    objects = load_overlay(name)
    spec = find(objects, "Deployment", service)["spec"]["template"]["spec"]
    app, sidecar = spec["containers"]
    data = {each["name"]: each["value"] for each in app["env"]} | find(objects, "ConfigMap", service)["data"]
    assert app["lifecycle"]["preStop"]["exec"]["command"] == ["python", "-m", "deploy.drain", service]
    hook_s = float(data.get("DRAIN_WAIT_S", drain.DEFAULT_WAIT_S))
    drain_s = float(data.get("DRAIN_SECONDS", SETTINGS[service].model_fields["drain_seconds"].default))
    command, delay = sidecar["lifecycle"]["preStop"]["exec"]["command"]
    assert command == "sleep"
    app_stop_s = hook_s + PROCESS_TIMES_S + DRAIN_NOTICE_S + drain_s
    assert app_stop_s <= int(delay) < spec["terminationGracePeriodSeconds"]


def test_documented_wait_for_migrations_is_as_long_as_their_jobs() -> None:
    jobs = [each for each in load_overlay("production/migrations") if each["kind"] == "Job"]
    (command,) = re.findall(
        r"`(kubectl [^`]*\bwait [^`]* job --all[^`]*)`", KUBERNETES_PAGE.read_text(encoding="utf-8")
    )
    timeout = re.search(r"--timeout=(\d+)m", command)
    assert timeout, f"{command}: kubectl waits for 30 seconds by default"
    assert 60 * int(timeout[1]) > max(job["spec"]["activeDeadlineSeconds"] for job in jobs)


def test_network_policy_permits_only_callers_of_the_contract(contracts: Contracts) -> None:
    objects = load_overlay("production")
    for service in CALLEES:
        rules = find(objects, "NetworkPolicy", service)["spec"]["ingress"]
        (ingress,) = (rule for rule in rules if rule["ports"] == [{"port": "ingress"}])
        allowed = {source["podSelector"]["matchLabels"]["app.kubernetes.io/name"] for source in ingress["from"]}
        assert allowed == {caller for method in list_service_methods(contracts, service) for caller in method.callers}


@pytest.mark.parametrize("service", SETTINGS)
def test_network_policy_permits_the_stores_of_the_settings(service: str) -> None:
    rules = find(load_overlay("production"), "NetworkPolicy", service)["spec"]["egress"]
    ports = {port.get("port") for rule in rules for port in rule["ports"]}
    fields = SETTINGS[service].model_fields
    for setting, port in (("database_url", 5432), ("broker_url", 5671), ("documents_url", 27017), ("smtp_url", 587)):
        assert (port in ports) == (setting in fields), setting
    assert (11211 in ports) == ("cache_address" in fields)


def test_pods_have_a_network_policy_and_the_namespace_denies_by_default() -> None:
    objects = [*load_overlay("production"), *load_overlay("production/migrations")]
    policies = [each["spec"] for each in objects if each["kind"] == "NetworkPolicy"]
    assert {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]} in policies
    for each in objects:
        if each["kind"] in ("Deployment", "Job"):
            labels = each["spec"]["template"]["metadata"]["labels"].items()
            selectors = [policy["podSelector"].get("matchLabels", {}) for policy in policies]
            assert any(selector and selector.items() <= labels for selector in selectors), each["metadata"]["name"]


def test_edge_is_exposed_by_the_gateway_api_over_tls() -> None:
    objects = load_overlay("production")
    (backend,) = find(objects, "HTTPRoute", "edge")["spec"]["rules"][0]["backendRefs"]
    service = find(objects, "Service", "gateway")["spec"]
    assert service.get("type") != "LoadBalancer"
    assert {port["port"]: port["name"] for port in service["ports"]}[backend["port"]] == "edge-tls"
    (target,) = find(objects, "BackendTLSPolicy", "edge")["spec"]["targetRefs"]
    assert (target["name"], target["sectionName"]) == (backend["name"], "edge-tls")
    assert find(objects, "ConfigMap", "gateway")["data"]["TRUSTED_HOPS"] == "1"
    assert find(objects, "ConfigMap", "sidecars")["data"]["TRUSTED_HOPS"] == "1"


def test_load_balancer_component_exposes_the_edge_without_a_proxy(tmp_path: Path) -> None:
    production = Path(os.path.relpath(OVERLAYS / "production", tmp_path))
    overlay = yaml.load(
        (OVERLAYS / "production/kustomization.yaml").read_text(encoding="utf-8"), Loader=yaml.CSafeLoader
    )
    components = [name if name != "gateway-api" else "load-balancer" for name in overlay["components"]]
    resources = [name if not name.endswith(".yaml") else None for name in overlay["resources"]]
    overlay |= {
        "resources": [str(production / name) for name in resources if name],
        "components": [str(production / name) for name in components],
    }
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(overlay), encoding="utf-8")
    objects = check.build_overlay(tmp_path)
    service = find(objects, "Service", "gateway")["spec"]
    assert service["type"] == "LoadBalancer"
    assert service["ports"] == [{"name": "edge-tls", "port": 443, "targetPort": "edge-tls"}]
    assert "TRUSTED_HOPS" not in find(objects, "ConfigMap", "gateway")["data"]
    assert "TRUSTED_HOPS" not in find(objects, "ConfigMap", "sidecars")["data"]
    assert list(check.check_objects(objects)) == []


def test_images_pinned_by_digest_pass_the_checks(tmp_path: Path) -> None:
    release = yaml.load(
        (OVERLAYS / "production/release/kustomization.yaml").read_text(encoding="utf-8"), Loader=yaml.CSafeLoader
    )
    for image in release["images"]:
        image |= {"digest": f"sha256:{'0' * 64}"}
        del image["newTag"]
    (tmp_path / "release").mkdir()
    (tmp_path / "release/kustomization.yaml").write_text(yaml.safe_dump(release), encoding="utf-8")
    base = os.path.relpath(ROOT, tmp_path)
    overlay = {
        "resources": [f"{base}/generated/kubernetes/services"],
        "components": [f"{base}/deploy/kubernetes/production/settings", "release"],
    }
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(overlay), encoding="utf-8")
    objects = check.build_overlay(tmp_path)
    for service in SETTINGS:
        spec = find(objects, "Deployment", service)["spec"]["template"]["spec"]
        for container in [*spec["containers"], *spec["initContainers"]]:
            assert container["image"].endswith(f"@sha256:{'0' * 64}")
    assert list(check.check_objects(objects)) == []


def test_monitored_ports_are_those_of_the_pods() -> None:
    objects = load_overlay("production")
    spec = find(objects, "PodMonitor", "delivery")["spec"]
    for service in SETTINGS:
        template = find(objects, "Deployment", service)["spec"]["template"]
        assert spec["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
        ports = {port["name"] for c in template["spec"]["containers"] for port in c.get("ports", [])}
        assert {endpoint["port"] for endpoint in spec["podMetricsEndpoints"]} <= ports


def test_probes_use_probe_ports(local: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PORT_OFFSET", raising=False)
    for service in SETTINGS:
        app, sidecar = find(local, "Deployment", service)["spec"]["template"]["spec"]["containers"]
        port = MeshConfig().get_port(f"{service.upper()}_PROBE_PORT")
        assert app["livenessProbe"]["grpc"]["port"] == sidecar["livenessProbe"]["tcpSocket"]["port"] == port
