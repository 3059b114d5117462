"""Creation and deletion of the files and edits of a service."""

import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from string import Template

import msgspec

from codegen.contracts import OPENAPI_FOLDER, ContractError
from codegen.mesh import MESH_FILE, load_mesh
from codegen.proto_rules.locations import PROTO_FOLDER
from codegen.scaffold.edits import Edit, load_edits
from codegen.scaffold.service_names import NAME_PATTERN, find_name_error

TEMPLATES = Path(__file__).parent / "templates"
TEMPLATE_SUFFIX = ".tmpl"
NAME_PART = "__name__"
"""Part of the path of a template that stands for the name of the service."""

OWN_FOLDERS = ("services", "migrations", "tests/unit")
"""Folders with a folder of each service, besides that of the protobuf packages."""

PORTS = {"admin_port": "ADMIN_PORT", "ingress_port": "INGRESS_PORT", "probe_port": "PROBE_PORT"}
MIN_CALLER_NUMBER = 16
"""Lower numbers are free for external callers, as in docs/call-a-service.md."""


def create_service(root: Path, name: str) -> list[str]:
    """Write the files of a service and edit those that name every service. Return their paths.

    Raises ContractError for an invalid name, or if a place of an edit does not exist; nothing is written then.
    """
    if error := find_name_error(name, root):
        raise ContractError(error)
    values = _build_values(name, _compute_numbers(root))
    contents = render_files(values)
    for edit in render_edits(values):
        contents[edit.file] = edit.insert(contents.get(edit.file) or _read(root, edit.file))
    for path, text in contents.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    return sorted(contents)


def delete_service(root: Path, name: str) -> list[str]:
    """Delete the files and folders of a service and undo the edits. Return the changed paths.

    Raises ContractError if the service does not exist, an edited place has changed, or other lines of the contracts
    name the service; nothing is deleted then.
    """
    if not NAME_PATTERN.fullmatch(name) or not (root / "services" / name / "app.py").is_file():
        raise ContractError(f"the service {name} does not exist")
    values = _build_values(name, _read_numbers(root, name))
    contents: dict[str, str] = {}
    for edit in reversed(render_edits(values)):
        contents[edit.file] = edit.remove(contents.get(edit.file) or _read(root, edit.file))
    if places := [*_find_other_references(root, values)]:
        raise ContractError(f"the service {name} is also named in {', '.join(places)}: remove these lines first")
    files = [path for path in render_files(values) if (root / path).is_file()]
    for path, text in contents.items():
        (root / path).write_text(text, encoding="utf-8")
    for path in files:
        (root / path).unlink()
    for folder in (*OWN_FOLDERS, _get_proto_folder(root)):
        shutil.rmtree(root / folder / name, ignore_errors=True)
    return sorted({*contents, *files})


def render_files(values: Mapping[str, str]) -> dict[str, str]:
    """Return the rendered templates by path."""
    return {
        path.relative_to(TEMPLATES)
        .as_posix()
        .replace(NAME_PART, values["name"])
        .removesuffix(TEMPLATE_SUFFIX): Template(path.read_text(encoding="utf-8")).substitute(values)
        for path in sorted(TEMPLATES.rglob(f"*{TEMPLATE_SUFFIX}"))
    }


def render_edits(values: Mapping[str, str]) -> list[Edit]:
    """Return the edits with the text for a service."""
    return [
        msgspec.structs.replace(edit, text=Template(edit.text).substitute(values))
        for edit in load_edits(TEMPLATES / "edits.yaml")
    ]


def _build_values(name: str, numbers: Mapping[str, int]) -> dict[str, str]:
    values = {"name": name, "Name": name.capitalize(), "NAME": name.upper()}
    return values | {key: str(number) for key, number in numbers.items()}


def _find_other_references(root: Path, values: Mapping[str, str]) -> Iterator[str]:
    """Yield the places of the contracts, other than scaffolded lines and the own package, that name a service."""
    name, mesh, own_folder = values["name"], load_mesh(root)["name"], root / _get_proto_folder(root) / values["name"]
    pattern = re.compile(
        rf"\b{mesh}[./]{name}[./]v\d"  # the package or one of its files
        rf"|\btags: *\[[^]]*\b{name}\b|^ *- *{name}$"  # the tag
        rf"|\bCALLER_{values['NAME']}\b"
        rf'|"{name}\.\w+"'  # a queue
        rf"|^  {name}: *\{{"  # connections of the sidecar
    )
    paths = [path for folder in (OPENAPI_FOLDER, PROTO_FOLDER) for path in (root / folder).rglob("*") if path.is_file()]
    edits = render_edits(values)
    for path in (*sorted(paths), root / MESH_FILE):
        if path.is_relative_to(own_folder):
            continue
        file = path.relative_to(root).as_posix()
        text = _read(root, file)
        for edit in reversed([each for each in edits if each.file == file]):
            text = edit.remove(text, keep_lines=True)
        yield from (f"{file}:{number}" for number, line in enumerate(text.splitlines(), 1) if pattern.search(line))


def _read(root: Path, file: str) -> str:
    return (root / file).read_text(encoding="utf-8")


def _get_proto_folder(root: Path) -> str:
    """Return the folder of the protobuf packages."""
    return f"{PROTO_FOLDER}/{load_mesh(root)['name']}"


def _compute_numbers(root: Path) -> dict[str, int]:
    """Return the next free ports and the number of the caller."""
    mesh, options = _read(root, MESH_FILE), _read(root, f"{_get_proto_folder(root)}/options/v1/options.proto")
    used = {int(port) for port in re.findall(r"_PORT: \{\w+: (\d+)", mesh)}
    numbers: dict[str, int] = {}
    for key, suffix in PORTS.items():
        port = max(int(each) for each in re.findall(rf"_{suffix}: \{{default: (\d+)", mesh)) + 1
        while port in used:
            port += 1
        numbers[key] = port
    callers = [int(number) for number in re.findall(r"CALLER_\w+ = (\d+);", options)]
    return numbers | {"caller_number": max(MIN_CALLER_NUMBER, *(number + 1 for number in callers))}


def _read_numbers(root: Path, name: str) -> dict[str, int]:
    """Return the ports and the number of the caller of an existing service."""
    mesh, options = _read(root, MESH_FILE), _read(root, f"{_get_proto_folder(root)}/options/v1/options.proto")
    found = {
        key: re.search(rf"\b{name.upper()}_{suffix}: \{{default: (\d+)", mesh) for key, suffix in PORTS.items()
    } | {"caller_number": re.search(rf"CALLER_{name.upper()} = (\d+);", options)}
    if missing := [key for key, match in found.items() if match is None]:
        raise ContractError(f"the service {name} is not as scaffolded: it has no {missing[0]}; remove it by hand")
    return {key: int(match[1]) for key, match in found.items() if match is not None}
