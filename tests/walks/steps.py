"""A page of docs/ as steps: what it says to write, to insert and to run is written, inserted and run.

A fenced block is a step by the words before it or after its fence:

- after "In `file`, before `line`" (or after, or instead of; a line by how it begins): the block goes there;
- after "Write `file`": the block is the file;
- ```sh is run, and ```text after it is what it says, line by line, among other things;
- ```sh fails is run, and must fail.
"""

import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(r"^```(\w+)( fails)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
WHERE = re.compile(r"[Ii]n\s+`([^`]+)`,((?:\s+(?:before|after|instead\s+of)\s+`[^`]+`,?)+)\s*$")
ANCHOR = re.compile(r"(before|after|instead\s+of)\s+`([^`]+)`")
WHOLE = re.compile(r"Write\s+`([^`]+)`:\s*$")
PATIENCE_S = 180.0


@dataclass(frozen=True)
class Step:
    """One block: the words before it, its language, its text, and whether it is to fail."""

    before: str
    language: str
    text: str
    fails: bool


def steps(page: str) -> Iterator[Step]:
    """Every block in the order of the page."""
    fences = [line for line in page.splitlines() if line.lstrip().startswith("```")]
    assert len(fences) == 2 * len(FENCE.findall(page)), "a fence is indented, or has no language, or no end"
    end = 0
    for found in FENCE.finditer(page):
        yield Step(page[end : found.start()].strip(), found[1], found[3], bool(found[2]))
        end = found.end()


def perform(page: Path, root: Path, environment: Mapping[str, str]) -> None:
    """Walks the whole page in `root`. Raises AssertionError with what did not go as the page says."""
    said = ""
    for step in steps(page.read_text()):
        match step.language:
            case "sh":
                said = run(step, root, environment)
            case "text":
                lines = [line.strip() for line in step.text.splitlines() if line.strip()]
                assert not (unsaid := [line for line in lines if line not in said]), f"{unsaid} not in:\n{said}"
            case _:
                edit(step, root)


def run(step: Step, root: Path, environment: Mapping[str, str]) -> str:
    """Runs a block as a shell would; what it said."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", step.text],
        cwd=root,
        env=dict(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert bool(done.returncode) == step.fails, f"{step.text.strip()} ended with {done.returncode}:\n{done.stdout}"
    return done.stdout


def edit(step: Step, root: Path) -> None:
    """Writes a file, or inserts into one. Raises AssertionError where a line is not there, or more than once."""
    if whole := WHOLE.search(step.before):
        path = root / whole[1]
        assert not path.exists(), f"{whole[1]} is there already"
        path.write_text(step.text)
        return
    where = WHERE.search(step.before)
    assert where, f"the page does not say where this goes:\n{step.text}"
    path = root / where[1]
    lines, first = path.read_text().splitlines(keepends=True), 0
    anchors = ANCHOR.findall(where[2])
    for word, anchor in anchors[:-1]:
        assert word == "after", f"{word} {anchor}: only the last may be other than after"
        first = lone(lines, anchor, first, where[1]) + 1
    word, anchor = anchors[-1]
    at = lone(lines, anchor, first, where[1], nearest=len(anchors) > 1)
    replaced = lines[at : at + 1] if word != "after" else []
    kept = replaced if word == "before" else []
    start = at + 1 if word == "after" else at
    lines[start : start + len(replaced)] = [step.text, *kept]
    path.write_text("".join(lines))


def lone(lines: list[str], anchor: str, first: int, name: str, *, nearest: bool = False) -> int:
    """The line, from `first` on, that begins so, but for its indent; the only one, or the nearest."""
    found = [index for index, line in enumerate(lines) if index >= first and line.strip().startswith(anchor)]
    assert found, f"{name} has no line {anchor}"
    assert nearest or len(found) == 1, f"{name} has {len(found)} lines {anchor}"
    return found[0]
