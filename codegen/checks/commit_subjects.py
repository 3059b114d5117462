"""Commit subject check: Conventional Commits, imperative mood, at most 72 characters, since the last release.

python -m codegen.checks.commit_subjects              all commits since the last `chore(release): …` commit
python -m codegen.checks.commit_subjects --file PATH   one message, as the commit-msg hook of git passes it
"""

import argparse
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
MAX_LENGTH = 72
TYPES = ("build", "chore", "ci", "docs", "feat", "fix", "perf", "refactor", "revert", "style", "test")
RELEASE = "chore(release):"

_FORM = re.compile(rf"(?:{'|'.join(TYPES)})(?:\([a-z0-9,. _/-]+\))?!?: (?P<summary>\S.*)")
_NOT_IMPERATIVE = re.compile(
    r"(?:\w+ed|\w+ing|adds|fixes|removes|updates|changes|makes|uses|moves|renames|a|an|the)\b", re.IGNORECASE
)
_IMPERATIVE_EXCEPTIONS = frozenset({"embed", "feed", "need", "seed", "shed", "speed", "bring", "ping", "string"})


def check_subject(subject: str) -> str | None:
    """Return the error of a subject, or None."""
    if len(subject) > MAX_LENGTH:
        return f"{len(subject)} characters; at most {MAX_LENGTH}"
    match = _FORM.fullmatch(subject)
    if match is None:
        return f"not a Conventional Commit; write: type(scope): summary, with a type of {', '.join(TYPES)}"
    first = match["summary"].split()[0]
    if _NOT_IMPERATIVE.fullmatch(first) and first.lower() not in _IMPERATIVE_EXCEPTIONS:
        return f'begins with "{first}"; begin with a verb in the imperative, such as add, fix or remove'
    if subject.endswith("."):
        return "ends with a full stop; remove it"
    return None


def find_errors(subjects: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Yield a line for each (commit, subject) that breaks a rule. Merges and git's own fixups are skipped."""
    for commit, subject in subjects:
        if not subject.startswith(("Merge ", "fixup! ", "squash! ")) and (error := check_subject(subject)) is not None:
            yield f'{commit}: "{subject}": {error}'


def list_subjects_since_release(root: Path) -> list[tuple[str, str]]:
    """Return (commit, subject) of each commit since the last release, newest first."""
    command = ["git", "-C", str(root), "log", "--first-parent", "--format=%h%x09%s"]
    output = subprocess.run(command, capture_output=True, text=True, check=True, encoding="utf-8").stdout
    subjects: list[tuple[str, str]] = []
    for line in output.splitlines():
        commit, _, subject = line.partition("\t")
        if subject.startswith(RELEASE):
            break
        subjects.append((commit, subject))
    return subjects


def main(arguments: list[str] | None = None) -> int:
    """Print the errors, one a line. Exit status 1 if there are any."""
    parser = argparse.ArgumentParser(
        prog="codegen.checks.commit_subjects", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--file", type=Path, help="a file with one commit message")
    parser.add_argument("positional", nargs="?", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    message: Path | None = options.file or options.positional
    if message is None:
        subjects = list_subjects_since_release(ROOT)
    else:
        subjects = [("commit", message.read_text(encoding="utf-8").partition("\n")[0])]
    errors = list(find_errors(subjects))
    for error in errors:
        print(f"commit-subjects: {error}", file=sys.stderr)
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
