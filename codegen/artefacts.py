"""Build the generated files that are not in git: `python -m codegen.artefacts [FOLDER …]`.

No one reviews these files, and they follow from files in git: published OpenAPI documents, Envoy bootstraps, dashboard,
alert rules of Kubernetes and TypeScript client. `make setup` and the image build write them without network, from the
OpenAPI files and the committed descriptor set. A stamp prevents a build from unchanged inputs.
"""

import argparse
import fcntl
import hashlib
import os
import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from codegen import contracts, envoy, observability, typescript
from codegen.contracts import ContractError, Contracts, Files
from codegen.kubernetes import manifests
from codegen.rest import published_openapi

PATHS = (
    "envoy/",
    "kubernetes/monitoring/prometheus-rule.yaml",
    "observability/dashboard.json",
    "openapi/",
    "typescript/",
)
"""Files and folders below `generated/` that are not in git; .gitignore lists the same."""

GENERATORS: dict[str, Callable[[Contracts], Files]] = {
    "envoy": envoy.generate,
    "kubernetes": manifests.generate,
    "observability": observability.generate,
    "openapi": published_openapi.generate,
    "typescript": typescript.generate,
}
"""Generators of the artefacts, by folder."""

INPUTS = (
    "api-specs",
    "codegen",
    contracts.DESCRIPTORS,
    "envoy/mesh.yaml",
    "package.json",
    "package-lock.json",
    "pyproject.toml",
)
FIX_COMMAND = "make generate"
STAMP = "generated/.artefacts"
"""File with the checksum of the inputs of the last build, and the files that it has written."""


def is_artefact(name: str) -> bool:
    """Return whether a generated file, relative to `generated/`, is not in git."""
    return name.startswith(PATHS)


def compute_checksum(root: Path) -> str:
    """Return the checksum of all inputs below `root`."""
    digest = hashlib.sha256()
    for path in sorted(path for name in INPUTS for path in list_files(root / name)):
        digest.update(f"{path.relative_to(root)}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def list_files(path: Path) -> Iterable[Path]:
    """Return the files below a folder, except Python bytecode, or the file itself."""
    files = [path] if path.is_file() else path.rglob("*")
    return [file for file in files if file.is_file() and "__pycache__" not in file.parts]


def build(root: Path, folders: Collection[str]) -> list[str]:
    """Write the artefacts of the folders, delete outdated ones, and return the names of the written files."""
    source = contracts.load_compiled(root)
    generated = root / "generated"
    files = {
        name: content for folder in folders for name, content in GENERATORS[folder](source).items() if is_artefact(name)
    }
    for path in (path for folder in folders for path in list_files(generated / folder)):
        name = str(path.relative_to(generated))
        if is_artefact(name) and name not in files:
            path.unlink()
    for name, content in files.items():
        path = generated / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return sorted(files)


def build_if_changed(root: Path, folders: Collection[str]) -> bool:
    """Build the artefacts if their inputs have changed or a file is missing. Return whether they were built."""
    checksum, stamp = f"{compute_checksum(root)} {' '.join(sorted(folders))}", root / STAMP
    last_checksum, *names = stamp.read_text(encoding="utf-8").splitlines() if stamp.exists() else [""]
    if last_checksum == checksum and all((root / "generated" / name).is_file() for name in names):
        return False
    stamp.write_text("\n".join([checksum, *build(root, folders)]), encoding="utf-8")
    return True


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Hold an exclusive lock on a folder, so that concurrent commands build once."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def main() -> int:
    parser = argparse.ArgumentParser(prog="codegen.artefacts", description=__doc__)
    parser.add_argument("folders", nargs="*", metavar="FOLDER", help=f"by default all: {', '.join(GENERATORS)}")
    parser.add_argument("--root", type=Path, default=contracts.REPOSITORY, help="folder of api-specs/ and generated/")
    arguments = parser.parse_args()
    root, folders = arguments.root.resolve(), arguments.folders or list(GENERATORS)
    if unknown := set(folders) - GENERATORS.keys():
        parser.error(f"unknown folders: {', '.join(sorted(unknown))}")
    try:
        with lock_folder(root / "generated"):
            build_if_changed(root, folders)
    except ContractError as error:
        print(f"contract: {error}", f"Fix, if a protobuf file has changed: {FIX_COMMAND}", sep="\n", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
