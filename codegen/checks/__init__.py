"""Checks of the contracts: lint rules, and compatibility with the last release."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

RELEASED_FOLDER = Path("api-specs/released")
"""The last release, relative to the repository: `openapi/*.yaml`, `protos.binpb`, `asyncapi.yaml` and `VERSION`."""

THIRD_PARTY_EXTENSION = "x-third-party"
"""True in an OpenAPI file that describes an API of a third party; the others are released."""

BREAKING_FIX_HINT = (
    "revert the change, or release it as a new major version: make contracts-release VERSION=<next major>.0.0"
)


@dataclass(frozen=True)
class Finding:
    """One violation that a check reports."""

    location: str
    """A file relative to the repository, with its line where there is one."""
    message: str
    rule: str


@dataclass(frozen=True)
class ContractCheck:
    """One check of the contracts.

    `run` receives the root of the repository and raises ContractCheckError if a tool fails.
    """

    name: str
    run: Callable[[Path], list[Finding]]
    fix_hint: str

    def format_findings(self, findings: list[Finding]) -> str:
        """Return the report: a line for each finding, and the fix hint."""
        lines = [f"{self.name}: {each.location}: {each.message} ({each.rule})" for each in findings]
        return "\n".join([*lines, f"{self.name}: fix: {self.fix_hint}"])


class ContractCheckError(Exception):
    """A tool of a check failed to run; the check counts as failed."""
