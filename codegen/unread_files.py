"""Files beside the specifications that no generator reads, such as a contract in a subfolder or with another suffix."""

from collections.abc import Collection, Iterator
from pathlib import Path

SPECIFICATIONS = "api-specs"
OPENAPI_FOLDER, PROTO_FOLDER = f"{SPECIFICATIONS}/openapi", f"{SPECIFICATIONS}/proto"
MESH_FOLDER, MESH_FILE = "envoy", "envoy/mesh.yaml"
SETTINGS_FILES = ("accepted-changes.yaml", "messages.yaml", "observability.yaml")
FOLDERS = ("openapi", "proto", "released")
DOCUMENTATION_SUFFIX = ".md"

_SPECIFICATION_SUFFIXES = (".yaml", ".yml", ".json", ".proto")
_OTHER_SPELLINGS = {".yaml": (".yml", ".yaml", ".json"), ".proto": (".proto", ".protobuf")}


def find_unread_files(
    root: Path, referenced: Collection[str] | None, compiled: Collection[str] | None
) -> Iterator[str]:
    """Yield an error for each file that is not read, although it is in a folder of the specifications.

    `referenced` are the OpenAPI files to which a contract refers, and `compiled` the protobuf files of the image, both
    relative to `root`; None if they are unknown, because of another error. Documentation and the files of editors and
    file managers are no specifications.
    """
    for path in sorted((root / SPECIFICATIONS).glob("*")):
        name = f"{SPECIFICATIONS}/{path.name}"
        if path.is_dir() and path.name not in FOLDERS:
            yield f"{name}: no generator reads this folder; move its files to {OPENAPI_FOLDER} or {PROTO_FOLDER}"
        elif path.is_file() and path.name not in SETTINGS_FILES and _is_specification(path):
            yield f"{name}: no generator reads this file; rename it to one of {', '.join(SETTINGS_FILES)}, or delete it"
    for path in _list_files(root, MESH_FOLDER):
        if path.as_posix() != MESH_FILE:
            yield f"{path}: no generator reads this file; move its content to {MESH_FILE}"
    for path in _list_files(root, OPENAPI_FOLDER):
        if path.suffix != ".yaml":
            yield f"{path}: only .yaml files are read; {_describe_remedy(path, OPENAPI_FOLDER, '.yaml')}"
        elif path.parent.as_posix() != OPENAPI_FOLDER and referenced is not None and path.as_posix() not in referenced:
            yield f"{path}: no contract refers to this file in a subfolder; move it to {OPENAPI_FOLDER}, or delete it"
    for path in _list_files(root, PROTO_FOLDER):
        if path.suffix != ".proto":
            yield f"{path}: only .proto files are compiled; {_describe_remedy(path, PROTO_FOLDER, '.proto')}"
        elif compiled is not None and path.as_posix() not in compiled:
            yield f"{path}: buf does not compile this file; correct the modules of buf.yaml"


def _describe_remedy(path: Path, folder: str, suffix: str) -> str:
    is_other_spelling = path.suffix.lower() in _OTHER_SPELLINGS[suffix]
    return f"rename the file to {path.stem}{suffix}" if is_other_spelling else f"move the file out of {folder}"


def _list_files(root: Path, folder: str) -> list[Path]:
    """Return the files below a folder that may be specifications, relative to `root`."""
    files = (path for path in (root / folder).rglob("*") if path.is_file() and _is_specification(path))
    return sorted(path.relative_to(root) for path in files)


def _is_specification(path: Path) -> bool:
    if path.name.startswith("."):
        return path.suffix.lower() in _SPECIFICATION_SUFFIXES
    return path.suffix != DOCUMENTATION_SUFFIX and not path.name.endswith("~")
