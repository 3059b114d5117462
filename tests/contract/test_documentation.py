"""What the pages say holds: their links lead somewhere, and their TypeScript compiles against the client."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.typescript_client import run_node

LINK = re.compile(r"\]\((?!https?:)([^)#\s]+)(?:#[^)]*)?\)")
BLOCK = re.compile(r"^```ts\n(.*?)^```$", re.DOTALL | re.MULTILINE)

PAGES = [
    ROOT / name
    for name in subprocess.check_output(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"], cwd=ROOT, text=True
    ).split()
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    assert [link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()] == []


def test_what_frontends_are_shown_compiles() -> None:
    shown = "\n".join(BLOCK.findall((ROOT / "docs/frontend.md").read_text()))
    assert "watchOrder(" in shown
    page = ROOT / ".local/frontend.mts"
    page.write_text(shown)
    try:
        done = run_node("node_modules/typescript/bin/tsc", "-p", "tests/typescript")
    finally:
        page.unlink()
    assert done.returncode == 0, done.stdout
