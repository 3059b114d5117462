"""Mutation test of the measures against hostile clients and overload (`make test-security-mutations`).

Each defect of tests/security/injected_defects.yaml is injected into a copy of the repository, in which the test that is
named beside it must fail, or code generation. In an unmutated copy all these tests must pass. Tests with servers use
their own.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from tests.mutation import Mutation, copy_repository

DEFECTS = Path(__file__).with_name("injected_defects.yaml")
PORT_OFFSET = 11000
GENERATOR_FOLDER = "codegen/"
CONTRACT_ERROR_PREFIX = "contract: "
"""Prefix of the lines in which `python -m codegen` reports a ContractError."""


@dataclass(frozen=True)
class SecurityMutation(Mutation):
    """A mutation, the measure that it removes, and the test that must fail."""

    subject: str = ""
    found_by: str = ""


def load_mutations() -> list[SecurityMutation]:
    """Return the mutations of all injected defects."""
    subjects = yaml.load(DEFECTS.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    return [
        SecurityMutation(each["defect"], each["file"], {each["old"]: each["new"]}, subject, each["test"])
        for subject, defects in subjects.items()
        for each in defects
    ]


MUTATIONS = load_mutations()


@contextmanager
def copied_repository(*mutations: SecurityMutation) -> Iterator[Path]:
    """Yield the folder of a mutated copy. Its servers are stopped at the end."""
    with tempfile.TemporaryDirectory(prefix="security-mutation-") as folder:
        copy_repository(Path(folder))
        for mutation in mutations:
            mutation.apply(Path(folder))
        yield Path(folder)
        if (Path(folder) / ".local").exists():
            run_module(Path(folder), "deploy.local", "down")


def run_module(repository_dir: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a module of the copy, with ports and a state folder of its own."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(repository_dir),
        "DELIVERY_STATE": str(repository_dir / ".local/mutation"),
        "PORT_OFFSET": str(PORT_OFFSET),
    }
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(
        command, cwd=repository_dir, env=environment, check=False, capture_output=True, text=True, encoding="utf-8"
    )


def run_tests(repository_dir: Path, tests: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run tests of the copy."""
    return run_module(repository_dir, "pytest", "-q", "-p", "no:cacheprovider", *tests)


def find_failures(mutation: SecurityMutation) -> list[str]:
    """Return the failures of the test in the mutated copy. An error of a fixture is not a failure.

    After a mutation of a generator, the code is generated. If its own checks find the defect, these are the errors.
    An exception of the generator is not a failure.
    """
    with copied_repository(mutation) as folder:
        if mutation.file.startswith(GENERATOR_FOLDER):
            generation = run_module(folder, "codegen", "generate")
            if generation.returncode:
                return find_contract_errors(generation.stderr)
        output = run_tests(folder, [mutation.found_by]).stdout
    return find_failed_tests(output, mutation.found_by)


def find_contract_errors(stderr: str) -> list[str]:
    """Return the errors that the generator's own checks report."""
    return [line for line in stderr.splitlines() if line.startswith(CONTRACT_ERROR_PREFIX)]


def find_failed_tests(stdout: str, test: str) -> list[str]:
    """Return the lines of the summary that report a failure of the test, or of the test with parameters."""
    prefix = f"FAILED {test}"
    lines = [line for line in stdout.splitlines() if line.startswith(prefix)]
    return [line for line in lines if line[len(prefix) :][:1] in ("", "[", " ")]


def main(words: Sequence[str]) -> int:
    """Return 0 if the tests pass in the unmutated copy and find each defect.

    Words select the defects whose subject and name contain all of them.
    """
    console = Console(soft_wrap=True, highlight=False)
    selected = [each for each in MUTATIONS if all(word in f"{each.subject} {each.name}" for word in words)]
    with copied_repository() as folder:
        baseline = run_tests(folder, sorted({mutation.found_by for mutation in selected}))
    console.print(f"no defect: {baseline.stdout.splitlines()[-1]}", markup=False)
    if baseline.returncode != pytest.ExitCode.OK:
        console.print(baseline.stdout[-5000:], markup=False)
        return 1
    missed = 0
    for mutation in selected:
        failures = find_failures(mutation)
        missed += not failures
        colour, verdict = ("green", "found") if failures else ("red", "not found")
        console.print(f"[{colour}]{verdict}[/] {mutation.subject}: {mutation.name}")
        console.print("\n".join(f"    {line[:160]}" for line in failures[:2]), markup=False)
    console.print(f"{len(selected) - missed} of {len(selected)} defects found")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
