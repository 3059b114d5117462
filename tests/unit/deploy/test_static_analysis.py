"""Checks of manifests, Dockerfile and workflows: cached result of checkov, and findings of zizmor."""

from pathlib import Path

import pytest

from deploy import static_analysis

CHECKOV_SCRIPT = "#!/bin/sh\necho run >>{log}\necho finding\nexit {exit_code}\n"
WORKFLOW = """\
name: sample
on: [push]
permissions: {contents: read}
concurrency: {group: sample, cancel-in-progress: true}
jobs:
  sample:
    name: sample
    runs-on: ubuntu-24.04
    steps:
      - uses: actions/checkout@REVISION # v4.2.2
        with: {persist-credentials: false}
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of a project with one overlay, whose checkov passes."""
    for name in (
        ".checkov.yaml",
        "requirements/checkov.txt",
        ".github/workflows/ci.yml",
        "deploy/containers/Dockerfile",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name, encoding="utf-8")
    monkeypatch.setattr(static_analysis, "render_overlays", lambda root: {"production.yaml": b"kind: Service"})
    write_checkov(tmp_path, exit_code=0)
    return tmp_path


def write_checkov(root: Path, exit_code: int) -> None:
    program = root / static_analysis.CHECKOV
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(CHECKOV_SCRIPT.format(log=root / "log", exit_code=exit_code), encoding="utf-8")
    program.chmod(0o755)


def count_runs(root: Path) -> int:
    return len((root / "log").read_text(encoding="utf-8").splitlines())


def test_passed_result_is_reused_until_an_input_changes(root: Path) -> None:
    assert [static_analysis.run_checkov(root) for _ in range(2)] == [0, 0]
    assert count_runs(root) == 1
    for number, name in enumerate((".checkov.yaml", "requirements/checkov.txt", "deploy/containers/Dockerfile"), 2):
        (root / name).write_text("changed", encoding="utf-8")
        assert static_analysis.run_checkov(root) == 0
        assert count_runs(root) == number, name


def test_changed_manifest_is_checked_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    static_analysis.run_checkov(root)
    monkeypatch.setattr(static_analysis, "render_overlays", lambda root: {"production.yaml": b"kind: Deployment"})
    static_analysis.run_checkov(root)
    assert count_runs(root) == 2
    assert (root / static_analysis.STATE_DIR / "manifests/production.yaml").read_bytes() == b"kind: Deployment"


def test_findings_are_printed_and_not_cached(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_checkov(root, exit_code=1)
    assert [static_analysis.run_checkov(root) for _ in range(2)] == [1, 1]
    assert count_runs(root) == 2
    assert "finding" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("revision", "exit_code", "finding"),
    [("11bd71901bbe5b1630ceea73d27597364c9af683", 0, ""), ("v4", 14, "unpinned-uses")],
)
def test_action_without_digest_is_a_finding(
    root: Path, capsys: pytest.CaptureFixture[str], revision: str, exit_code: int, finding: str
) -> None:
    (root / ".github/workflows/ci.yml").write_text(WORKFLOW.replace("REVISION", revision), encoding="utf-8")
    assert static_analysis.run_zizmor(root) == exit_code
    assert finding in capsys.readouterr().err
