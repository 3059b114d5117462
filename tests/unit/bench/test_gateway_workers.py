"""Second process of a service in the bootstrap of its sidecar."""

import json
import tempfile
from pathlib import Path

import pytest

from bench.gateway_workers import add_second_endpoint
from deploy.local.infrastructure.envoys import write_bootstrap
from deploy.local.mesh_config import SERVICES, MeshConfig


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MeshConfig:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return MeshConfig({"DELIVERY_STATE": str(tmp_path), "PORT_OFFSET": "2000"})


def read_socket_paths(bootstrap_path: Path) -> dict[str, list[str]]:
    """Return the Unix sockets of each cluster that has any."""
    clusters = json.loads(bootstrap_path.read_text(encoding="utf-8"))["static_resources"]["clusters"]
    addresses = {
        cluster["name"]: [
            each["endpoint"]["address"] for each in cluster["load_assignment"]["endpoints"][0]["lb_endpoints"]
        ]
        for cluster in clusters
    }
    return {
        name: [address["pipe"]["path"] for address in cluster_addresses]
        for name, cluster_addresses in addresses.items()
        if all("pipe" in address for address in cluster_addresses)
    }


@pytest.mark.parametrize("name", SERVICES)
def test_second_process_is_added_to_the_rendered_bootstrap(config: MeshConfig, tmp_path: Path, name: str) -> None:
    path, second_dir = write_bootstrap(config, name), tmp_path / "second"
    before = read_socket_paths(path)
    add_second_endpoint(config, name, second_dir / f"{name}.sock")
    after = read_socket_paths(path)
    changed = {cluster: paths for cluster, paths in after.items() if paths != before[cluster]}
    expected = {"app", "callbacks", "uploads"} if name == "gateway" else {"app", "app_http1"}
    assert changed.keys() == expected
    for first_path, second_path in changed.values():
        assert second_path == str(second_dir / Path(first_path).name)
        assert Path(first_path).parent == config.socket_dir


def test_bootstrap_without_a_cluster_of_the_service_is_an_error(config: MeshConfig, tmp_path: Path) -> None:
    write_bootstrap(config, "gateway")
    with pytest.raises(LookupError, match=r"has no cluster with the endpoint .*unknown\.sock"):
        add_second_endpoint(config, "gateway", tmp_path / "second/unknown.sock")
