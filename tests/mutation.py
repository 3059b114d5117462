"""Mutation testing: defects are injected into a copy of the repository to check that a test suite finds them."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from rich.console import Console

ROOT = Path(__file__).parents[1]
GENERATOR_FOLDER = "codegen/"
CONTRACT_ERROR_PREFIX = "contract: "
"""Prefix of the lines in which `python -m codegen` reports a ContractError."""
BROKEN_CODE_ERRORS = ("AttributeError", "ImportError", "ModuleNotFoundError", "NameError", "SyntaxError", "TypeError")
"""Errors of a mutation that does not run. They do not show that the test checks the behaviour."""


class InapplicableMutationError(Exception):
    """The source code has changed, so that the mutation must be adapted."""


@dataclass(frozen=True)
class Mutation:
    """Text replacements in one file. The unmutated copy, in which the tests must pass, has no file."""

    name: str
    file: str = ""
    replacements: Mapping[str, str] = field(default_factory=dict)

    def apply(self, repository_dir: Path) -> None:
        """Apply the replacements. Raises InapplicableMutationError unless each text occurs exactly once."""
        for old, new in self.replacements.items():
            text = (repository_dir / self.file).read_text(encoding="utf-8")
            if text.count(old) != 1:
                raise InapplicableMutationError(f"{self.file} contains {text.count(old)} times instead of once: {old}")
            (repository_dir / self.file).write_text(text.replace(old, new), encoding="utf-8")


@dataclass(frozen=True)
class DetectableMutation(Mutation):
    """A mutation, and the test that must fail, with a text that its output then contains.

    Without a test, the checks of code generation must find the defect.
    """

    found_by: str = ""
    reported_as: str = ""


def copy_repository(target_dir: Path) -> None:
    """Copy all tracked and all unignored files, and `generated/`, which has ignored files.

    `node_modules` is linked; the virtual environment is shared.
    """
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    for name in filter(None, listing.stdout.split("\0")):
        if (ROOT / name).is_file():
            (target_dir / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target_dir / name)
    shutil.copytree(
        ROOT / "generated", target_dir / "generated", ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True
    )
    (target_dir / "node_modules").symlink_to(ROOT / "node_modules")


@contextmanager
def mutated_copy(port_offset: int, *mutations: Mutation) -> Iterator[Path]:
    """Yield the folder of a copy of the repository with the mutations. Its servers are stopped at the end."""
    with tempfile.TemporaryDirectory(prefix="mutation-") as name:
        folder = Path(name)
        copy_repository(folder)
        for mutation in mutations:
            mutation.apply(folder)
        try:
            yield folder
        finally:
            if (folder / ".local").exists():
                run_module(folder, port_offset, "deploy.local", "down")


def run_module(repository_dir: Path, port_offset: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a module of a copy, with ports and a state folder of its own."""
    environment = {
        **os.environ,
        "COLUMNS": "300",  # pytest shortens the lines of its summary to this width
        "PYTHONPATH": str(repository_dir),
        "DELIVERY_STATE": str(repository_dir / ".local/mutation"),
        "PORT_OFFSET": str(port_offset),
    }
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(
        command, cwd=repository_dir, env=environment, check=False, capture_output=True, text=True, encoding="utf-8"
    )


def run_tests(repository_dir: Path, port_offset: int, tests: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run tests of a copy."""
    return run_module(repository_dir, port_offset, "pytest", "-q", "-p", "no:cacheprovider", *tests)


def find_failures(mutation: DetectableMutation, port_offset: int) -> list[str]:
    """Return the failures of the test in a mutated copy. An error of a fixture or of broken code is not a failure.

    After a mutation of a generator, the code is generated. If its own checks find the defect, these are the errors.
    An exception of the generator is not a failure.
    """
    with mutated_copy(port_offset, mutation) as folder:
        if mutation.file.startswith(GENERATOR_FOLDER):
            generation = run_module(folder, port_offset, "codegen", "generate")
            if generation.returncode:
                return find_contract_errors(generation.stderr)
        output = run_tests(folder, port_offset, [mutation.found_by]).stdout if mutation.found_by else ""
    return find_test_failures(output, mutation.found_by) if mutation.reported_as in output else []


def find_test_failures(output: str, test: str) -> list[str]:
    """Return the lines of the summary that report a failure of the test, unless the code is broken."""
    lines = find_lines(output.splitlines(), "FAILED", test)
    return [line for line in lines if not line.partition(" - ")[2].startswith(BROKEN_CODE_ERRORS)]


def find_contract_errors(stderr: str) -> list[str]:
    """Return the errors that the generator's own checks report."""
    return [line for line in stderr.splitlines() if line.startswith(CONTRACT_ERROR_PREFIX)]


def find_lines(summary: Sequence[str], outcome: str, test: str) -> list[str]:
    """Return the lines of pytest's summary that report the outcome for the test, or for the test with parameters."""
    prefix = f"{outcome} {test}"
    lines = [line for line in summary if line.startswith(prefix)]
    return [line for line in lines if line[len(prefix) :][:1] in ("", "[", " ")]


def run_mutations(mutations: Sequence[DetectableMutation], port_offset: int) -> int:
    """Return 0 if the tests pass in an unmutated copy, and find each mutation."""
    console = Console(soft_wrap=True, highlight=False)
    with mutated_copy(port_offset) as folder:
        baseline = run_tests(folder, port_offset, sorted({each.found_by for each in mutations if each.found_by}))
    console.print(f"no defect: {baseline.stdout.splitlines()[-1]}", markup=False)
    if baseline.returncode != pytest.ExitCode.OK:
        console.print(baseline.stdout[-5000:], markup=False)
        return 1
    missed = 0
    for mutation in mutations:
        failures = find_failures(mutation, port_offset)
        missed += not failures
        colour, verdict = ("green", "found") if failures else ("red", "not found")
        console.print(f"[{colour}]{verdict}[/] {mutation.name}")
        console.print("\n".join(f"    {line[:300]}" for line in failures[:2]), markup=False)
    console.print(f"{len(mutations) - missed} of {len(mutations)} defects found")
    return 1 if missed else 0
