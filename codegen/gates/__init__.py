"""The gates in front of the contracts: what they must keep to, and what a release has promised."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

RELEASED = Path("api-specs/released")
"""The last release, below the repository's root: `openapi/*.yaml`, `protos.binpb`, `asyncapi.yaml` and `VERSION`."""

OURS = ("delivery", "partner-system", "payment-system")
"""The OpenAPI files that others build on; the rest describe what others have built."""

KEEP = "take the change back, or release it as a new major: make contracts-release VERSION=<next major>.0.0"


@dataclass(frozen=True)
class Finding:
    """One thing that a gate does not let through."""

    where: str
    """A file below the repository's root, with its line where there is one."""
    what: str
    rule: str


@dataclass(frozen=True)
class Gate:
    """One gate. `look` gets the repository's root; it raises GateError if it cannot tell."""

    name: str
    look: Callable[[Path], list[Finding]]
    mend: str

    def message(self, findings: list[Finding]) -> str:
        """What is printed: the gate, each file with what is wrong there, and how to mend it."""
        lines = [f"{self.name}: {each.where}: {each.what} ({each.rule})" for each in findings]
        return "\n".join([*lines, f"{self.name}: mend it: {self.mend}"])


class GateError(Exception):
    """A tool of a gate did not run; that is never a pass."""
