"""Command line of the contract checks: `python -m codegen.checks check` and `python -m codegen.checks release`."""

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from codegen.checks import (
    BREAKING_FIX_HINT,
    ContractCheck,
    ContractCheckError,
    Finding,
    asyncapi,
    openapi,
    protobuf,
    release,
    spectral,
)

ROOT = Path(__file__).parents[2]

BREAKING_CHECKS = (
    ContractCheck("openapi-breaking", openapi.find_breaking_changes, BREAKING_FIX_HINT),
    ContractCheck("proto-breaking", protobuf.find_breaking_changes, BREAKING_FIX_HINT),
    ContractCheck("events-breaking", protobuf.find_breaking_event_changes, BREAKING_FIX_HINT),
)
CONTRACT_CHECKS = (
    ContractCheck("proto-lint", protobuf.lint, "follow the rule; buf.yaml lists the rules"),
    ContractCheck("proto-format", protobuf.check_format, "make format"),
    ContractCheck("openapi-lint", openapi.lint, "follow the message; redocly.yaml lists the rules"),
    ContractCheck("openapi-spectral", spectral.lint, "follow the rule; .spectral.yaml lists the exceptions"),
    ContractCheck("asyncapi-validation", asyncapi.validate, "change codegen/events/asyncapi.py"),
    *BREAKING_CHECKS,
)


def run_checks(checks: tuple[ContractCheck, ...], root: Path) -> list[tuple[ContractCheck, list[Finding]]]:
    """Run the checks on the contracts below `root` and return those that failed, with their findings."""
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda check: check.run(root), checks))
    return [(check, findings) for check, findings in zip(checks, results, strict=True) if findings]


def _check(arguments: argparse.Namespace) -> int:
    checks = tuple(check for check in CONTRACT_CHECKS if not arguments.only or check.name in arguments.only)
    failed = run_checks(checks, arguments.root)
    for check, findings in failed:
        print(check.format_findings(findings), file=sys.stderr)
    return 1 if failed else 0


def _run_release(arguments: argparse.Namespace) -> int:
    failed = run_checks(BREAKING_CHECKS, arguments.root)
    try:
        version = release.create_release(
            arguments.root, arguments.version, arguments.note, has_breaking_changes=bool(failed)
        )
    except release.ReleaseError as error:
        for check, findings in failed:
            print(check.format_findings(findings), file=sys.stderr)
        print(f"contracts-release: {error}", file=sys.stderr)
        return 1
    print(f"contracts-release: released {version}; {release.CHANGELOG} lists the changes. Next: make generate")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="codegen.checks", description=__doc__)
    parser.add_argument("--root", type=Path, default=ROOT, help="root of the repository")
    commands = parser.add_subparsers(required=True)
    check = commands.add_parser("check", help="run the checks and print their findings")
    check.add_argument("only", nargs="*", metavar="CHECK", help=", ".join(each.name for each in CONTRACT_CHECKS))
    check.set_defaults(run=_check)
    create = commands.add_parser("release", help="release the current contracts")
    create.add_argument("--version", default="", help="X.Y.Z; by default the next minor version")
    create.add_argument("--note", default="", help="line for the changelog")
    create.set_defaults(run=_run_release)
    arguments = parser.parse_args()
    try:
        code: int = arguments.run(arguments)
    except ContractCheckError as error:
        print(f"check failed to run: {error}", file=sys.stderr)
        return 1
    return code


if __name__ == "__main__":
    sys.exit(main())
