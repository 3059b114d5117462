"""Moves the last release to what the contracts say now, with a line in the changelog."""

import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

from codegen import contracts
from codegen.checks import OWN_SPECS, RELEASED_FOLDER, ContractCheckError, openapi, protobuf
from codegen.events import asyncapi
from codegen.protobuf import ProtoContracts, parse_image

CHANGELOG = Path("api-specs/CHANGELOG.md")
CHANGELOG_HEADER = "# Changes of the contracts\n\nWritten by `make contracts-release`, which asks the gates first. Versions are semantic.\n"
VERSION_PATTERN = re.compile(r"^(\d+)\.(\d+)\.(\d+)$")

type VersionNumbers = tuple[int, int, int]


class ReleaseError(Exception):
    """The release is not made, and nothing was written."""


def create_release(root: Path, requested_version: str, note: str, *, has_breaking_changes: bool) -> str:
    """Writes the release and answers its version: the wanted one, or the next that fits. Raises RefusedError."""
    if requested_version and not VERSION_PATTERN.match(requested_version):
        raise ReleaseError(f"{requested_version} is no version of the form X.Y.Z")
    file = root / RELEASED_FOLDER / "VERSION"
    last = _parse_version(file.read_text().strip()) if file.exists() else None
    lines = [note] if note else []
    if last is None:
        version = requested_version or contracts.load(root).openapi["delivery"]["info"]["version"]
        lines = lines or ["The first release."]
    else:
        changed = _changelog_lines(root)
        if not changed:
            raise ReleaseError("nothing has changed since the last release")
        version = _next_version(last, requested_version, has_breaking_changes=has_breaking_changes)
        lines += changed
    _write_release(root, version, lines)
    return version


def _next_version(last: VersionNumbers, requested_version: str, *, has_breaking_changes: bool) -> str:
    if not requested_version:
        if has_breaking_changes:
            raise ReleaseError(f"the contracts break the last release; ask for a major: VERSION={last[0] + 1}.0.0")
        return f"{last[0]}.{last[1] + 1}.0"
    asked = _parse_version(requested_version)
    if asked <= last:
        raise ReleaseError(f"{requested_version} does not come after {'.'.join(map(str, last))}")
    if has_breaking_changes and asked[0] == last[0]:
        raise ReleaseError(
            f"the contracts break the last release, and {requested_version} is no major: VERSION={last[0] + 1}.0.0"
        )
    return requested_version


def _parse_version(version: str) -> VersionNumbers:
    major, minor, patch = version.split(".")
    return int(major), int(minor), int(patch)


def _changelog_lines(root: Path) -> list[str]:
    """What the changelog says by itself: counts of changes, and the names of what came and went."""
    impacts = [change["impact"] for change in openapi.list_changes(root)]
    rest = ", ".join(f"{impacts.count(each)} {each}" for each in ("major", "minor", "patch") if each in impacts)
    present = contracts.load(root).protos
    released = parse_image((root / protobuf.RELEASED_IMAGE).read_bytes(), present.pool)
    then, now = _contract_names(released), _contract_names(present)
    lines = [f"REST: {rest} changes."] if rest else []
    lines += [f"Added {name}." for name in sorted(now - then)]
    lines += [f"Removed {name}." for name in sorted(then - now)]
    if not lines and _files_without_comments(released) != _files_without_comments(present):
        lines.append("RPC or events: small changes.")
    return lines


def _contract_names(source: ProtoContracts) -> set[str]:
    methods = {f"{service.full_name}/{method.name}" for service in source.services for method in service.methods}
    return methods | {f"the event {event.type}" for event in source.events}


def _files_without_comments(source: ProtoContracts) -> dict[str, bytes]:
    """Each file without its comments."""
    made = {}
    for file in source.descriptors.file:
        bare = type(file)()
        bare.CopyFrom(file)
        bare.ClearField("source_code_info")
        made[file.name] = bare.SerializeToString(deterministic=True)
    return made


def _write_release(root: Path, version: str, lines: list[str]) -> None:
    folder = root / RELEASED_FOLDER
    (folder / "openapi").mkdir(parents=True, exist_ok=True)
    for stem in OWN_SPECS:
        file = root / openapi.SPECS_FOLDER / f"{stem}.yaml"
        text, count = re.subn(r"(?m)^  version: \S+$", f"  version: {version}", file.read_text(), count=1)
        if count != 1:
            raise ContractCheckError(f"{file} has no info.version of its own line")
        file.write_text(text)
        shutil.copyfile(file, folder / "openapi" / file.name)
    done = protobuf.run_buf(
        root, "build", "--as-file-descriptor-set", "--exclude-source-info", "-o", str(protobuf.RELEASED_IMAGE)
    )
    if done.returncode:
        raise ContractCheckError(f"buf build did not run:\n{done.stderr.strip()}")
    (root / protobuf.RELEASED_ASYNCAPI).write_text(
        str(asyncapi.generate(contracts.load(root))["asyncapi/delivery.yaml"])
    )
    (folder / "VERSION").write_text(f"{version}\n")
    log = root / CHANGELOG
    before = log.read_text().removeprefix(CHANGELOG_HEADER) if log.exists() else ""
    entry = "".join(f"- {line}\n" for line in lines)
    log.write_text(f"{CHANGELOG_HEADER}\n## {version} – {datetime.now(UTC):%Y-%m-%d}\n\n{entry}{before}")
