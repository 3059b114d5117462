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

FENCE_PATTERN = re.compile(r"^```(\w+)( fails)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INSERT_PATTERN = re.compile(r"[Ii]n\s+`([^`]+)`,((?:\s+(?:before|after|instead\s+of)\s+`[^`]+`,?)+)\s*$")
ANCHOR_PATTERN = re.compile(r"(before|after|instead\s+of)\s+`([^`]+)`")
WRITE_FILE_PATTERN = re.compile(r"Write\s+`([^`]+)`:\s*$")
TIMEOUT_S = 180.0


@dataclass(frozen=True)
class Step:
    """One block: the words before it, its language, its text, and whether it is to fail."""

    preceding_text: str
    language: str
    text: str
    must_fail: bool


def parse_steps(page: str) -> Iterator[Step]:
    """Every block in the order of the page."""
    fences = [line for line in page.splitlines() if line.lstrip().startswith("```")]
    assert len(fences) == 2 * len(FENCE_PATTERN.findall(page)), "a fence is indented, or has no language, or no end"
    end = 0
    for found in FENCE_PATTERN.finditer(page):
        yield Step(page[end : found.start()].strip(), found[1], found[3], bool(found[2]))
        end = found.end()


def run_steps(page: Path, root: Path, environment: Mapping[str, str]) -> None:
    """Walks the whole page in `root`. Raises AssertionError with what did not go as the page says."""
    said = ""
    for step in parse_steps(page.read_text()):
        match step.language:
            case "sh":
                said = run_command(step, root, environment)
            case "text":
                lines = [line.strip() for line in step.text.splitlines() if line.strip()]
                assert not (unsaid := [line for line in lines if line not in said]), f"{unsaid} not in:\n{said}"
            case _:
                apply_edit(step, root)


def run_command(step: Step, root: Path, environment: Mapping[str, str]) -> str:
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
        timeout=TIMEOUT_S,
    )
    assert bool(done.returncode) == step.must_fail, f"{step.text.strip()} ended with {done.returncode}:\n{done.stdout}"
    return done.stdout


def apply_edit(step: Step, root: Path) -> None:
    """Writes a file, or inserts into one. Raises AssertionError where a line is not there, or more than once."""
    if whole := WRITE_FILE_PATTERN.search(step.preceding_text):
        path = root / whole[1]
        assert not path.exists(), f"{whole[1]} is there already"
        path.write_text(step.text)
        return
    where = INSERT_PATTERN.search(step.preceding_text)
    assert where, f"the page does not say where this goes:\n{step.text}"
    path = root / where[1]
    lines, first = path.read_text().splitlines(keepends=True), 0
    anchors = ANCHOR_PATTERN.findall(where[2])
    for word, anchor in anchors[:-1]:
        assert word == "after", f"{word} {anchor}: only the last may be other than after"
        first = find_line(lines, anchor, first, where[1]) + 1
    word, anchor = anchors[-1]
    at = find_line(lines, anchor, first, where[1], pick_nearest=len(anchors) > 1)
    replaced = lines[at : at + 1] if word != "after" else []
    kept = replaced if word == "before" else []
    start = at + 1 if word == "after" else at
    lines[start : start + len(replaced)] = [step.text, *kept]
    path.write_text("".join(lines))


def find_line(lines: list[str], anchor: str, start_index: int, file_name: str, *, pick_nearest: bool = False) -> int:
    """The line, from `first` on, that begins so, but for its indent; the only one, or the nearest."""
    found = [index for index, line in enumerate(lines) if index >= start_index and line.strip().startswith(anchor)]
    assert found, f"{file_name} has no line {anchor}"
    assert pick_nearest or len(found) == 1, f"{file_name} has {len(found)} lines {anchor}"
    return found[0]
