"""What pods must be, seen to be missed where it is missing; and that overlays tell everybody all they need."""

import copy
from functools import cache
from typing import Any

import pytest
import yaml

from codegen.contracts import Contracts, load
from codegen.envoy.sidecar import service_methods
from deploy import render_bootstrap
from deploy.kubernetes import check
from deploy.kubernetes.secrets import build_secrets
from deploy.local.mesh_config import MeshConfig
from services.runtime.config import settings
from tests.conftest import ROOT
from tests.unit.runtime.config.test_production_checks import SERVICES, VALID_SETTINGS

OVERLAYS = ROOT / "deploy/kubernetes"
SECRET = ("DATABASE_URL", "BROKER_URL", "DOCUMENTS_URL", "ENCRYPTION_KEY", "FIREBASE_API_KEY", "SMTP_URL")
"""What Secrets hold in production; docs/containers.md lists them."""


@pytest.fixture(scope="module")
def contracts() -> Contracts:
    return load(ROOT)


@cache
def built(name: str) -> Any:
    """The objects of an overlay, for those who only read them."""
    return check.build_overlay(OVERLAYS / name)


@pytest.fixture(scope="module", params=check.OVERLAYS)
def overlay(request: pytest.FixtureRequest) -> Any:
    return built(request.param)


@pytest.fixture
def local() -> Any:
    """A copy to plant in."""
    return copy.deepcopy(built("local"))


def find(objects: Any, kind: str, name: str) -> Any:
    """The one object; generated ConfigMaps have a hash behind their name."""
    (found,) = (
        each
        for each in objects
        if each["kind"] == kind
        and (each["metadata"]["name"] == name or each["metadata"]["name"].rpartition("-")[0] == name)
    )
    return found


def test_nothing_is_wrong(overlay: Any) -> None:
    assert list(check.check_objects(overlay)) == []


def change(spec: Any, container: str, path: str, value: Any) -> None:
    """Sets what lies at a path below a container of a pod, or removes it."""
    *way, last = path.split("/")
    (at,) = (each for each in spec["containers"] if each["name"] == container)
    for name in way:
        at = at[name]
    if value is None:
        del at[last]
    else:
        at[last] = value


@pytest.mark.parametrize(
    ("container", "path", "value", "fault"),
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
def test_faults_of_a_pod(local: Any, container: str, path: str, value: Any, fault: str) -> None:
    found = find(local, "Deployment", "orders")
    change(found["spec"]["template"]["spec"], container, path, value)
    (said,) = check.check_objects([found])
    assert said == f"Deployment orders: {fault}"


@pytest.mark.parametrize("service", SERVICES)
def test_a_release_has_all_its_settings(monkeypatch: pytest.MonkeyPatch, service: str) -> None:
    objects = built("production")
    for name in {*VALID_SETTINGS, "SECRETS_DIR", "ENVIRONMENT"}:
        monkeypatch.delenv(name, raising=False)
    container = find(objects, "Deployment", service)["spec"]["template"]["spec"]["containers"][0]
    told = {each["name"]: each["value"] for each in container["env"]} | find(objects, "ConfigMap", service)["data"]
    assert not told.keys() & {*SECRET}
    for name, value in (told | {name: VALID_SETTINGS[name] for name in SECRET}).items():
        monkeypatch.setenv(name, value)
    assert settings.load_settings(SERVICES[service]).environment == "production"


@pytest.mark.parametrize("name", ["local", "production"])
def test_sidecars_have_all_their_settings(name: str) -> None:
    objects = built(name)
    told = find(objects, "ConfigMap", "sidecars")["data"]
    for service in SERVICES:
        filled = render_bootstrap.render_bootstrap(service, told["ENVIRONMENT"], told)
        assert yaml.load(filled, Loader=yaml.CSafeLoader)["node"]["id"] == service


def test_the_local_overlay_has_all_its_secrets(local: Any, tmp_path: Any) -> None:
    made = dict(build_secrets(tmp_path))
    for each in local:
        if each["kind"] != "Deployment":
            continue
        spec = each["spec"]["template"]["spec"]
        named = [
            source["secretRef"]["name"]
            for c in spec["containers"]
            for source in c.get("envFrom", [])
            if "secretRef" in source
        ]
        for volume in spec.get("volumes", []):
            if secret := volume.get("secret"):
                named.append(secret["secretName"])
                assert {item["key"] for item in secret.get("items", [])} <= made[secret["secretName"]].keys()
        assert {*named} <= made.keys()


def test_only_the_contracts_callers_reach_a_pod(contracts: Contracts) -> None:
    objects = built("production")
    for service in ("orders", "partners", "notifications"):
        doors = find(objects, "NetworkPolicy", service)["spec"]["ingress"]
        (ingress,) = (door for door in doors if door["ports"] == [{"port": "ingress"}])
        allowed = {peer["podSelector"]["matchLabels"]["app.kubernetes.io/name"] for peer in ingress["from"]}
        assert allowed == {caller for method in service_methods(contracts, service) for caller in method.callers}


def test_probes_ask_at_the_probe_doors(local: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PORT_OFFSET", raising=False)
    for service in SERVICES:
        app, sidecar = find(local, "Deployment", service)["spec"]["template"]["spec"]["containers"]
        port = MeshConfig().get_port(f"{service.upper()}_PROBE_PORT")
        assert app["livenessProbe"]["grpc"]["port"] == sidecar["livenessProbe"]["tcpSocket"]["port"] == port
