"""Links in the documentation, and compilation of its TypeScript examples."""

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
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"], cwd=ROOT, text=True, encoding="utf-8"
    ).split()
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_resolve(page: Path) -> None:
    assert [link for link in LINK.findall(page.read_text(encoding="utf-8")) if not (page.parent / link).exists()] == []


def test_frontend_examples_compile() -> None:
    source = "\n".join(BLOCK.findall((ROOT / "docs/frontend.md").read_text(encoding="utf-8")))
    assert "watchOrder(" in source
    page = ROOT / ".local/frontend.mts"
    page.write_text(source, encoding="utf-8")
    try:
        result = run_node("node_modules/typescript/bin/tsc", "-p", "tests/typescript")
    finally:
        page.unlink()
    assert result.returncode == 0, result.stdout
