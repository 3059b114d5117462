"""`make fuzz-proof`: that tests find what they are there to find, shown with defects planted one at a time."""

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from tests.mutation import Mutation, copy_repository

OFFSET = 6000
FUZZ, REFUSALS = "tests/fuzz/test_rest.py", "tests/e2e/test_common_errors.py"


@dataclass(frozen=True)
class Planted(Mutation):
    """A defect, and the tests that must find it once everything is generated anew; none when generating must fail."""

    found_by: str = ""


PLANTED = (
    Planted("nothing", found_by=f"{FUZZ} {REFUSALS}"),
    Planted(
        "the generator drops role checks, its own lint looks on",
        "codegen/envoy/authorization.py",
        {"    if not roles:\n": "    if True:\n"},
    ),
    Planted(
        "Envoy drops role checks",
        "deploy/render_bootstrap.py",
        {'f"{name}.yaml").read_text()': 'f"{name}.yaml").read_text().replace("regex: admin", "regex: .+")'},
        REFUSALS,
    ),
    Planted(
        "a page token that is none of ours has an undocumented answer",
        "services/runtime/core/pagination.py",
        {"raise ApiError(Reason.INVALID_REQUEST, errors": "raise ApiError(Reason.PRECONDITION_FAILED, errors"},
        FUZZ,
    ),
    Planted(
        "bodies are not held to their bounds",
        "services/runtime/rest/request_body.py",
        {
            "if not self._validator.is_valid(body):": (
                "if not isinstance(body, dict) and not self._validator.is_valid(body):"
            )
        },
        FUZZ,
    ),
    Planted(
        "an order is shown to whoever knows its id",
        "services/orders/domain/orders.py",
        {'return role == "admin" or user_id in (order.customer_id, order.deliverer_id)': "return True"},
        REFUSALS,
    ),
)


def told(where: Path) -> dict[str, str]:
    """The environment of the copy, with a mesh of its own."""
    own = {"PYTHONPATH": str(where), "DELIVERY_STATE": str(where / ".local/proof"), "PORT_OFFSET": str(OFFSET)}
    return {**os.environ, **own}


def run(where: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a module of the copy."""
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, cwd=where, env=told(where), check=False, capture_output=True, text=True)


def found(defect: Planted, where: Path) -> list[str]:
    """What was said of the defect; nothing when it passed."""
    made = run(where, "codegen", "generate")
    if made.returncode or not defect.found_by:
        return made.stderr.splitlines()[-3:]
    try:
        done = run(where, "pytest", "-q", "-p", "no:cacheprovider", *defect.found_by.split())
    finally:
        run(where, "deploy.local", "down")
    said = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR", "- "))]
    return said or done.stdout.splitlines()[-3:] if done.returncode else []


def main() -> int:
    """0 when each defect is found, and nothing in the copy without any."""
    console = Console(soft_wrap=True)
    wrong = 0
    for defect in PLANTED:
        console.print(f"{defect.name} …", highlight=False)
        with tempfile.TemporaryDirectory(prefix="fuzz-proof-") as folder:
            copy_repository(Path(folder))
            defect.apply(Path(folder))
            said = found(defect, Path(folder))
        good = bool(said) == bool(defect.file)
        wrong += not good
        console.print(f"  [{'green' if good else 'red'}]{'found' if said else 'nothing found'}[/]", highlight=False)
        console.print("\n".join(f"    {line[:160]}" for line in said[:4]), highlight=False, markup=False)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
