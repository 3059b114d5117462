"""Tables of docs/scale.md, which the tests compare with the statements and constraints of orders."""

import re
from collections.abc import Iterator

from tests.conftest import ROOT

SCALE_DOCUMENT = ROOT / "docs/scale.md"
REPLICATED = "replicated"
"""Distribution of a table that each node has completely."""


def iter_rows(heading: str) -> Iterator[list[str]]:
    """Yield the cells of the table below a heading, without its header."""
    text = SCALE_DOCUMENT.read_text(encoding="utf-8")
    _, _, section = text.partition(f"## {heading}\n")
    section = re.split(r"(?m)^#", section)[0]
    rows = [line for line in section.splitlines() if line.startswith("|")]
    for row in rows[2:]:
        yield [cell.strip() for cell in row.strip("|").split(" | ")]


def find_names(cell: str) -> list[str]:
    """Return the names in backticks."""
    return re.findall(r"`([^`]+)`", cell)


def read_distribution() -> dict[str, str]:
    """Return the distribution column of each table, or REPLICATED."""
    columns = {}
    for tables, column, *_ in iter_rows("Tables"):
        columns |= dict.fromkeys(find_names(tables), REPLICATED if column == REPLICATED else find_names(column)[0])
    return columns


def read_keys_without_column() -> set[str]:
    """Return the unique constraints and indexes that do not contain the distribution column of their table."""
    return {name for _, _, keys in iter_rows("Tables") for name in find_names(keys)}
