"""Commands of docs/rotation.md."""

from tests.conftest import ROOT
from tests.docs.steps import parse_steps


def list_blocks(title: str, language: str) -> list[str]:
    """Return the blocks of a language in a section."""
    page = (ROOT / "docs/rotation.md").read_text(encoding="utf-8")
    [section] = [part for part in page.split("\n##") if part.lstrip("# ").startswith(f"{title}\n")]
    return [step.text for step in parse_steps(section) if step.language == language]
