"""Command line of the generators: `python -m codegen generate` writes `generated/`, `check` reports drift."""

import argparse
import gc
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from codegen import contracts, envoy, mesh_settings, observability, reference_docs, typescript
from codegen import messages as user_messages
from codegen.artefacts import FIX_COMMAND, STAMP, list_files
from codegen.contracts import ContractError, Contracts, Files
from codegen.errors import ContractErrors
from codegen.events import asyncapi, broker_definitions, event_types
from codegen.kubernetes import manifests
from codegen.mesh_services import check_services
from codegen.rest import (
    callbacks,
    converters,
    forwarding_handlers,
    handlers,
    models,
    problems,
    published_openapi,
    request_converters,
    test_scaffolding,
    unimplemented,
)
from codegen.rpc import messages, servicers
from codegen.typescript import types

REPOSITORY = contracts.REPOSITORY

GENERATORS: tuple[Callable[[Contracts], Files], ...] = (
    messages.generate,
    servicers.generate,
    event_types.generate,
    problems.generate,
    models.generate,
    handlers.generate,
    callbacks.generate,
    converters.generate,
    request_converters.generate,
    forwarding_handlers.generate,
    published_openapi.generate,
    asyncapi.generate,
    broker_definitions.generate,
    reference_docs.generate,
    mesh_settings.generate,
    user_messages.generate,
    envoy.generate,
    manifests.generate,
    observability.generate,
    typescript.generate,
)
WAITING_GENERATORS = frozenset({typescript.generate})
"""Generators whose time is that of a process which they start."""


def run_generators(contracts_source: Contracts) -> Files:
    """Run all generators and return their files.

    Raises ContractError with the errors of all generators, and when two generators write the same path.
    """
    contracts_source.check_served_document()
    files: Files = {}
    errors = ContractErrors()
    with errors.collect():
        check_services(contracts_source.protos, contracts_source.mesh)
    with ThreadPoolExecutor() as pool:
        # Generators that wait for a process run beside the others.
        started = {each: pool.submit(each, contracts_source) for each in GENERATORS if each in WAITING_GENERATORS}
        for generate in GENERATORS:
            with errors.collect():
                output = started[generate].result() if generate in started else generate(contracts_source)
                if duplicates := files.keys() & output.keys():
                    raise ContractError(
                        f"{generate.__module__} writes files of another generator: {', '.join(sorted(duplicates))}"
                    )
                files |= output
    errors.raise_if_any()
    for folder in {parent for path in files if path.endswith(".py") for parent in Path(path).parents}:
        files.setdefault(str(folder / "__init__.py"), "")
    return files


def write_tree(files: Files, folder: Path) -> None:
    """Write the files below an empty `folder` and format the Python files."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    format_python("codegen/generated_ruff.toml", folder)


def format_python(ruff_config: str, *paths: Path) -> None:
    """Fix and format Python files with ruff."""
    ruff = str(Path(sys.executable).with_name("ruff"))
    options = ["--config", str(REPOSITORY / ruff_config), "--quiet", "--no-cache", *map(str, paths)]
    subprocess.run([ruff, "check", "--fix-only", *options], check=True)
    subprocess.run([ruff, "format", *options], check=True)


def read_tree(folder: Path) -> dict[str, bytes]:
    """Return all files below `folder`, except Python bytecode and the stamp of the artefacts."""
    files = {str(path.relative_to(folder)): path.read_bytes() for path in list_files(folder)}
    files.pop(Path(STAMP).name, None)
    return files


def generate(root: Path) -> int:
    """Update `generated/`, scaffold tests of new operations and print unimplemented handlers."""
    generated = root / "generated"
    with types.start_early(root), tempfile.TemporaryDirectory() as folder:
        source = contracts.load(root)
        write_tree(run_generators(source), Path(folder))
        expected, present = read_tree(Path(folder)), read_tree(generated)
    for name in present.keys() - expected.keys():
        (generated / name).unlink()
    for name, content in expected.items():
        if present.get(name) != content:
            path = generated / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    previous = test_scaffolding.list_bound_operations(present.get(source.get_rest_path(handlers.MODULE), b"").decode())
    if tests := test_scaffolding.write_tests(
        root, test_scaffolding.render_new_tests(source, previous) if previous else {}
    ):
        format_python("pyproject.toml", *tests)
        print("test to complete:", *(path.relative_to(root) for path in tests))
    if missing := unimplemented.find_unimplemented(root):
        print("to implement:", *missing, sep="\n\n")
    return 0


def check(root: Path) -> int:
    """Compare `generated/` with a fresh generation, stray files included, then search for unimplemented handlers."""
    with tempfile.TemporaryDirectory() as folder:
        write_tree(run_generators(contracts.load(root)), Path(folder))
        expected, present = read_tree(Path(folder)), read_tree(root / "generated")
    drift = [
        *(f"missing  generated/{name}" for name in sorted(expected.keys() - present.keys())),
        *(f"stray    generated/{name}" for name in sorted(present.keys() - expected.keys())),
        *(
            f"differs  generated/{name}"
            for name in sorted(expected.keys() & present.keys())
            if expected[name] != present[name]
        ),
    ]
    if drift:
        print(
            "drift: generated/ does not match api-specs/:",
            *drift,
            f"Fix: {FIX_COMMAND}",
            sep="\n",
            file=sys.stderr,
        )
        return 1
    if missing := unimplemented.find_unimplemented(root):
        print("handlers: not implemented:", *missing, sep="\n\n", file=sys.stderr)
        return 1
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="codegen", description=__doc__)
    parser.add_argument("--root", type=Path, default=REPOSITORY, help="folder of api-specs/ and generated/")
    commands = parser.add_subparsers(required=True)
    commands.add_parser("generate", help="write generated/").set_defaults(run=generate)
    commands.add_parser("check", help="compare generated/ with the contracts").set_defaults(run=check)
    arguments = parser.parse_args()
    try:
        code: int = arguments.run(arguments.root.resolve())
    except ContractError as error:
        print(*(f"contract: {message}" for message in error.messages), sep="\n", file=sys.stderr)
        return 1
    return code


if __name__ == "__main__":
    # The process is short, and collections would take a tenth of its time.
    gc.disable()
    sys.exit(main())
