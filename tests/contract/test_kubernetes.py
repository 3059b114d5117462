"""Checks of the Kubernetes objects with injected violations, and completeness of the overlays' settings."""

import copy
from functools import cache
from typing import Any

import pytest
import yaml

from codegen.contracts import Contracts, load
from codegen.envoy.sidecar import list_service_methods
from deploy import render_bootstrap
from deploy.kubernetes import check
from deploy.kubernetes.secrets import build_secrets
from deploy.local.mesh_config import MeshConfig
from services.runtime.config import settings
from tests.conftest import ROOT
from tests.unit.runtime.config.test_production_checks import SERVICES, VALID_SETTINGS

OVERLAYS = ROOT / "deploy/kubernetes"
SECRET_NAMES = ("DATABASE_URL", "BROKER_URL", "DOCUMENTS_URL", "ENCRYPTION_KEY", "FIREBASE_API_KEY", "SMTP_URL")
"""Settings in Secrets in production, see docs/containers.md."""


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
        ("orders", "image", "delivery/service", "orders has an image without a version"),
        ("orders", "lifecycel", {}, "Additional properties are not allowed ('lifecycel' was unexpected)"),
    ],
)
def test_pod_violation_is_reported(local: Any, container: str, path: str, value: Any, message: str) -> None:
    deployment = find(local, "Deployment", "orders")
    change(deployment["spec"]["template"]["spec"], container, path, value)
    assert list(check.check_objects([deployment])) == [f"Deployment orders: {message}"]


@pytest.mark.parametrize("service", SERVICES)
def test_production_overlay_has_all_service_settings(monkeypatch: pytest.MonkeyPatch, service: str) -> None:
    objects = load_overlay("production")
    for name in {*VALID_SETTINGS, "SECRETS_DIR", "ENVIRONMENT"}:
        monkeypatch.delenv(name, raising=False)
    container = find(objects, "Deployment", service)["spec"]["template"]["spec"]["containers"][0]
    values = {each["name"]: each["value"] for each in container["env"]} | find(objects, "ConfigMap", service)["data"]
    assert not values.keys() & {*SECRET_NAMES}
    for name, value in (values | {name: VALID_SETTINGS[name] for name in SECRET_NAMES}).items():
        monkeypatch.setenv(name, value)
    assert settings.load_settings(SERVICES[service]).environment == "production"


@pytest.mark.parametrize("name", ["local", "production"])
def test_overlay_has_all_sidecar_settings(name: str) -> None:
    values = find(load_overlay(name), "ConfigMap", "sidecars")["data"]
    for service in SERVICES:
        bootstrap = render_bootstrap.render_bootstrap(service, values["ENVIRONMENT"], values)
        assert yaml.load(bootstrap, Loader=yaml.CSafeLoader)["node"]["id"] == service


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


def test_network_policy_permits_only_callers_of_the_contract(contracts: Contracts) -> None:
    objects = load_overlay("production")
    for service in ("orders", "partners", "notifications"):
        rules = find(objects, "NetworkPolicy", service)["spec"]["ingress"]
        (ingress,) = (rule for rule in rules if rule["ports"] == [{"port": "ingress"}])
        allowed = {source["podSelector"]["matchLabels"]["app.kubernetes.io/name"] for source in ingress["from"]}
        assert allowed == {caller for method in list_service_methods(contracts, service) for caller in method.callers}


def test_probes_use_probe_ports(local: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PORT_OFFSET", raising=False)
    for service in SERVICES:
        app, sidecar = find(local, "Deployment", service)["spec"]["template"]["spec"]["containers"]
        port = MeshConfig().get_port(f"{service.upper()}_PROBE_PORT")
        assert app["livenessProbe"]["grpc"]["port"] == sidecar["livenessProbe"]["tcpSocket"]["port"] == port
