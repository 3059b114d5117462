"""`python -m codegen.gates check` looks at the contracts; `release` makes what they say now the last release."""

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from codegen.gates import KEEP, Finding, Gate, GateError, openapi, protos, release

ROOT = Path(__file__).parents[2]

BREAKING = (
    Gate("openapi-breaking", openapi.breaking, KEEP),
    Gate("proto-breaking", protos.breaking, KEEP),
    Gate("events-breaking", protos.events_breaking, KEEP),
)
GATES = (
    Gate("proto-lint", protos.lint, "change the file as the rule says; buf.yaml lists the rules"),
    Gate("proto-format", protos.form, "make format"),
    Gate("openapi-lint", openapi.lint, "change the file as the message says; redocly.yaml lists the rules"),
    *BREAKING,
)


def look(gates: tuple[Gate, ...], root: Path) -> list[tuple[Gate, list[Finding]]]:
    """The gates that do not let the contracts below `root` through, with what they found."""
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda gate: gate.look(root), gates))
    return [(gate, findings) for gate, findings in zip(gates, found, strict=True) if findings]


def _check(arguments: argparse.Namespace) -> int:
    gates = tuple(gate for gate in GATES if not arguments.only or gate.name in arguments.only)
    closed = look(gates, arguments.root)
    for gate, findings in closed:
        print(gate.message(findings), file=sys.stderr)
    return 1 if closed else 0


def _release(arguments: argparse.Namespace) -> int:
    closed = look(BREAKING, arguments.root)
    try:
        version = release.release(arguments.root, arguments.version, arguments.note, breaking=bool(closed))
    except release.RefusedError as refused:
        for gate, findings in closed:
            print(gate.message(findings), file=sys.stderr)
        print(f"contracts-release: {refused}", file=sys.stderr)
        return 1
    print(f"contracts-release: {version}; {release.CHANGELOG} says what changed. Now: make generate")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="codegen.gates", description=__doc__)
    parser.add_argument("--root", type=Path, default=ROOT, help="the repository")
    commands = parser.add_subparsers(required=True)
    check = commands.add_parser("check", help="say what the gates do not let through")
    check.add_argument("only", nargs="*", metavar="GATE", help=", ".join(gate.name for gate in GATES))
    check.set_defaults(run=_check)
    make = commands.add_parser("release", help="make the present contract the last release")
    make.add_argument("--version", default="", help="X.Y.Z; by default the next one that fits")
    make.add_argument("--note", default="", help="a line for the changelog")
    make.set_defaults(run=_release)
    arguments = parser.parse_args()
    try:
        code: int = arguments.run(arguments)
    except GateError as error:
        print(f"gate: {error}", file=sys.stderr)
        return 1
    return code


if __name__ == "__main__":
    sys.exit(main())
