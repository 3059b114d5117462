"""Build contexts of the substitute images, with recorded instead of executed commands."""

import platform
import re
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

from deploy.containers import substitute_images
from deploy.containers.substitute_images import (
    BASE_IMAGE,
    DIGEST_LABEL,
    SCRIPTS_DIR,
    SITE_PACKAGES_DIR,
    SOURCE_LABEL,
    SubstituteImage,
    build_base_image,
    build_image,
    compute_digest,
    find_image_reference,
    list_substitutes,
)

COMPOSE = """
services:
  database: {image: postgres:18.1}
  cache:
    image: docker.example/cache/memcached:1.6
"""
DOCKERFILE = "FROM python:3.13-slim AS base\nRUN true\nFROM node:24 AS node\n"
DIGEST = f"sha256:{'0a' * 32}"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a repository with one Compose file and one Dockerfile."""
    (tmp_path / ".local").mkdir()
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements/dev.txt").touch()
    (tmp_path / "docker-compose.yml").write_text(COMPOSE, encoding="utf-8")
    dockerfile = tmp_path / "deploy/containers/Dockerfile"
    dockerfile.parent.mkdir(parents=True)
    dockerfile.write_text(DOCKERFILE, encoding="utf-8")
    monkeypatch.setattr(substitute_images, "ROOT", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("repository", "reference"),
    [
        ("python", "python:3.13-slim"),
        ("node", "node:24"),
        ("docker.example/cache/memcached", "docker.example/cache/memcached:1.6"),
    ],
)
def test_reference_is_found_with_its_tag(root: Path, repository: str, reference: str) -> None:
    assert find_image_reference(repository) == reference


def test_digests_of_base_images_are_removed(root: Path) -> None:
    dockerfile = root / "deploy/containers/Dockerfile"
    dockerfile.write_text(DOCKERFILE.replace(" AS", f"@{DIGEST} AS") + f"# image@{DIGEST}\n", encoding="utf-8")
    assert find_image_reference("python") == "python:3.13-slim"
    substitute_images.write_dockerfile()
    written = root / substitute_images.DOCKERFILE_WITHOUT_DIGESTS
    assert written.read_text(encoding="utf-8") == DOCKERFILE + f"# image@{DIGEST}\n"


@pytest.mark.parametrize("repository", ["mongo", "pyth", "pytho.", "memcached", "3.13-slim"])
def test_unknown_repository_raises_lookup_error(root: Path, repository: str) -> None:
    with pytest.raises(LookupError, match=re.escape(repository)):
        find_image_reference(repository)


@pytest.fixture
def docker(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """Record the arguments of docker, and the build context as a list of paths with the text of its Dockerfile."""
    calls: list[tuple[str, ...]] = []

    def run(*arguments: str, **_: object) -> None:
        calls.append(arguments)
        if arguments[0] == "build":
            context = Path(arguments[-1])
            calls.append(tuple(sorted(path.relative_to(context).as_posix() for path in context.rglob("*"))))
            calls.append(((context / "Dockerfile").read_text(encoding="utf-8"),))

    monkeypatch.setattr(substitute_images, "run_docker", run)
    return calls


def test_context_contains_the_copied_paths(root: Path, docker: list[tuple[str, ...]]) -> None:
    folder, program = root / "tools", root / "node"
    for name in ("bin/tool", "tests/test_tool.py", "lib/__pycache__/tool.pyc", "lib/libtool.a", "lib/libtool.so"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    program.touch()
    substitute = SubstituteImage("tool:1", "a test", {folder: "/opt/tool", program: "/usr/bin/node"}, "USER tool")
    build_image(substitute)
    arguments, files, (dockerfile,) = docker
    assert arguments[:-1] == ("build", "-q", "--network=none", "--tag=tool:1")
    assert files == ("0", "0/bin", "0/bin/tool", "0/lib", "0/lib/libtool.so", "1", "Dockerfile")
    assert dockerfile.splitlines() == [
        f"FROM {BASE_IMAGE}",
        f'LABEL {SOURCE_LABEL}="a test" {DIGEST_LABEL}="{compute_digest(substitute)}"',
        "COPY 0 /opt/tool",
        "COPY 1 /usr/bin/node",
        "USER tool",
    ]


def test_context_is_removed_after_the_build(root: Path, docker: list[tuple[str, ...]]) -> None:
    build_image(SubstituteImage("tool:1", "a test", {}))
    assert list((root / ".local").iterdir()) == []


@pytest.fixture
def substitutes(monkeypatch: pytest.MonkeyPatch) -> list[SubstituteImage]:
    """Return the substitutes of the repository; the paths of Node are stubs."""
    monkeypatch.setattr(substitute_images, "_read_output", lambda *command: f"/stub/{command[0]}")
    return list(list_substitutes())


def test_substitutes_have_unique_versioned_images(substitutes: list[SubstituteImage]) -> None:
    images = [each.image for each in substitutes]
    assert len(set(images)) == len(images)
    assert all(re.fullmatch(r"[a-z/-]+:\S+", image) for image in images)


def test_copied_paths_exist(substitutes: list[SubstituteImage]) -> None:
    paths = [path for each in substitutes for path in each.copied_paths if "stub" not in path.parts]
    assert [path for path in paths if not path.exists()] == []


def test_scripts_of_entry_points_exist(substitutes: list[SubstituteImage]) -> None:
    scripts = {name for each in substitutes for name in re.findall(r"/opt/substitutes/(\w[\w.]*)", each.instructions)}
    assert scripts
    assert scripts <= {path.name for path in SCRIPTS_DIR.iterdir()}


CURRENT = {SOURCE_LABEL: "a test", DIGEST_LABEL: "current"}
OUTDATED = {SOURCE_LABEL: "a test", DIGEST_LABEL: "earlier"}


@pytest.mark.parametrize(
    ("labels", "built"),
    [
        ({}, [BASE_IMAGE, "a:1", "b:1"]),
        ({BASE_IMAGE: {}, "a:1": CURRENT}, ["b:1"]),
        ({BASE_IMAGE: {}, "a:1": OUTDATED, "b:1": CURRENT}, ["a:1"]),
        ({BASE_IMAGE: {}, "a:1": CURRENT, "b:1": CURRENT}, []),
        ({"a:1": {"org.opencontainers.image.version": "1"}, "b:1": {}}, []),
    ],
    ids=["none", "one missing", "one outdated", "all", "pulled"],
)
def test_only_missing_or_outdated_images_are_built(
    monkeypatch: pytest.MonkeyPatch, labels: dict[str, dict[str, str]], built: list[str]
) -> None:
    names: list[str] = []
    monkeypatch.setattr(
        substitute_images, "list_substitutes", lambda: [SubstituteImage(f"{n}:1", "", {}) for n in "ab"]
    )
    monkeypatch.setattr(substitute_images, "read_labels", labels.get)
    monkeypatch.setattr(substitute_images, "compute_digest", lambda _: "current")
    monkeypatch.setattr(substitute_images, "build_base_image", lambda: names.append(BASE_IMAGE))
    monkeypatch.setattr(substitute_images, "build_image", lambda substitute: names.append(substitute.image))
    substitute_images.main()
    assert names == built


@pytest.mark.parametrize("changed", ["instructions", "packages", "entry point"])
def test_digest_changes_with_the_sources(root: Path, monkeypatch: pytest.MonkeyPatch, changed: str) -> None:
    monkeypatch.setattr(substitute_images, "SCRIPTS_DIR", root / "scripts")
    (root / "scripts").mkdir()
    copied = {root / "scripts": "/opt/scripts", SITE_PACKAGES_DIR / "tool": "/opt/tool"}
    before = compute_digest(SubstituteImage("tool:1", "", copied, "USER tool"))
    instructions = "USER other" if changed == "instructions" else "USER tool"
    if changed == "packages":
        (root / "requirements/dev.txt").write_text("tool==2", encoding="utf-8")
    if changed == "entry point":
        (root / "scripts/tool.sh").write_text("exec tool", encoding="utf-8")
    assert compute_digest(SubstituteImage("tool:1", "", copied, instructions)) != before


def test_digest_changes_with_the_build_of_the_copied_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    substitutes = [SubstituteImage("python:3", "", {Path(sys.base_prefix): "/usr"}), SubstituteImage("node:1", "", {})]
    with_interpreter, without_interpreter = map(compute_digest, substitutes)
    monkeypatch.setattr(sysconfig, "get_config_var", lambda _: "'--enable-optimizations'")
    assert compute_digest(substitutes[0]) != with_interpreter
    assert compute_digest(substitutes[1]) == without_interpreter


def test_digest_without_packages_and_scripts_ignores_them(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(substitute_images, "SCRIPTS_DIR", root / "scripts")
    (root / "scripts").mkdir()
    before = compute_digest(SubstituteImage("tool:1", "", {}))
    (root / "requirements/dev.txt").write_text("tool==2", encoding="utf-8")
    (root / "scripts/tool.sh").write_text("exec tool", encoding="utf-8")
    assert compute_digest(SubstituteImage("tool:1", "", {})) == before


def stub_commands(monkeypatch: pytest.MonkeyPatch, *, debootstrap: int, tar: int) -> None:
    """Replace debootstrap and tar by commands that exit with these codes."""

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        (Path(command[-1]) / "etc/ssl/certs").mkdir(parents=True)
        return subprocess.CompletedProcess(command, debootstrap, "no mirror\n", "")

    class Archive:
        stdout = None

        def wait(self) -> int:
            return tar

    monkeypatch.setattr(platform, "freedesktop_os_release", lambda: {"VERSION_CODENAME": "trixie"})
    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: Archive())


@pytest.mark.parametrize(
    ("debootstrap", "tar", "message"),
    [(1, 0, r"debootstrap of Debian trixie failed:\nno mirror"), (0, 2, "tar returned an error")],
    ids=["debootstrap", "tar"],
)
def test_failed_base_image_exits_with_the_output(
    root: Path,
    docker: list[tuple[str, ...]],
    monkeypatch: pytest.MonkeyPatch,
    debootstrap: int,
    tar: int,
    message: str,
) -> None:
    stub_commands(monkeypatch, debootstrap=debootstrap, tar=tar)
    with pytest.raises(SystemExit, match=message):
        build_base_image()
    assert list((root / ".local").iterdir()) == []


def test_base_image_is_imported_from_the_archive(
    root: Path, docker: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    stub_commands(monkeypatch, debootstrap=0, tar=0)
    build_base_image()
    assert docker == [("import", "-", BASE_IMAGE)]
