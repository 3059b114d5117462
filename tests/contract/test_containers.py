"""What containers must be, seen to be missed where it is missing."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.containers import check
from deploy.containers.substitute_images import find_image_reference
from deploy.local.mesh_config import MeshConfig
from tests.conftest import ROOT

DOCKERFILE = ROOT / "deploy/containers/Dockerfile"


@pytest.fixture
def document() -> Any:
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())


def test_nothing_is_wrong(document: Any) -> None:
    assert [*check.check_dockerfile(DOCKERFILE), *check.check_compose(document)] == []


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (r"USER 10001:10001\nHEALTH", "HEALTH", "service runs as root"),
        (r"USER 10001:10001\n$", "", "local runs as root"),
        (r"HEALTHCHECK .*\n", "", "service has no HEALTHCHECK"),
        (r"python:[0-9.]+-\S+", "python", "DL3006"),
        (r"pip install --no-cache-dir", "pip install", "DL3042"),
    ],
)
def test_faults_of_the_dockerfile(tmp_path: Path, old: str, new: str, fault: str) -> None:
    text = re.sub(old, new, DOCKERFILE.read_text(), count=1)
    assert text != DOCKERFILE.read_text()
    (tmp_path / "Dockerfile").write_text(text)
    assert any(fault in line for line in check.check_dockerfile(tmp_path / "Dockerfile"))


@pytest.mark.parametrize(
    ("service", "changes", "fault"),
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
    ],
)
def test_faults_of_compose(document: Any, service: str, changes: dict[str, Any], fault: str) -> None:
    document["services"][service] |= changes
    assert list(check.check_compose(document)) == [f"compose: {fault}"]


def test_containers_have_the_contracts_ports(document: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DELIVERY_STATE", str(tmp_path))
    monkeypatch.delenv("PORT_OFFSET", raising=False)
    state = MeshConfig()
    published = {
        int(port.split(":")[1]) for service in document["services"].values() for port in service.get("ports", [])
    }
    sidecars = [name for name in state.ports if name.endswith(("_ADMIN_PORT", "_PROBE_PORT"))]
    doors = ["EDGE_PORT", "EDGE_TLS_PORT", "OPS_PORT", "SANDBOX_PORT", "TRACES_PORT", *sidecars]
    assert published == {state.get_port(name) for name in doors} - {state.get_port("OPS_ADMIN_PORT")}


@pytest.mark.parametrize("image", ["python", "node", "envoyproxy/envoy", "postgres", "rabbitmq", "memcached"])
def test_what_stands_in_has_the_name_it_stands_in_for(image: str) -> None:
    assert find_image_reference(image).startswith(f"{image}:")


def test_services_share_nothing_but_a_volume_with_their_sidecar_alone(document: Any) -> None:
    services = document["services"]
    for name in ("gateway", "orders", "partners", "notifications"):
        holders = {
            other
            for other, service in services.items()
            if any(volume.startswith(f"{name}:") for volume in service.get("volumes", []))
        }
        assert holders - {f"{name}-demo"} == {name, f"{name}-envoy", "setup"}
        assert "ports" not in services[name]
