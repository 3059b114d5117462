"""Moves the last release to what the contracts say now, with a line in the changelog."""

import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

from codegen import asyncapi, contracts
from codegen.gates import OURS, RELEASED, GateError, openapi, protos
from codegen.protobuf import ProtoContracts, read_protos

CHANGELOG = Path("api-specs/CHANGELOG.md")
HEAD = "# Changes of the contracts\n\nWritten by `make contracts-release`, which asks the gates first. Versions are semantic.\n"
VERSION = re.compile(r"^(\d+)\.(\d+)\.(\d+)$")

type Numbers = tuple[int, int, int]


class RefusedError(Exception):
    """The release is not made, and nothing was written."""


def release(root: Path, wanted: str, note: str, *, breaking: bool) -> str:
    """Writes the release and answers its version: the wanted one, or the next that fits. Raises RefusedError."""
    if wanted and not VERSION.match(wanted):
        raise RefusedError(f"{wanted} is no version of the form X.Y.Z")
    file = root / RELEASED / "VERSION"
    last = _numbers(file.read_text().strip()) if file.exists() else None
    lines = [note] if note else []
    if last is None:
        version = wanted or contracts.load(root).openapi["delivery"]["info"]["version"]
        lines = lines or ["The first release."]
    else:
        changed = _changed(root)
        if not changed:
            raise RefusedError("nothing has changed since the last release")
        version = _next(last, wanted, breaking=breaking)
        lines += changed
    _write(root, version, lines)
    return version


def _next(last: Numbers, wanted: str, *, breaking: bool) -> str:
    if not wanted:
        if breaking:
            raise RefusedError(f"the contracts break the last release; ask for a major: VERSION={last[0] + 1}.0.0")
        return f"{last[0]}.{last[1] + 1}.0"
    asked = _numbers(wanted)
    if asked <= last:
        raise RefusedError(f"{wanted} does not come after {'.'.join(map(str, last))}")
    if breaking and asked[0] == last[0]:
        raise RefusedError(f"the contracts break the last release, and {wanted} is no major: VERSION={last[0] + 1}.0.0")
    return wanted


def _numbers(version: str) -> Numbers:
    major, minor, patch = version.split(".")
    return int(major), int(minor), int(patch)


def _changed(root: Path) -> list[str]:
    """What the changelog says by itself: counts of changes, and the names of what came and went."""
    impacts = [change["impact"] for change in openapi.changes(root)]
    rest = ", ".join(f"{impacts.count(each)} {each}" for each in ("major", "minor", "patch") if each in impacts)
    present = contracts.load(root).protos
    released = read_protos((root / protos.IMAGE).read_bytes(), present.pool)
    then, now = _names(released), _names(present)
    lines = [f"REST: {rest} changes."] if rest else []
    lines += [f"Added {name}." for name in sorted(now - then)]
    lines += [f"Removed {name}." for name in sorted(then - now)]
    if not lines and _bare(released) != _bare(present):
        lines.append("RPC or events: small changes.")
    return lines


def _names(source: ProtoContracts) -> set[str]:
    methods = {f"{service.full_name}/{method.name}" for service in source.services for method in service.methods}
    return methods | {f"the event {event.type}" for event in source.events}


def _bare(source: ProtoContracts) -> dict[str, bytes]:
    """Each file without its comments."""
    made = {}
    for file in source.descriptors.file:
        bare = type(file)()
        bare.CopyFrom(file)
        bare.ClearField("source_code_info")
        made[file.name] = bare.SerializeToString(deterministic=True)
    return made


def _write(root: Path, version: str, lines: list[str]) -> None:
    folder = root / RELEASED
    (folder / "openapi").mkdir(parents=True, exist_ok=True)
    for stem in OURS:
        file = root / openapi.SPECS / f"{stem}.yaml"
        text, count = re.subn(r"(?m)^  version: \S+$", f"  version: {version}", file.read_text(), count=1)
        if count != 1:
            raise GateError(f"{file} has no info.version of its own line")
        file.write_text(text)
        shutil.copyfile(file, folder / "openapi" / file.name)
    done = protos.buf(root, "build", "--as-file-descriptor-set", "--exclude-source-info", "-o", str(protos.IMAGE))
    if done.returncode:
        raise GateError(f"buf build did not run:\n{done.stderr.strip()}")
    (root / protos.ASYNCAPI).write_text(str(asyncapi.generate(contracts.load(root))["asyncapi/delivery.yaml"]))
    (folder / "VERSION").write_text(f"{version}\n")
    log = root / CHANGELOG
    before = log.read_text().removeprefix(HEAD) if log.exists() else ""
    entry = "".join(f"- {line}\n" for line in lines)
    log.write_text(f"{HEAD}\n## {version} – {datetime.now(UTC):%Y-%m-%d}\n\n{entry}{before}")
