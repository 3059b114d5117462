"""Executable documentation: the steps of a page are run, and errors in a page are reported."""

import os
from pathlib import Path

import pytest

from tests.docs.steps import run_steps


def run_page(tmp_path: Path, page: str) -> str:
    """Run the page, and return the content of `notes.txt` afterwards."""
    (tmp_path / "page.md").write_text(page, encoding="utf-8")
    (tmp_path / "notes.txt").write_text("one\n  two\nthree\n  two\n", encoding="utf-8")
    run_steps(tmp_path / "page.md", tmp_path, os.environ)
    return (tmp_path / "notes.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("anchor", "expected"),
    [
        ("before `one`", "new\none\n  two\nthree\n  two\n"),
        ("after `thr`", "one\n  two\nthree\nnew\n  two\n"),
        ("instead of `three`", "one\n  two\nnew\n  two\n"),
        ("after `three`, instead\nof `two`", "one\n  two\nthree\nnew\n"),
    ],
)
def test_block_is_inserted_at_anchor(tmp_path: Path, anchor: str, expected: str) -> None:
    assert run_page(tmp_path, f"In `notes.txt`, {anchor}\n\n```text_\nnew\n```\n") == expected


def test_blocks_write_files_run_commands_and_compare_output(tmp_path: Path) -> None:
    write_step = "Write `more.txt`:\n\n```md\nmore\n```\n\n"
    run_page(tmp_path, f"{write_step}```sh\ncat more.txt\n```\n\n```text\nmore\n```\n\n```sh fails\nfalse\n```\n")
    assert (tmp_path / "more.txt").read_text(encoding="utf-8") == "more\n"


@pytest.mark.parametrize(
    ("page", "message"),
    [
        ("In `notes.txt`, before `two`\n\n```md\nnew\n```\n", "has 2 lines two"),
        ("In `notes.txt`, before `four`\n\n```md\nnew\n```\n", "has no line four"),
        ("Somewhere\n\n```md\nnew\n```\n", "no file or anchor"),
        ("Write `notes.txt`:\n\n```md\nnew\n```\n", "already exists"),
        ("```sh\nfalse\n```\n", "exit status 1"),
        ("```sh fails\ntrue\n```\n", "exit status 0"),
        ("```sh\necho one\n```\n\n```text\ntwo\n```\n", "two"),
        ("```\nnew\n```\n", "invalid fence"),
        ("  ```sh\n  false\n  ```\n", "invalid fence"),
    ],
)
def test_invalid_page_is_reported(tmp_path: Path, page: str, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        run_page(tmp_path, page)
