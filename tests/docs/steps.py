"""Steps of a page of docs/: its blocks write files, edit files, run commands and check their output.

The text before a fenced block, or the info string of its fence, defines the step:

- after "In `file`, before `line`" (or after, or instead of; `line` is the beginning of a line): insert the block there;
- after "Write `file`": write the block to the file;
- ```sh: run the block. Each line of a following ```text block must be in its output;
- ```sh fails: run the block, which must fail.
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
    """A block with the text before it, its language and its expected exit status."""

    preceding_text: str
    language: str
    text: str
    must_fail: bool


def parse_steps(page: str) -> Iterator[Step]:
    """Yield the steps in the order of the page."""
    fences = [line for line in page.splitlines() if line.lstrip().startswith("```")]
    assert len(fences) == 2 * len(FENCE_PATTERN.findall(page)), (
        "invalid fence: indented, without language or without end"
    )
    end = 0
    for match in FENCE_PATTERN.finditer(page):
        yield Step(page[end : match.start()].strip(), match[1], match[3], bool(match[2]))
        end = match.end()


def run_steps(page: Path, root: Path, environment: Mapping[str, str]) -> None:
    """Run all steps of a page in `root`. Raises AssertionError if a step does not have the documented result."""
    output = ""
    for step in parse_steps(page.read_text(encoding="utf-8")):
        match step.language:
            case "sh":
                output = run_command(step, root, environment)
            case "text":
                lines = [line.strip() for line in step.text.splitlines() if line.strip()]
                assert not (missing := [line for line in lines if line not in output]), f"{missing} not in:\n{output}"
            case _:
                apply_edit(step, root)


def run_command(step: Step, root: Path, environment: Mapping[str, str]) -> str:
    """Run a block in a shell, and return its output."""
    completed = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", step.text],
        cwd=root,
        env=dict(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        check=False,
        timeout=TIMEOUT_S,
        encoding="utf-8",
    )
    assert bool(completed.returncode) == step.must_fail, (
        f"{step.text.strip()}: exit status {completed.returncode}:\n{completed.stdout}"
    )
    return completed.stdout


def apply_edit(step: Step, root: Path) -> None:
    """Write a file or edit one. Raises AssertionError if the anchor is missing or not unique."""
    if creation := WRITE_FILE_PATTERN.search(step.preceding_text):
        path = root / creation[1]
        assert not path.exists(), f"{creation[1]} already exists"
        path.write_text(step.text, encoding="utf-8")
        return
    insertion = INSERT_PATTERN.search(step.preceding_text)
    assert insertion, f"no file or anchor before this block:\n{step.text}"
    path = root / insertion[1]
    lines, start_index = path.read_text(encoding="utf-8").splitlines(keepends=True), 0
    anchors = ANCHOR_PATTERN.findall(insertion[2])
    for word, anchor in anchors[:-1]:
        assert word == "after", f"{word} {anchor}: only the last anchor may differ from `after`"
        start_index = find_line(lines, anchor, start_index, insertion[1]) + 1
    word, anchor = anchors[-1]
    index = find_line(lines, anchor, start_index, insertion[1], pick_nearest=len(anchors) > 1)
    replaced = lines[index : index + 1] if word != "after" else []
    retained = replaced if word == "before" else []
    start = index + 1 if word == "after" else index
    lines[start : start + len(replaced)] = [step.text, *retained]
    path.write_text("".join(lines), encoding="utf-8")


def find_line(lines: list[str], anchor: str, start_index: int, file_name: str, *, pick_nearest: bool = False) -> int:
    """Return the index of the line that begins with the anchor, ignoring indentation: the only one, or the nearest."""
    indexes = [index for index, line in enumerate(lines) if index >= start_index and line.strip().startswith(anchor)]
    assert indexes, f"{file_name} has no line {anchor}"
    assert pick_nearest or len(indexes) == 1, f"{file_name} has {len(indexes)} lines {anchor}"
    return indexes[0]
