"""The pages of security requirements name tests that exist, and list every requirement."""

import re
from collections import Counter
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


ASVS_PAGE = (ROOT / "docs/asvs.md").read_text(encoding="utf-8")
ASVS_ITEMS = re.findall(
    r"^- (\d+)\.(\d+\.\d+) [^:]+: (met|partly met|not met|not applicable)(; [^`]+?)?(?:\.\s+(`.*?))?\n(?=- |\n|$)",
    ASVS_PAGE + "\n",
    re.MULTILINE | re.DOTALL,
)
"""Chapter, number within it, result, reason and evidence of each requirement."""

ASVS_REQUIREMENTS = [27, 11, 19, 10, 9, 35, 18, 7, 7, 29, 14, 9, 13, 9, 13, 16, 7]
"""Number of requirements of the levels 1 and 2 by chapter."""


def test_asvs_page_has_every_requirement_of_levels_1_and_2() -> None:
    assert len(ASVS_ITEMS) == len({item[:2] for item in ASVS_ITEMS}) == len(re.findall("^- ", ASVS_PAGE, re.MULTILINE))
    counts = Counter(int(chapter) for chapter, *_ in ASVS_ITEMS)
    assert [counts[chapter] for chapter in range(1, 18)] == ASVS_REQUIREMENTS


def test_asvs_page_states_the_number_of_each_result() -> None:
    counts = Counter(result for _, _, result, _, _ in ASVS_ITEMS)
    introduction = " ".join(ASVS_PAGE.split("##", 1)[0].split())
    assert (
        f"{len(ASVS_ITEMS)} requirements, of which {counts['met']} are met, {counts['partly met']} partly met, "
        f"{counts['not met']} not met and {counts['not applicable']} not applicable."
    ) in introduction


SELF_EVIDENT = ("api-specs/", "docs/", "deploy/", "generated/", "requirements/", "pyproject.toml", "SECURITY.md")
"""Evidence that needs no test: rules that are documented or enforced by a tool."""


def test_met_requirement_names_a_test_or_a_documented_rule() -> None:
    untested = [
        f"{chapter}.{number}"
        for chapter, number, result, _, evidence in ASVS_ITEMS
        if result == "met" and "`test_" not in evidence
        if not all(name.startswith(SELF_EVIDENT) for name in re.findall(r"`([^`]+)`", evidence))
    ]
    assert untested == []


@pytest.mark.parametrize(("chapter", "number", "result", "reason", "evidence"), ASVS_ITEMS)
def test_asvs_result_has_its_evidence_or_reason(
    chapter: str, number: str, result: str, reason: str, evidence: str
) -> None:
    assert bool(evidence) == (result in ("met", "partly met")), f"{chapter}.{number}"
    assert bool(reason) == (result != "met"), f"{chapter}.{number}"
    path = ROOT
    for name in re.findall(r"`([^`]+)`", evidence):
        if name.startswith("test_"):
            assert f"def {name}(" in path.read_text(encoding="utf-8"), name
        else:
            path = ROOT / name
            assert path.exists(), name
