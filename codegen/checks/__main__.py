"""`python -m codegen.checks check` looks at the contracts; `release` makes what they say now the last release."""

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from codegen.checks import BREAKING_FIX_HINT, ContractCheck, ContractCheckError, Finding, openapi, protobuf, release

ROOT = Path(__file__).parents[2]

BREAKING_CHECKS = (
    ContractCheck("openapi-breaking", openapi.find_breaking_changes, BREAKING_FIX_HINT),
    ContractCheck("proto-breaking", protobuf.find_breaking_changes, BREAKING_FIX_HINT),
    ContractCheck("events-breaking", protobuf.find_breaking_event_changes, BREAKING_FIX_HINT),
)
CONTRACT_CHECKS = (
    ContractCheck("proto-lint", protobuf.lint, "change the file as the rule says; buf.yaml lists the rules"),
    ContractCheck("proto-format", protobuf.check_format, "make format"),
    ContractCheck("openapi-lint", openapi.lint, "change the file as the message says; redocly.yaml lists the rules"),
    *BREAKING_CHECKS,
)


def run_checks(checks: tuple[ContractCheck, ...], root: Path) -> list[tuple[ContractCheck, list[Finding]]]:
    """The gates that do not let the contracts below `root` through, with what they found."""
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda gate: gate.look(root), checks))
    return [(gate, findings) for gate, findings in zip(checks, found, strict=True) if findings]


def _check(arguments: argparse.Namespace) -> int:
    gates = tuple(gate for gate in CONTRACT_CHECKS if not arguments.only or gate.name in arguments.only)
    closed = run_checks(gates, arguments.root)
    for gate, findings in closed:
        print(gate.format_findings(findings), file=sys.stderr)
    return 1 if closed else 0


def _release(arguments: argparse.Namespace) -> int:
    closed = run_checks(BREAKING_CHECKS, arguments.root)
    try:
        version = release.create_release(
            arguments.root, arguments.version, arguments.note, has_breaking_changes=bool(closed)
        )
    except release.ReleaseError as refused:
        for gate, findings in closed:
            print(gate.format_findings(findings), file=sys.stderr)
        print(f"contracts-release: {refused}", file=sys.stderr)
        return 1
    print(f"contracts-release: {version}; {release.CHANGELOG} says what changed. Now: make generate")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="codegen.checks", description=__doc__)
    parser.add_argument("--root", type=Path, default=ROOT, help="the repository")
    commands = parser.add_subparsers(required=True)
    check = commands.add_parser("check", help="say what the gates do not let through")
    check.add_argument("only", nargs="*", metavar="GATE", help=", ".join(gate.name for gate in CONTRACT_CHECKS))
    check.set_defaults(run=_check)
    make = commands.add_parser("release", help="make the present contract the last release")
    make.add_argument("--version", default="", help="X.Y.Z; by default the next one that fits")
    make.add_argument("--note", default="", help="a line for the changelog")
    make.set_defaults(run=_release)
    arguments = parser.parse_args()
    try:
        code: int = arguments.run(arguments)
    except ContractCheckError as error:
        print(f"gate: {error}", file=sys.stderr)
        return 1
    return code


if __name__ == "__main__":
    sys.exit(main())
