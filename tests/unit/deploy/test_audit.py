"""Reports of pip-audit and npm, and the exit code of the audit."""

import json

import pytest

from deploy import audit
from deploy.audit import AuditReport

NO_FINDING = AuditReport(())
VULNERABLE = AuditReport(("pillow 1.0: PYSEC-1, fixed in 1.1",))
INCOMPLETE = AuditReport((), "the advisories of PyPI are not reachable")


def test_vulnerability_of_python_package_is_reported_with_its_fix() -> None:
    output = json.dumps(
        {
            "dependencies": [
                {"name": "pillow", "version": "1.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1", "2.0"]}]},
                {"name": "httpx", "version": "1.0", "vulns": [{"id": "PYSEC-2", "fix_versions": []}]},
                {"name": "urllib3", "version": "2.0", "vulns": []},
            ]
        }
    )
    assert audit.parse_pip_audit(output) == AuditReport(
        ("pillow 1.0: PYSEC-1, fixed in 1.1, 2.0", "httpx 1.0: PYSEC-2, fixed in no version")
    )


def test_skipped_packages_make_the_audit_incomplete() -> None:
    output = json.dumps({"dependencies": [{"name": "a", "skip_reason": "not found"}, {"name": "b", "vulns": []}]})
    assert audit.parse_pip_audit(output) == AuditReport((), "PyPI has no advisories for 1 of 2 packages")


@pytest.mark.parametrize("output", ["", "\n"])
def test_pip_audit_without_output_is_incomplete(output: str) -> None:
    assert audit.parse_pip_audit(output) == INCOMPLETE


def test_vulnerability_of_node_package_is_reported_with_its_severity() -> None:
    vulnerabilities = {"ws": {"range": "<8.17.1", "severity": "high"}}
    output = json.dumps({"auditReportVersion": 2, "vulnerabilities": vulnerabilities})
    assert audit.parse_npm_audit(output) == AuditReport(("ws <8.17.1: high",))


@pytest.mark.parametrize("output", ["", '{"message": "405 Method Not Allowed", "error": {}}'])
def test_npm_audit_without_advisories_is_incomplete(output: str) -> None:
    assert audit.parse_npm_audit(output).failure == "the advisories of the npm registry are not reachable"


@pytest.mark.parametrize(
    ("report", "options", "exit_code"),
    [
        (NO_FINDING, ["--required"], 0),
        (VULNERABLE, [], 1),
        (INCOMPLETE, [], 0),
        (INCOMPLETE, ["--required"], 1),
    ],
)
def test_exit_code_depends_on_vulnerabilities_and_required_sources(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    report: AuditReport,
    options: list[str],
    exit_code: int,
) -> None:
    monkeypatch.setattr(audit, "run_audits", lambda root: [("services.txt", report)])
    monkeypatch.setattr("sys.argv", ["audit", *options])
    assert audit.main() == exit_code
    lines = [*report.vulnerabilities, *filter(None, [report.failure])] or ["no known vulnerabilities"]
    assert capsys.readouterr().out.splitlines() == [f"services.txt: {line}" for line in lines]
