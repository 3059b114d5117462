"""Checks of the OpenAPI files with redocly: lint rules and breaking changes since the last release."""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from codegen.checks import RELEASED_FOLDER, ContractCheckError, Finding
from codegen.rest import webhooks

SPECS_FOLDER = Path("api-specs/openapi")
ACCEPTED_CHANGES = Path("api-specs/accepted-changes.yaml")
REDOCLY_ENVIRONMENT = {
    "REDOCLY_TELEMETRY": "off",
    "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true",
    "REDOCLY_SUPPRESS_NOTIFICATIONS": "true",
}


class AcceptedChange(NamedTuple):
    """Breaking change that a minor version may contain: rule and end of redocly's message, and the reason."""

    rule: str
    change: str
    reason: str

    def matches(self, verdict: Mapping[str, Any]) -> bool:
        """Return whether a verdict of redocly is about this change."""
        rule, message = str(verdict["ruleId"]), str(verdict["message"])
        return rule == self.rule and message.endswith(f" {self.change}.")


def list_files(root: Path) -> list[str]:
    """Return the OpenAPI files and the generated document of webhooks, relative to `root`."""
    generated = (root / "generated/openapi").glob(f"{webhooks.STEM}.yaml")
    return sorted(str(path.relative_to(root)) for path in (*(root / SPECS_FOLDER).glob("*.yaml"), *generated))


def lint(root: Path) -> list[Finding]:
    """Lint all files with the rules of `redocly.yaml`."""
    files = list_files(root)
    reports = _run_redocly(root, "lint", "--max-problems=10000", *files)
    if len(reports) != len(files):
        raise ContractCheckError(f"redocly reported on {len(reports)} of {len(files)} files")
    unique: dict[Finding, None] = {}
    for problem in (problem for report in reports for problem in report["problems"]):
        location = problem["location"][0]
        file = f"{location['source']['ref']} {location.get('pointer', '')}".rstrip()
        unique[Finding(file, problem["message"].splitlines()[0], problem["ruleId"])] = None
    return list(unique)


def find_breaking_changes(root: Path) -> list[Finding]:
    """Return the changes that break clients of the last release."""
    return [
        Finding(f"{side['file']}:{side['line']}", verdict["message"], verdict["ruleId"])
        for change in list_changes(root)
        for verdict in change["verdicts"]
        if verdict["impact"] == "major"
        for side in [change.get("revision") or change["base"]]
    ]


def list_changes(root: Path) -> list[dict[str, Any]]:
    """Return all changes since the last release in redocly's form; a removed file is one change.

    Accepted changes have the impact of a minor version.
    """
    stems = sorted(path.stem for path in (root / RELEASED_FOLDER / "openapi").glob("*.yaml"))
    accepted = load_accepted_changes(root)
    with ThreadPoolExecutor(2) as pool:
        changes = [change for changes in pool.map(partial(_list_file_changes, root), stems) for change in changes]
    return [_accept(change, accepted) for change in changes]


def load_accepted_changes(root: Path) -> list[AcceptedChange]:
    """Return the entries of `api-specs/accepted-changes.yaml`; the list is empty without the file."""
    file = root / ACCEPTED_CHANGES
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    return [AcceptedChange(**entry) for entry in yaml.load(text, Loader=yaml.CSafeLoader) or ()]


def clear_accepted_changes(root: Path) -> None:
    """Delete the entries, which are released. The comments at the start of the file remain."""
    file = root / ACCEPTED_CHANGES
    if file.exists():
        lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
        file.write_text("".join(takewhile(lambda line: line.startswith("#"), lines)), encoding="utf-8")


def _accept(change: dict[str, Any], accepted: Sequence[AcceptedChange]) -> dict[str, Any]:
    verdicts = [
        verdict | {"impact": "minor"}
        if verdict["impact"] == "major" and any(each.matches(verdict) for each in accepted)
        else verdict
        for verdict in change["verdicts"]
    ]
    impacts = [verdict["impact"] for verdict in verdicts]
    is_accepted = change["impact"] == "major" and "major" not in impacts
    return change | {"verdicts": verdicts, "impact": "minor" if is_accepted else change["impact"]}


def _list_file_changes(root: Path, stem: str) -> list[dict[str, Any]]:
    base, revision = RELEASED_FOLDER / "openapi" / f"{stem}.yaml", SPECS_FOLDER / f"{stem}.yaml"
    if not (root / revision).exists():
        removal = {"ruleId": "file-removed", "impact": "major", "message": "The file was removed."}
        return [{"impact": "major", "verdicts": [removal], "revision": {"file": str(revision), "line": 1}}]
    if (root / base).read_bytes() == (root / revision).read_bytes():
        return []
    [report] = _run_redocly(root, "diff", "--fail-on=none", str(base), str(revision))
    changes: list[dict[str, Any]] = report["changes"]
    return changes


def _run_redocly(root: Path, command: str, *arguments: str) -> list[dict[str, Any]]:
    """Run redocly and return the JSON documents that it prints."""
    redocly = root / "node_modules/.bin/redocly"
    result = subprocess.run(
        [redocly, command, "--config=redocly.yaml", "--format=json", *arguments],
        cwd=root,
        env=os.environ | REDOCLY_ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
        encoding="utf-8",
    )
    reports = list(_parse_documents(result.stdout))
    if not reports or result.returncode not in (0, 1):
        raise ContractCheckError(f"redocly {command} failed:\n{result.stderr.strip()}")
    return reports


def _parse_documents(text: str) -> Iterator[dict[str, Any]]:
    decoder = json.JSONDecoder()
    while text := text.lstrip():
        try:
            document, end = decoder.raw_decode(text)
        except json.JSONDecodeError as error:
            raise ContractCheckError(f"redocly printed no JSON: {text[:200]}") from error
        yield document
        text = text[end:]
