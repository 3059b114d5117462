"""Links in the documentation, and compilation of its TypeScript examples."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.orders.settings import Settings
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


def iter_texts_about_reconcile() -> Iterator[str]:
    """Yield the help of the command and the paragraphs that state what it compares."""
    yield from re.findall(r"^reconcile: .*", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    for page in ("docs/runbook.md", "docs/orders.md"):
        paragraphs = (ROOT / page).read_text(encoding="utf-8").split("\n\n")
        yield from (each.replace("\n", " ") for each in paragraphs if "`make reconcile` compares" in each)


def test_texts_about_reconcile_state_which_orders_it_compares() -> None:
    defaults = {
        name: Settings.model_fields[f"reconcile_{name}"].default for name in ("quiet_period_seconds", "window_days")
    }
    assert defaults == {"quiet_period_seconds": 600, "window_days": 7}
    texts = [*iter_texts_about_reconcile()]
    assert len(texts) == 4
    assert [text for text in texts if "ten minutes" not in text or "seven days" not in text] == []


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
