"""Lint of the OpenAPI files with Spectral: its own rules for OpenAPI and the OWASP ruleset."""

import json
import subprocess
from pathlib import Path

from codegen.checks import ContractCheckError, Finding
from codegen.checks.openapi import list_files

RULESET = ".spectral.yaml"
FINDINGS_EXIT_CODE = 1


def lint(root: Path) -> list[Finding]:
    """Lint all files with the rules of `.spectral.yaml`. Findings of every severity are reported."""
    result = subprocess.run(
        [
            root / "node_modules/.bin/spectral",
            "lint",
            f"--ruleset={RULESET}",
            "--format=json",
            "--fail-severity=hint",
            "--quiet",
            *list_files(root),
        ],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
        encoding="utf-8",
    )
    if result.returncode not in (0, FINDINGS_EXIT_CODE):
        raise ContractCheckError(f"spectral failed:\n{result.stderr.strip()}")
    return [
        Finding(
            f"{Path(each['source']).relative_to(root.resolve())}:{each['range']['start']['line'] + 1}",
            each["message"],
            each["code"],
        )
        for each in json.loads(result.stdout)
    ]
