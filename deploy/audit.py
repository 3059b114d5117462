"""`python -m deploy.audit [--required]`: compare the pinned packages with the known vulnerabilities.

pip-audit queries PyPI's advisories for each requirements file, npm those of the npm registry. Mirrors often have none:
the command names a source that is not reachable, and succeeds unless the sources are required.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.local.mesh_config import ROOT

NODE_LOCK_FILES = ("package-lock.json", "deploy/mock/package-lock.json")
PIP_AUDIT_OPTIONS = ("--require-hashes", "--disable-pip", "--progress-spinner=off", "--format=json")


@dataclass(frozen=True)
class AuditReport:
    """Result of an audit: the vulnerabilities, and why the audit is incomplete; empty if it is complete."""

    vulnerabilities: tuple[str, ...]
    failure: str = ""


def parse_pip_audit(output: str) -> AuditReport:
    """Return the report of pip-audit's output, which is empty if the advisory source is not reachable."""
    if not output.strip():
        return AuditReport((), "the advisories of PyPI are not reachable")
    dependencies: list[dict[str, Any]] = json.loads(output)["dependencies"]
    skipped = [each["name"] for each in dependencies if "skip_reason" in each]
    failure = f"PyPI has no advisories for {len(skipped)} of {len(dependencies)} packages" if skipped else ""
    vulnerabilities = (
        f"{each['name']} {each['version']}: {vulnerability['id']}, "
        f"fixed in {_format_versions(vulnerability['fix_versions'])}"
        for each in dependencies
        for vulnerability in each.get("vulns", ())
    )
    return AuditReport(tuple(vulnerabilities), failure)


def parse_npm_audit(output: str) -> AuditReport:
    """Return the report of npm's output, which is empty or an error if the advisory source is not reachable."""
    report: dict[str, Any] = json.loads(output or "{}")
    if "auditReportVersion" not in report:
        return AuditReport((), "the advisories of the npm registry are not reachable")
    vulnerabilities = (
        f"{name} {each['range']}: {each['severity']}" for name, each in report["vulnerabilities"].items()
    )
    return AuditReport(tuple(vulnerabilities))


def run_audits(root: Path) -> Iterator[tuple[str, AuditReport]]:
    """Yield the file and the report of each audit."""
    pip_audit = Path(sys.executable).with_name("pip-audit")
    for path in sorted((root / "requirements").glob("*.txt")):
        yield path.name, parse_pip_audit(_read_output(root, str(pip_audit), *PIP_AUDIT_OPTIONS, "-r", str(path)))
    for name in NODE_LOCK_FILES:
        yield name, parse_npm_audit(_read_output((root / name).parent, "npm", "audit", "--json"))


def print_reports(reports: Iterable[tuple[str, AuditReport]]) -> tuple[int, int]:
    """Print the reports. Return the numbers of vulnerabilities and of incomplete audits."""
    vulnerabilities = failures = 0
    for name, report in reports:
        failures += bool(report.failure)
        vulnerabilities += len(report.vulnerabilities)
        state = report.failure or ("no known vulnerabilities" if not report.vulnerabilities else "")
        print(*(f"{name}: {line}" for line in (*report.vulnerabilities, state) if line), sep="\n")
    return vulnerabilities, failures


def _format_versions(versions: Iterable[str]) -> str:
    return ", ".join(versions) or "no version"


def _read_output(root: Path, *command: str) -> str:
    return subprocess.run(command, cwd=root, check=False, capture_output=True, text=True, encoding="utf-8").stdout


def main() -> int:
    """Run the audits. Return 1 if there are vulnerabilities, or if a required audit is incomplete."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--required", action="store_true", help="fail if an advisory source is not reachable")
    arguments = parser.parse_args()
    vulnerabilities, failures = print_reports(run_audits(ROOT))
    return 1 if vulnerabilities or (failures and arguments.required) else 0


if __name__ == "__main__":
    sys.exit(main())
