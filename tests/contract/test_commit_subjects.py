"""Commit subjects since the last release are conventional, imperative and short."""

import subprocess
from pathlib import Path

import pytest

from codegen.checks.commit_subjects import check_subject, find_errors, list_subjects_since_release, main


@pytest.mark.parametrize(
    "subject",
    [
        "fix(outbox): retry batch after nack",
        "feat!: rename the metrics",
        "refactor(orders,partners): split settings",
        "chore(release): 1.0.0",
        "docs: explain the retry policy",
    ],
)
def test_conventional_subject_is_accepted(subject: str) -> None:
    assert check_subject(subject) is None


@pytest.mark.parametrize(
    ("subject", "error"),
    [
        ("test(tracing): an id by chance is no leaked name", "imperative"),
        ("fix(outbox): fixed the batch", "imperative"),
        ("Retry batch after nack", "Conventional"),
        ("fix(outbox) retry batch", "Conventional"),
        ("fix: retry.", "full stop"),
        (f"fix(outbox): retry {'very ' * 12}often", "characters"),
    ],
)
def test_other_subject_is_an_error(subject: str, error: str) -> None:
    assert error in (check_subject(subject) or "")


def test_merge_commits_are_skipped() -> None:
    assert list(find_errors([("1", "Merge branch 'main'"), ("2", "fixup! fix: x")])) == []


def test_commits_before_the_last_release_are_not_checked(tmp_path: Path) -> None:
    def git(*arguments: str) -> None:
        identity = ["-c", "user.name=Test", "-c", "user.email=test@delivery.test"]
        subprocess.run(["git", "-C", tmp_path, *identity, *arguments], check=True, capture_output=True)

    git("init", "-q")
    for subject in ("an old subject", "chore(release): 1.0.0", "fix: retry batch"):
        git("commit", "--allow-empty", "-qm", subject)
    assert [subject for _, subject in list_subjects_since_release(tmp_path)] == ["fix: retry batch"]


def test_commit_message_file_with_wrong_subject_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    message = tmp_path / "COMMIT_EDITMSG"
    message.write_text("whatever works\n\nbody\n", encoding="utf-8")
    assert main(["--file", str(message)]) == 1
    assert "not a Conventional Commit" in capsys.readouterr().err
    message.write_text("fix: retry batch\n", encoding="utf-8")
    assert main(["--file", str(message)]) == 0
