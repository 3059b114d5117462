"""`python -m deploy.containers.sbom FILE [--image IMAGE]`: write the SBOM of the service image in CycloneDX format.

It contains the pinned packages of Python and Node, the base images and, read from an image, the Debian packages.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

from deploy.local.mesh_config import ROOT

ENGINES = ("docker", "podman")
PACKAGES_COMMAND = """\
. /etc/os-release
echo "$ID-$VERSION_ID"
dpkg-query --show --showformat '${binary:Package}\\t${Version}\\t${Architecture}\\n'
"""
"""Shell command that prints the distribution and one line for each package."""

BASE_IMAGE_PATTERN = re.compile(r"(?m)^FROM (?P<name>[\w./-]+):(?P<tag>[\w.-]+)(?:@(?P<digest>sha256:\w+))? AS")
OS_PACKAGES_PROPERTY = "delivery:os-packages"


class SbomError(Exception):
    """The SBOM cannot be written."""


def read_python_packages(root: Path) -> Bom:
    """Return the SBOM of requirements/services.txt with the project as its subject. Raises CalledProcessError."""
    program = str(Path(sys.executable).with_name("cyclonedx-py"))
    command = [program, "requirements", "requirements/services.txt", "--pyproject", "pyproject.toml"]
    options = ["--mc-type", "application", "--output-reproducible", "--output-format", "JSON", "--output-file", "-"]
    result = subprocess.run(
        [*command, *options], cwd=root, check=True, capture_output=True, text=True, encoding="utf-8"
    )
    bom: Bom = Bom.from_json(json.loads(result.stdout))  # type: ignore[attr-defined]
    return bom


def iter_node_packages(lock: Path) -> Iterator[Component]:
    """Yield the packages of a package-lock.json that are not for development only."""
    for path, entry in json.loads(lock.read_text(encoding="utf-8"))["packages"].items():
        if path and not entry.get("dev"):
            name, version = path.rpartition("node_modules/")[2], entry["version"]
            namespace, _, short_name = name.rpartition("/")
            purl = PackageURL("npm", namespace or None, short_name, version)
            yield _create_component(purl, ComponentType.LIBRARY)


def iter_base_images(dockerfile: Path) -> Iterator[Component]:
    """Yield the images that the stages of a Dockerfile start from."""
    for match in BASE_IMAGE_PATTERN.finditer(dockerfile.read_text(encoding="utf-8")):
        namespace, _, name = match["name"].rpartition("/")
        version = match["digest"] or match["tag"]
        purl = PackageURL("docker", namespace or None, name, version, {"tag": match["tag"]})
        yield _create_component(purl, ComponentType.CONTAINER)


def parse_debian_packages(output: str) -> Iterator[Component]:
    """Yield the packages in the output of PACKAGES_COMMAND."""
    distribution, *lines = output.splitlines()
    for line in lines:
        name, version, architecture = line.split("\t")
        qualifiers = {"arch": architecture, "distro": distribution}
        purl = PackageURL("deb", "debian", name.partition(":")[0], version, qualifiers)
        yield _create_component(purl, ComponentType.LIBRARY)


def list_debian_packages(image: str) -> str:
    """Return the output of PACKAGES_COMMAND in an image. Raises SbomError."""
    engine = next(filter(shutil.which, ENGINES), None)
    if engine is None:
        raise SbomError(f"an image needs a container engine: {' or '.join(ENGINES)}")
    command = [engine, "run", "--rm", "--network=none", "--entrypoint=sh", image, "-c", PACKAGES_COMMAND]
    result = subprocess.run(command, check=False, capture_output=True, text=True, encoding="utf-8")
    if result.returncode:
        raise SbomError(f"{engine} cannot run {image}: {result.stderr.strip()}")
    return result.stdout


def build_sbom(root: Path, image: str | None) -> str:
    """Return the SBOM as JSON. Raises SbomError, also if the SBOM violates the schema of CycloneDX."""
    debian_packages = list_debian_packages(image) if image else None
    bom = read_python_packages(root)
    bom.components.update(iter_node_packages(root / "package-lock.json"))
    bom.components.update(iter_base_images(root / "deploy/containers/Dockerfile"))
    if debian_packages:
        bom.components.update(parse_debian_packages(debian_packages))
    if bom.metadata.component:
        bom.register_dependency(bom.metadata.component, bom.components)
    bom.metadata.properties.add(Property(name=OS_PACKAGES_PROPERTY, value="included" if image else "missing"))
    text = JsonV1Dot6(bom).output_as_string(indent=2)
    if error := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        raise SbomError(f"invalid SBOM: {error}")
    return text


def _create_component(purl: PackageURL, component_type: ComponentType) -> Component:
    version = purl.version or ""
    digest = version.removeprefix("sha256:") if version.startswith("sha256:") else None
    return Component(
        type=component_type,
        group=purl.namespace,
        name=purl.name,
        version=version,
        purl=purl,
        bom_ref=str(purl),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)] if digest else [],
    )


def main() -> int:
    """Write the SBOM. Return 1 if that fails, else 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--image", help="service image whose Debian packages are read")
    arguments = parser.parse_args()
    try:
        text = build_sbom(ROOT, arguments.image)
    except SbomError as error:
        print(f"sbom: {error}", file=sys.stderr)
        return 1
    arguments.file.parent.mkdir(parents=True, exist_ok=True)
    arguments.file.write_text(text, encoding="utf-8")
    if not arguments.image:
        print("sbom: the Debian packages are missing; add them with IMAGE=<service image>", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
