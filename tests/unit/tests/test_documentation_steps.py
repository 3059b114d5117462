"""A page is walked as it is written, and one that is wrong says where."""

import os
from pathlib import Path

import pytest

from tests.docs.steps import run_steps


def walk(tmp_path: Path, page: str) -> str:
    """What `notes.txt` holds after the walk."""
    (tmp_path / "page.md").write_text(page)
    (tmp_path / "notes.txt").write_text("one\n  two\nthree\n  two\n")
    run_steps(tmp_path / "page.md", tmp_path, os.environ)
    return (tmp_path / "notes.txt").read_text()


@pytest.mark.parametrize(
    ("where", "wanted"),
    [
        ("before `one`", "new\none\n  two\nthree\n  two\n"),
        ("after `thr`", "one\n  two\nthree\nnew\n  two\n"),
        ("instead of `three`", "one\n  two\nnew\n  two\n"),
        ("after `three`, instead\nof `two`", "one\n  two\nthree\nnew\n"),
    ],
)
def test_a_block_goes_where_the_page_says(tmp_path: Path, where: str, wanted: str) -> None:
    assert walk(tmp_path, f"In `notes.txt`, {where}\n\n```text_\nnew\n```\n") == wanted


def test_files_are_written_commands_run_and_what_they_say_is_compared(tmp_path: Path) -> None:
    written = "Write `more.txt`:\n\n```md\nmore\n```\n\n"
    walk(tmp_path, f"{written}```sh\ncat more.txt\n```\n\n```text\nmore\n```\n\n```sh fails\nfalse\n```\n")
    assert (tmp_path / "more.txt").read_text() == "more\n"


@pytest.mark.parametrize(
    ("page", "word"),
    [
        ("In `notes.txt`, before `two`\n\n```md\nnew\n```\n", "has 2 lines two"),
        ("In `notes.txt`, before `four`\n\n```md\nnew\n```\n", "has no line four"),
        ("Somewhere\n\n```md\nnew\n```\n", "does not say where"),
        ("Write `notes.txt`:\n\n```md\nnew\n```\n", "is there already"),
        ("```sh\nfalse\n```\n", "ended with 1"),
        ("```sh fails\ntrue\n```\n", "ended with 0"),
        ("```sh\necho one\n```\n\n```text\ntwo\n```\n", "two"),
        ("```\nnew\n```\n", "a fence"),
        ("  ```sh\n  false\n  ```\n", "a fence"),
    ],
)
def test_a_page_that_is_wrong_is_found_out(tmp_path: Path, page: str, word: str) -> None:
    with pytest.raises(AssertionError, match=word):
        walk(tmp_path, page)
