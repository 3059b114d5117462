"""Mutation test of the fuzz and error tests (`make test-fuzz-mutations`): they must find each injected defect."""

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from tests.mutation import Mutation, copy_repository

PORT_OFFSET = 6000
FUZZ_TESTS, ERROR_TESTS = "tests/fuzz/test_rest.py", "tests/e2e/test_common_errors.py"


@dataclass(frozen=True)
class FuzzMutation(Mutation):
    """A mutation, and the tests that must find it after code generation.

    Without tests, code generation itself must fail.
    """

    found_by: str = ""


MUTATIONS = (
    FuzzMutation("no mutation", found_by=f"{FUZZ_TESTS} {ERROR_TESTS}"),
    FuzzMutation(
        "the generator omits role checks, which its own lint must find",
        "codegen/envoy/authorization.py",
        {"    if not roles:\n": "    if True:\n"},
    ),
    FuzzMutation(
        "Envoy does not check roles",
        "deploy/render_bootstrap.py",
        {"substitute(values)": 'substitute(values).replace("regex: admin", "regex: .+")'},
        ERROR_TESTS,
    ),
    FuzzMutation(
        "an invalid page token has an undocumented response",
        "services/runtime/core/pagination.py",
        {"return ApiError(Reason.INVALID_REQUEST, errors": "return ApiError(Reason.PRECONDITION_FAILED, errors"},
        FUZZ_TESTS,
    ),
    FuzzMutation(
        "request bodies are not validated",
        "services/runtime/core/json_schema.py",
        {"not self._validator.is_valid(body)": "not isinstance(body, dict) and not self._validator.is_valid(body)"},
        FUZZ_TESTS,
    ),
    FuzzMutation(
        "an order is returned to any user with its id",
        "services/orders/domain/orders.py",
        {'return role == "admin" or user_id in (order.customer_id, order.deliverer_id)': "return True"},
        ERROR_TESTS,
    ),
)


def run_module(repository_dir: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a module of the copy, with a separate mesh."""
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


def find_failures(mutation: FuzzMutation, repository_dir: Path) -> list[str]:
    """Generate the code and run the tests. Return the lines that report failures, or nothing if all passed."""
    generation = run_module(repository_dir, "codegen", "generate")
    if generation.returncode or not mutation.found_by:
        return generation.stderr.splitlines()[-3:]
    try:
        tests = run_module(repository_dir, "pytest", "-q", "-p", "no:cacheprovider", *mutation.found_by.split())
    finally:
        run_module(repository_dir, "deploy.local", "down")
    if not tests.returncode:
        return []
    output = tests.stdout.splitlines()
    return [line for line in output if line.startswith(("FAILED", "ERROR", "- "))] or output[-3:]


def main() -> int:
    """Return 0 if the unmutated copy passes and each mutation is found."""
    console = Console(soft_wrap=True)
    unexpected_count = 0
    for mutation in MUTATIONS:
        console.print(f"{mutation.name} …", highlight=False)
        with tempfile.TemporaryDirectory(prefix="fuzz-mutation-") as folder:
            copy_repository(Path(folder))
            mutation.apply(Path(folder))
            failures = find_failures(mutation, Path(folder))
        is_expected = bool(failures) == bool(mutation.file)
        unexpected_count += not is_expected
        colour, verdict = "green" if is_expected else "red", "found" if failures else "no failures"
        console.print(f"  [{colour}]{verdict}[/]", highlight=False)
        console.print("\n".join(f"    {line[:160]}" for line in failures[:4]), highlight=False, markup=False)
    return 1 if unexpected_count else 0


if __name__ == "__main__":
    sys.exit(main())
