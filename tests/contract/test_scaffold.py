"""Scaffolded services: lines after the formatter has run, and the containers of Compose and of the image."""

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from codegen.scaffold.edits import load_edits
from codegen.scaffold.service import TEMPLATES, create_service, delete_service
from codegen.scaffold.service_names import find_name_error
from deploy.containers.check import check_compose
from deploy.kubernetes import check
from deploy.local.mesh_config import MeshConfig
from deploy.local.pki.secrets import Secrets
from deploy.local.supervisor.stages import define_stages
from tests.conftest import ROOT

RUFF = str(Path(sys.executable).with_name("ruff"))


DOCKERFILE = ROOT / "deploy/containers/Dockerfile"
MOUNTED_FOLDERS = ("/run/", "/var/lib/")


def copy_edited_files(folder: Path) -> set[str]:
    """Copy the files that the scaffold edits to a folder, and return their names."""
    files = {edit.file for edit in load_edits(TEMPLATES / "edits.yaml")} | {"pyproject.toml"}
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / file, folder / file)
    return files


@pytest.mark.parametrize("name", ["ab", "abcdefghijklmnopqrst"])
def test_formatted_service_has_no_long_line_and_can_be_deleted(tmp_path: Path, name: str) -> None:
    files = copy_edited_files(tmp_path)
    created = create_service(tmp_path, name)
    modules = [path for path in created if path.endswith(".py")]
    for command in (["format", "--quiet"], ["check", "--quiet", "--select=E501"]):
        subprocess.run([RUFF, *command, "--no-cache", *modules], cwd=tmp_path, check=True)
    delete_service(tmp_path, name)
    assert {file for file in files if (tmp_path / file).read_bytes() != (ROOT / file).read_bytes()} == set()


def load_compose(root: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.load(
        (root / "docker-compose.yml").read_text(encoding="utf-8"), Loader=yaml.CSafeLoader
    )
    return document


def find_dangling_references(document: dict[str, Any]) -> Iterator[str]:
    """Yield missing services and volumes, ports that two containers publish, and sockets outside of volumes."""
    published: dict[str, str] = {}
    for name, service in document["services"].items():
        mounts = {volume.split(":")[1]: volume.split(":")[0] for volume in service.get("volumes", ())}
        yield from (f"{name} depends on {each}" for each in {*service.get("depends_on", ())} - {*document["services"]})
        named = {source for source in mounts.values() if not source.startswith(("/", "."))}
        yield from (f"{name} mounts {each}" for each in named - {*document["volumes"]})
        for port in service.get("ports", ()):
            if (other := published.setdefault(port.rpartition(":")[0], name)) != name:
                yield f"{name} publishes {port}, as {other} does"
        for key, value in service.get("environment", {}).items():
            folder = Path(str(value)).parent.as_posix()
            if key.endswith("_SOCKET") and str(value).startswith(MOUNTED_FOLDERS) and folder not in mounts:
                yield f"{name} has {key} outside of its volumes"
            if key.endswith("_HOST") and str(value).endswith("-envoy") and value not in document["services"]:
                yield f"{name} has {key} of no container"


def test_compose_of_the_repository_has_no_dangling_reference() -> None:
    assert [*find_dangling_references(load_compose(ROOT))] == []


def list_used_names() -> Iterator[str]:
    """Yield the names of the processes of the local runner, of containers and volumes, and of Kubernetes objects."""
    with tempfile.TemporaryDirectory(prefix="delivery-tests-") as folder:
        config = MeshConfig({"DELIVERY_STATE": folder})
        stages = define_stages(config, Secrets(config), "all")
        yield from (process.name for stage in stages for process in stage)
    compose = load_compose(ROOT)
    yield from (*compose["services"], *compose["volumes"])
    for overlay in check.OVERLAYS:
        for each in check.build_overlay(ROOT / "deploy/kubernetes" / overlay):
            name = each["metadata"]["name"]
            # The names of generated ConfigMaps have a hash as suffix.
            yield name.rpartition("-")[0] or name if each["kind"] == "ConfigMap" else name


def test_names_of_processes_containers_and_objects_are_reserved() -> None:
    names = {name.removesuffix("-envoy").removesuffix("-demo") for name in list_used_names()}
    assert {"storage", "traces", "jaeger", "collector", "cache"} <= names
    assert sorted(name for name in names if find_name_error(name, ROOT) is None) == []


def test_scaffolded_service_has_the_containers_of_the_other_services(tmp_path: Path) -> None:
    copy_edited_files(tmp_path)
    before = load_compose(tmp_path)
    created = create_service(tmp_path, "sampleone")
    document = load_compose(tmp_path)
    assert [*check_compose(document), *find_dangling_references(document)] == []
    assert document["services"].keys() - before["services"].keys() == {"sampleone", "sampleone-envoy"}
    assert document["volumes"].keys() - before["volumes"].keys() == {"sampleone"}
    for suffix in ("", "-envoy"):
        added, other = (document["services"][f"{name}{suffix}"] for name in ("sampleone", "orders"))
        assert added.keys() == other.keys()
        assert added["image"] == other["image"]
    hosts = {name for name, each in document["services"].items() if "SAMPLEONE_HOST" in each.get("environment", {})}
    assert hosts == {name for name, each in before["services"].items() if "ORDERS_HOST" in each.get("environment", {})}
    module = document["services"]["sampleone"]["command"][0].replace(".", "/")
    assert f"{module}/__main__.py" in created


def test_image_contains_the_files_of_a_scaffolded_service(tmp_path: Path) -> None:
    copy_edited_files(tmp_path)
    created = create_service(tmp_path, "sampleone")
    copied = re.findall(r"(?m)^COPY (?!--from)(.+) \S+$", DOCKERFILE.read_text(encoding="utf-8"))
    sources = {source for line in copied for source in line.split()}
    for path in created:
        if path.startswith(("services/sampleone/", "migrations/sampleone/", "envoy/", "api-specs/")):
            assert any(path.startswith(f"{source}/") for source in sources), path


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("sampleone:/run/delivery", "sampletwo:/run/delivery", "sampleone mounts sampletwo"),
        ("SAMPLEONE_HOST: sampleone-envoy", "SAMPLEONE_HOST: sampletwo-envoy", "SAMPLEONE_HOST of no container"),
        ("/run/delivery/sampleone.sock", "/run/other/sampleone.sock", "SERVICE_SOCKET outside of its volumes"),
    ],
)
def test_dangling_reference_is_found(tmp_path: Path, old: str, new: str, problem: str) -> None:
    copy_edited_files(tmp_path)
    create_service(tmp_path, "sampleone")
    file = tmp_path / "docker-compose.yml"
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")
    assert any(problem in each for each in find_dangling_references(load_compose(tmp_path)))
