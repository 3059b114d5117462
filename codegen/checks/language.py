"""Language check of file names, identifiers, function names, prose, starts of docstrings, test names, Markdown lines.

    python -m codegen.checks.language [PATH ...]

A path is a file or a folder. Without paths, and in folders, it checks every file that git knows, except generated
files, licences and lock files.
"""

import argparse
import ast
import fnmatch
import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from codegen.checks import Finding
from codegen.checks.function_names import CHECKED_FOLDERS, FunctionNameRules
from codegen.checks.python_texts import (
    Text,
    is_name,
    iter_docstrings,
    iter_identifiers,
    iter_literals,
    iter_message_texts,
    split_words,
)

ROOT = Path(__file__).parents[2]
RULES_FILE = Path("codegen/checks/language.yaml")
MAX_EXCEPTIONS = 30
MAX_TEST_NAME_LENGTH = 70
MAX_MARKDOWN_LINE_LENGTH = 100
MAX_TABLE_CELL_LENGTH = 120

EXCLUDED = (
    "generated/*",
    "api-specs/released/*",
    "requirements/*",
    "LICENSE",
    "package-lock.json",
    "*.svg",
    str(RULES_FILE),
)
PROSE_SUFFIXES = frozenset(
    {
        ".md",
        ".yaml",
        ".yml",
        ".proto",
        ".sh",
        ".toml",
        ".ts",
        ".mts",
        ".mjs",
        ".js",
        ".html",
        ".css",
        ".sql",
        ".lua",
        ".env",
    }
)
PROSE_NAMES = frozenset({"Makefile", "Dockerfile", "CODEOWNERS"})

_DOCSTRING_START = re.compile(r"(What|Whether|Who|Whom|Whose|Where|How|Which)\b")
_NAME_IN_TEXT = re.compile(r"\b(?:alert|record|operationId): *\w+|\bdelivery[._]\w[\w.]*")
"""Alerts, recording rules and operations of YAML files, and names of metrics."""
_ENVIRONMENT_VARIABLE = re.compile(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b")
_INLINE_CODE = re.compile(r"`[^`]*`|\]\([^)]*\)|<[^>]+>|https?://\S+")


@dataclass(frozen=True)
class AcceptedFinding:
    """An accepted finding: a path pattern, the word and the reason."""

    path: str
    word: str
    reason: str


class Rules:
    """Word lists and exceptions of `language.yaml`."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._prose = [
            (re.compile(rf"\b(?:{row['pattern']})\b", re.IGNORECASE), row["use"]) for row in document["prose"]
        ]
        self._identifiers = _index_by_word(document["identifiers"])
        self._test_names = _index_by_word(document["test_names"])
        self.functions = FunctionNameRules(document["function_names"])
        self.exceptions = [AcceptedFinding(**row) for row in document["exceptions"]]

    @cached_property
    def any_prose(self) -> re.Pattern[str]:
        """One pattern for all words, to skip lines without a finding quickly."""
        return re.compile("|".join(pattern.pattern for pattern, _ in self._prose), re.IGNORECASE)

    def find_in_prose(self, line: str) -> Iterator[tuple[str, str]]:
        """Yield each word of a line that has a standard term, with that term."""
        if self.any_prose.search(line):
            for pattern, term in self._prose:
                for match in pattern.finditer(line):
                    yield match[0], term

    def find_in_identifier(self, name: str, *, is_test: bool = False) -> Iterator[tuple[str, str]]:
        """Yield each word of an identifier that has a standard term, with that term."""
        words = split_words(name)
        for previous, word in zip(["", *words], words, strict=False):
            row = self._identifiers.get(word) or (self._test_names.get(word) if is_test else None)
            if row is not None and previous != row.get("unless_after"):
                yield word, row["use"]


def _index_by_word(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {word: row for row in rows for word in row["words"]}


def check_files(paths: Iterable[Path], rules: Rules, root: Path) -> list[Finding]:
    """Return the findings in files below `root`, without those that an exception accepts."""
    findings = [finding for path in paths for finding in _check_file(path, rules, root)]
    return [each for each in findings if not any(_is_accepted(exception, each) for exception in rules.exceptions)]


def check_exceptions(rules: Rules, findings: Iterable[Finding]) -> list[Finding]:
    """Return findings about the exceptions themselves: too many, or one that no longer accepts anything."""
    found = list(findings)
    stale = [
        Finding(str(RULES_FILE), f"exception for {each.word!r} in {each.path} accepts nothing; remove it", "exceptions")
        for each in rules.exceptions
        if not any(_is_accepted(each, finding) for finding in found)
    ]
    if len(rules.exceptions) > MAX_EXCEPTIONS:
        message = f"{len(rules.exceptions)} exceptions; at most {MAX_EXCEPTIONS} are accepted"
        stale.append(Finding(str(RULES_FILE), message, "exceptions"))
    return stale


def _is_accepted(exception: AcceptedFinding, finding: Finding) -> bool:
    path = finding.location.partition(":")[0]
    return fnmatch.fnmatch(path, exception.path) and f'"{exception.word}"' in finding.message


def _check_file(path: Path, rules: Rules, root: Path) -> Iterator[Finding]:
    name = path.relative_to(root).as_posix()
    yield from _check_name(name, name, rules, is_test=path.name.startswith("test_"))
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return
    if path.suffix == ".py":
        yield from _check_python(name, text, rules)
    elif path.suffix == ".md":
        yield from _check_markdown(name, text, rules)
    elif path.suffix in PROSE_SUFFIXES or path.name in PROSE_NAMES:
        for number, line in enumerate(text.splitlines(), 1):
            yield from _check_prose(name, number, line, rules)
            for match in _iter_names(name, line):
                yield from _check_name(f"{name}:{number}", match[0], rules)


def _iter_names(path: str, line: str) -> Iterator[re.Match[str]]:
    """Yield the names in a line of a specification, a configuration or a script."""
    yield from _NAME_IN_TEXT.finditer(line)
    # The contracts define no environment variables, but reasons of problems, which clients depend on.
    if not path.startswith("api-specs/"):
        yield from _ENVIRONMENT_VARIABLE.finditer(line)


def _check_name(location: str, identifier: str, rules: Rules, *, is_test: bool = False) -> Iterator[Finding]:
    for word, term in rules.find_in_identifier(identifier, is_test=is_test):
        yield Finding(location, f'"{word}" in {identifier} is not a standard term; use: {term}', "names")


def _check_prose(name: str, number: int, line: str, rules: Rules) -> Iterator[Finding]:
    for word, term in rules.find_in_prose(_INLINE_CODE.sub(" ", line)):
        yield Finding(f"{name}:{number}", f'"{word}" is not a standard term; write: {term}', "words")


def _check_text(name: str, text: Text, rules: Rules) -> Iterator[Finding]:
    for number, line in enumerate(text.text.splitlines(), text.line):
        yield from _check_prose(name, number, line, rules)


def _check_markdown(name: str, text: str, rules: Rules) -> Iterator[Finding]:
    in_code = False
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("```"):
            in_code = not in_code
            continue
        if in_code:
            continue
        yield from _check_prose(name, number, line, rules)
        if line.startswith("|"):
            longest = max(len(cell.strip()) for cell in line.split("|"))
            if longest > MAX_TABLE_CELL_LENGTH:
                yield Finding(
                    f"{name}:{number}", f"table cell of {longest} characters; at most {MAX_TABLE_CELL_LENGTH}", "length"
                )
        elif len(line) > MAX_MARKDOWN_LINE_LENGTH and not re.fullmatch(r"\S*\[?[^ ]*\]?\S*", line.strip()):
            message = f"line of {len(line)} characters; wrap at {MAX_MARKDOWN_LINE_LENGTH}"
            yield Finding(f"{name}:{number}", message, "length")


def _check_python(name: str, source: str, rules: Rules) -> Iterator[Finding]:
    tree = ast.parse(source, name)
    for number, word, function in rules.functions.find_noun_names(name, tree):
        message = f'"{word}" in {function} is not a verb; begin with a verb of function_names in {RULES_FILE}'
        yield Finding(f"{name}:{number}", message, "functions")
    for docstring in iter_docstrings(tree):
        if (start := _DOCSTRING_START.match(docstring.text.lstrip())) is not None:
            message = f'docstring begins with "{start[1]}"; begin with an imperative or a noun phrase'
            yield Finding(f"{name}:{docstring.line}", message, "docstrings")
        yield from _check_text(name, docstring, rules)
    literals = list(iter_literals(tree)) if name.startswith(CHECKED_FOLDERS) else []
    for text in sorted({*iter_message_texts(tree), *(each for each in literals if " " in each.text)}):
        yield from _check_text(name, text, rules)
    for line, literal in literals:
        if is_name(literal):
            yield from _check_name(f"{name}:{line}", literal, rules)
    for line, identifier, is_test in iter_identifiers(tree):
        if is_test and len(identifier) > MAX_TEST_NAME_LENGTH:
            message = f"test name of {len(identifier)} characters; at most {MAX_TEST_NAME_LENGTH}: {identifier}"
            yield Finding(f"{name}:{line}", message, "length")
        yield from _check_name(f"{name}:{line}", identifier, rules, is_test=is_test)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield from _check_prose(name, token.start[0], token.string, rules)


def list_files(root: Path) -> list[Path]:
    """Return the files that git knows below `root`, new ones included, without the excluded ones."""
    command = ["git", "-C", str(root), "ls-files", "-co", "--exclude-standard", "-z"]
    names = subprocess.run(command, capture_output=True, text=True, check=True, encoding="utf-8").stdout.split("\0")
    return [root / name for name in names if name and (root / name).is_file() and not is_excluded(name)]


def iter_files(paths: Iterable[Path], root: Path) -> Iterator[Path]:
    """Yield the given files, and the files that git knows in the given folders, without the excluded ones."""
    for path in paths:
        if path.is_dir():
            yield from (each for each in list_files(root) if each.is_relative_to(path))
        elif not is_excluded(path.relative_to(root).as_posix()):
            yield path


def is_excluded(name: str) -> bool:
    """Return whether a path below the root is never checked."""
    return any(fnmatch.fnmatch(name, pattern) for pattern in EXCLUDED)


def load_rules(root: Path = ROOT) -> Rules:
    """Read the word lists."""
    return Rules(yaml.load((root / RULES_FILE).read_text(encoding="utf-8"), Loader=yaml.CSafeLoader))


def main(arguments: list[str] | None = None) -> int:
    """Print findings, one a line. Exit status 1 if there are any."""
    parser = argparse.ArgumentParser(prog="codegen.checks.language", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("paths", nargs="*", type=Path, help="files and folders to check; by default the repository")
    given: list[Path] = parser.parse_args(arguments).paths
    rules = load_rules()
    if given:
        absolute = [path.resolve() for path in given]
        if invalid := [str(path) for path in absolute if not path.is_relative_to(ROOT) or not path.exists()]:
            parser.error(f"not in the repository: {', '.join(invalid)}")
        findings = check_files(iter_files(absolute, ROOT), rules, ROOT)
    else:
        every = [finding for path in list_files(ROOT) for finding in _check_file(path, rules, ROOT)]
        accepted = [each for each in every if any(_is_accepted(exception, each) for exception in rules.exceptions)]
        findings = [each for each in every if each not in accepted] + check_exceptions(rules, accepted)
    for finding in findings:
        print(f"language: {finding.location}: {finding.message} ({finding.rule})", file=sys.stderr)
    if findings:
        print(
            f"language: {len(findings)} findings; the rules and their exceptions are in {RULES_FILE}", file=sys.stderr
        )
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
