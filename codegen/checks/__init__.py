"""The gates in front of the contracts: what they must keep to, and what a release has promised."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

RELEASED_FOLDER = Path("api-specs/released")
"""The last release, below the repository's root: `openapi/*.yaml`, `protos.binpb`, `asyncapi.yaml` and `VERSION`."""

OWN_SPECS = ("delivery", "partner-system", "payment-system")
"""The OpenAPI files that others build on; the rest describe what others have built."""

BREAKING_FIX_HINT = (
    "take the change back, or release it as a new major: make contracts-release VERSION=<next major>.0.0"
)


@dataclass(frozen=True)
class Finding:
    """One thing that a gate does not let through."""

    location: str
    """A file below the repository's root, with its line where there is one."""
    message: str
    rule: str


@dataclass(frozen=True)
class ContractCheck:
    """One gate. `look` gets the repository's root; it raises GateError if it cannot tell."""

    name: str
    run: Callable[[Path], list[Finding]]
    fix_hint: str

    def format_findings(self, findings: list[Finding]) -> str:
        """What is printed: the gate, each file with what is wrong there, and how to mend it."""
        lines = [f"{self.name}: {each.location}: {each.message} ({each.rule})" for each in findings]
        return "\n".join([*lines, f"{self.name}: mend it: {self.fix_hint}"])


class ContractCheckError(Exception):
    """A tool of a gate did not run; that is never a pass."""
