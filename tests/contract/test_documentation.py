"""Links and commands in the documentation, and compilation of its TypeScript examples."""

import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from services.orders.settings import Settings
from tests.conftest import ROOT
from tests.typescript_client import run_node

LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]*))?\)")
HEADING = re.compile(r"^#{1,6} +(.+?)(?: +#+)?$", re.MULTILINE)
FENCED_BLOCK = re.compile(r"^ *```(.*?)^ *```$", re.DOTALL | re.MULTILINE)
PYTHON_COMMAND = re.compile(r"(?:^|[`|;&(]) *(python [^`\n]+)", re.MULTILINE)
"""Command `python` at the beginning of a line, of inline code, or after another command of a shell."""

BLOCK = re.compile(r"^```ts\n(.*?)^```$", re.DOTALL | re.MULTILINE)

PAGES = [
    ROOT / name
    for name in subprocess.check_output(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"], cwd=ROOT, text=True, encoding="utf-8"
    ).split()
]


for_each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


@cache
def list_anchors(page: Path) -> set[str]:
    """Return the fragments of a page's headings, as GitHub generates them."""
    anchors, counts = set[str](), Counter[str]()
    for heading in HEADING.findall(FENCED_BLOCK.sub("", page.read_text(encoding="utf-8"))):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
        anchors.add(f"{slug}-{counts[slug]}" if counts[slug] else slug)
        counts[slug] += 1
    return anchors


def find_broken_links(page: Path) -> Iterator[str]:
    """Yield the relative links of a page to missing files and headings."""
    for path, fragment in LINK.findall(page.read_text(encoding="utf-8")):
        target = page.parent / path if path else page
        if not target.exists() or (fragment and fragment not in list_anchors(target)):
            yield f"{path}#{fragment}" if fragment else path


def find_python_commands(text: str) -> Iterator[str]:
    """Yield the commands `python` of a page, which Debian does not have outside of a virtual environment."""
    yield from PYTHON_COMMAND.findall(text)


@for_each_page
def test_links_resolve(page: Path) -> None:
    assert [*find_broken_links(page)] == []


def test_broken_link_is_found(tmp_path: Path) -> None:
    page, other = tmp_path / "page.md", tmp_path / "other.md"
    other.write_text(
        "# Other\n\n## A `b` of [c](d.md), e\n\n```\n# comment\n```\n\n## Twice\n\n## Twice\n", encoding="utf-8"
    )
    valid = ("other.md", "other.md#a-b-of-c-e", "other.md#twice-1", "#page", "https://x.test#y", "mailto:a@x.test")
    broken = ("missing.md", "other.md#comment", "other.md#twice-2", "#other")
    page.write_text("# Page\n\n" + "\n".join(f"[x]({link})" for link in (*valid, *broken)), encoding="utf-8")
    assert [*find_broken_links(page)] == [*broken]


@for_each_page
def test_commands_name_an_existing_python(page: Path) -> None:
    assert [*find_python_commands(page.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize(
    ("text", "is_found"),
    [
        ("```\npython -m deploy.cluster\n```", True),
        ("| `python -m deploy.kubernetes.secrets` | text |", True),
        ("    cat url | python -m json.tool", True),
        ("token=$(python admin_token.py)", True),
        ("```\npython3 -m venv\n.venv/bin/python -m deploy.cluster\n```", False),
        ("`kubectl exec deploy/orders -- python -m services.orders`", False),
        ("```python\nimport sys\n```", False),
        ("`uv python install 3.13`", False),
    ],
)
def test_command_without_virtual_environment_is_found(text: str, is_found: bool) -> None:
    assert bool([*find_python_commands(text)]) == is_found


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
