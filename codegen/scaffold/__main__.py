"""`python -m codegen.scaffold create|delete NAME`: add a running service to the repository, or remove it."""

import argparse
import shlex
import subprocess
import sys
from pathlib import Path

from codegen.contracts import ContractError
from codegen.scaffold.service import create_service, delete_service

ROOT = Path(__file__).parents[2]


def format_files(paths: list[str]) -> None:
    """Sort the imports and format the Python files among the paths."""
    modules = [path for path in paths if path.endswith(".py") and (ROOT / path).is_file()]
    subprocess.run(["ruff", "check", "--quiet", "--fix-only", "--select=I", *modules], cwd=ROOT, check=True)
    subprocess.run(["ruff", "format", "--quiet", *modules], cwd=ROOT, check=True)


def main() -> None:
    """Create or delete the service and regenerate what is derived. Exits the process with an error in one sentence."""
    parser = argparse.ArgumentParser(prog="codegen.scaffold")
    parser.add_argument("command", choices=("create", "delete"))
    parser.add_argument("name")
    arguments = parser.parse_args()
    change = create_service if arguments.command == "create" else delete_service
    try:
        paths = change(ROOT, arguments.name)
    except ContractError as error:
        sys.exit(str(error))
    try:
        for module in (["codegen", "generate"], ["codegen.artefacts"], ["tests.settings_reference"]):
            subprocess.run([sys.executable, "-m", *module], cwd=ROOT, check=True)
        format_files(paths)
    except subprocess.CalledProcessError as error:
        sys.exit(
            f"{arguments.command}d the files of the service {arguments.name}, but this command failed: "
            f"{shlex.join(error.cmd[:4])}; correct its errors, then run: make generate format"
        )
    print(f"{arguments.command}d the service {arguments.name}: {len(paths)} files, and what is generated from them")


if __name__ == "__main__":
    main()
