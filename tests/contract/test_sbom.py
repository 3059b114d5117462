"""SBOM of the service image: its components, and validation against the schema of CycloneDX."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from deploy.containers import sbom
from tests.conftest import ROOT

DIGEST = f"sha256:{'0a' * 32}"
DEBIAN_PACKAGES = "debian-12\nlibc6:amd64\t2.36-9+deb12u10\tamd64\nbash\t5.2.15-2+b8\tamd64\n"


@pytest.fixture(scope="module")
def document() -> Any:
    return json.loads(sbom.build_sbom(ROOT, None))


def list_purls(document: Any) -> set[str]:
    return {component["purl"] for component in document["components"]}


def test_sbom_is_valid_and_describes_the_project(document: Any) -> None:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(document)) is None
    component = document["metadata"]["component"]
    assert (component["name"], document["specVersion"]) == ("delivery", "1.6")


def test_sbom_contains_every_pinned_package_with_its_hashes(document: Any) -> None:
    pinned = {
        re.sub(r"\[.*\]", "", line.split(" ")[0]).replace("==", "@")
        for line in (ROOT / "requirements/services.txt").read_text(encoding="utf-8").splitlines()
        if "==" in line
    }
    components = {
        f"{each['name']}@{each['version']}": each
        for each in document["components"]
        if each["purl"].startswith("pkg:pypi/")
    }
    assert components.keys() == pinned
    for component in components.values():
        assert any(each.get("hashes") for each in component["externalReferences"]), component["name"]


def test_sbom_contains_node_packages_of_the_image_only(document: Any) -> None:
    names = {purl.rpartition("/")[2].partition("@")[0] for purl in list_purls(document) if purl.startswith("pkg:npm/")}
    assert "swagger-ui-dist" in names
    assert not names & {"typescript", "openapi-typescript"}


def test_sbom_without_image_states_that_debian_packages_are_missing(document: Any) -> None:
    assert {"name": sbom.OS_PACKAGES_PROPERTY, "value": "missing"} in document["metadata"]["properties"]
    assert not any(purl.startswith("pkg:deb/") for purl in list_purls(document))


def test_sbom_of_image_contains_its_debian_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sbom, "list_debian_packages", lambda image: DEBIAN_PACKAGES)
    document = json.loads(sbom.build_sbom(ROOT, "delivery/service:1.0.0"))
    assert {"name": sbom.OS_PACKAGES_PROPERTY, "value": "included"} in document["metadata"]["properties"]
    assert {purl for purl in list_purls(document) if purl.startswith("pkg:deb/")} == {
        "pkg:deb/debian/libc6@2.36-9%2Bdeb12u10?arch=amd64&distro=debian-12",
        "pkg:deb/debian/bash@5.2.15-2%2Bb8?arch=amd64&distro=debian-12",
    }


def test_packages_command_lists_the_packages_of_debian() -> None:
    output = subprocess.run(
        ["sh", "-c", sbom.PACKAGES_COMMAND], check=True, capture_output=True, text=True, encoding="utf-8"
    ).stdout
    packages = {component.name: component for component in sbom.parse_debian_packages(output)}
    assert packages["dpkg"].version
    assert packages["dpkg"].purl is not None
    assert packages["dpkg"].purl.qualifiers["distro"] == output.splitlines()[0]


def test_base_image_with_digest_has_it_as_version_and_hash(tmp_path: Path) -> None:
    dockerfile = tmp_path / "Dockerfile"
    dockerfile.write_text(
        f"FROM python:3.13.9-slim@{DIGEST} AS python\nFROM example/tool:1.2 AS tool\nFROM python AS app\n",
        encoding="utf-8",
    )
    python, tool = sbom.iter_base_images(dockerfile)
    assert (python.name, python.version, tool.group, tool.version) == ("python", DIGEST, "example", "1.2")
    assert [each.content for each in python.hashes] == [DIGEST.removeprefix("sha256:")]


def test_image_without_container_engine_is_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(sbom, "ENGINES", ("missing-engine",))
    monkeypatch.setattr("sys.argv", ["sbom", str(tmp_path / "sbom.json"), "--image", "delivery/service"])
    assert sbom.main() == 1
    assert capsys.readouterr().err == "sbom: an image needs a container engine: missing-engine\n"
    assert not (tmp_path / "sbom.json").exists()
