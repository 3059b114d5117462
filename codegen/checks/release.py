"""Release of the contracts: snapshot in `api-specs/released/` and changelog entry."""

import re
import shutil
import textwrap
from datetime import UTC, datetime
from pathlib import Path

from codegen import contracts
from codegen.checks import RELEASED_FOLDER, THIRD_PARTY_EXTENSION, ContractCheckError, openapi, protobuf
from codegen.events import asyncapi
from codegen.protobuf import ProtoContracts, parse_image

CHANGELOG = Path("api-specs/CHANGELOG.md")
CHANGELOG_HEADER = (
    "# Changelog of the contracts\n\n"
    "Written by `make contracts-release`, which runs the compatibility checks first.\n"
    "Versions follow semantic versioning.\n"
)
LINE_LENGTH = 100
"""Maximum length of a line of the changelog, as the language check requires."""
VERSION_PATTERN = re.compile(r"^(\d+)\.(\d+)\.(\d+)$")

type VersionNumbers = tuple[int, int, int]


class ReleaseError(Exception):
    """The release is not possible; nothing was written."""


def create_release(root: Path, requested_version: str, note: str, *, has_breaking_changes: bool) -> str:
    """Write the release and return its version: the requested version, or the next minor version.

    Raises ReleaseError.
    """
    if requested_version and not VERSION_PATTERN.match(requested_version):
        raise ReleaseError(f"{requested_version} is not a version of the form X.Y.Z")
    file = root / RELEASED_FOLDER / "VERSION"
    last = _parse_version(file.read_text(encoding="utf-8").strip()) if file.exists() else None
    lines = [note] if note else []
    if last is None:
        present = contracts.load(root)
        version = requested_version or present.openapi[present.name]["info"]["version"]
        lines = lines or ["First release."]
    else:
        changes = _render_changelog_lines(root)
        if not changes:
            raise ReleaseError("no changes since the last release")
        version = _compute_next_version(last, requested_version, has_breaking_changes=has_breaking_changes)
        lines += changes
    _write_release(root, version, lines)
    return version


def _compute_next_version(last: VersionNumbers, requested_version: str, *, has_breaking_changes: bool) -> str:
    if not requested_version:
        if has_breaking_changes:
            raise ReleaseError(
                f"breaking changes since the last release require a major version: VERSION={last[0] + 1}.0.0"
            )
        return f"{last[0]}.{last[1] + 1}.0"
    requested = _parse_version(requested_version)
    if requested <= last:
        raise ReleaseError(f"{requested_version} is not greater than {'.'.join(map(str, last))}")
    if has_breaking_changes and requested[0] == last[0]:
        raise ReleaseError(
            f"breaking changes require a major version, {requested_version} is not: VERSION={last[0] + 1}.0.0"
        )
    return requested_version


def _parse_version(version: str) -> VersionNumbers:
    major, minor, patch = version.split(".")
    return int(major), int(minor), int(patch)


def _render_changelog_lines(root: Path) -> list[str]:
    """Return the generated changelog lines: counts of changes, added and removed methods and events."""
    impacts = [change["impact"] for change in openapi.list_changes(root)]
    counts = ", ".join(f"{impacts.count(each)} {each}" for each in ("major", "minor", "patch") if each in impacts)
    present = contracts.load(root).protos
    released = parse_image((root / protobuf.RELEASED_IMAGE).read_bytes(), present.pool)
    old_names, new_names = _list_contract_names(released), _list_contract_names(present)
    lines = [f"REST: {counts} changes."] if counts else []
    lines += [f"Added {name}." for name in sorted(new_names - old_names)]
    lines += [f"Removed {name}." for name in sorted(old_names - new_names)]
    if not lines and _serialize_files_without_comments(released) != _serialize_files_without_comments(present):
        lines.append("RPC or events: minor changes.")
    return lines


def _list_contract_names(source: ProtoContracts) -> set[str]:
    methods = {f"{service.full_name}/{method.name}" for service in source.services for method in service.methods}
    return methods | {f"the event {event.type}" for event in source.events}


def _serialize_files_without_comments(source: ProtoContracts) -> dict[str, bytes]:
    """Return the serialized files without comments."""
    files = {}
    for file in source.descriptors.file:
        bare = type(file)()
        bare.CopyFrom(file)
        bare.ClearField("source_code_info")
        files[file.name] = bare.SerializeToString(deterministic=True)
    return files


def _write_release(root: Path, version: str, lines: list[str]) -> None:
    folder = root / RELEASED_FOLDER
    (folder / "openapi").mkdir(parents=True, exist_ok=True)
    for stem, document in contracts.load(root).openapi.items():
        if document.get(THIRD_PARTY_EXTENSION):
            continue
        file = root / openapi.SPECS_FOLDER / f"{stem}.yaml"
        text, count = re.subn(
            r"(?m)^  version: \S+$", f"  version: {version}", file.read_text(encoding="utf-8"), count=1
        )
        if count != 1:
            raise ContractCheckError(f"{file} has no line with info.version")
        file.write_text(text, encoding="utf-8")
        shutil.copyfile(file, folder / "openapi" / file.name)
    result = protobuf.run_buf(
        root, "build", "--as-file-descriptor-set", "--exclude-source-info", "-o", str(protobuf.RELEASED_IMAGE)
    )
    if result.returncode:
        raise ContractCheckError(f"buf build failed:\n{result.stderr.strip()}")
    (root / protobuf.RELEASED_ASYNCAPI).write_text(asyncapi.render_document(contracts.load(root)), encoding="utf-8")
    openapi.clear_accepted_changes(root)
    (folder / "VERSION").write_text(f"{version}\n", encoding="utf-8")
    changelog = root / CHANGELOG
    previous = changelog.read_text(encoding="utf-8").removeprefix(CHANGELOG_HEADER) if changelog.exists() else ""
    entry = "".join(
        f"{textwrap.fill(line, LINE_LENGTH, initial_indent='- ', subsequent_indent='  ', break_on_hyphens=False)}\n"
        for line in lines
    )
    changelog.write_text(
        f"{CHANGELOG_HEADER}\n## {version} – {datetime.now(UTC):%Y-%m-%d}\n\n{entry}{previous}", encoding="utf-8"
    )
