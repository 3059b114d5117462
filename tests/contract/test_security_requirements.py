"""The page of security requirements names tests that exist."""

import re
from pathlib import Path

import pytest

from tests.conftest import ROOT

PAGE = (ROOT / "docs/security-requirements.md").read_text(encoding="utf-8")
NAMED_TESTS = sorted(set(re.findall(r"- `(tests/[^`]+)`:\s+`(\w+)`", PAGE)))
OWASP_API_TITLES = [f"API{number}:2023" for number in range(1, 11)]
ASVS_CHAPTERS = [f"V{number}" for number in range(1, 18)]


@pytest.mark.parametrize(("path", "name"), NAMED_TESTS)
def test_named_test_exists(path: str, name: str) -> None:
    assert f"def {name}(" in (ROOT / Path(path)).read_text(encoding="utf-8")


def test_page_has_every_item_of_both_standards() -> None:
    assert re.findall(r"^### (\S+)", PAGE, re.MULTILINE) == [*OWASP_API_TITLES, *ASVS_CHAPTERS]


def test_every_test_on_the_page_is_recognised() -> None:
    assert PAGE.count("`test_") == len(re.findall(r"- `(tests/[^`]+)`:\s+`(\w+)`", PAGE)) > 0
