"""Placeholders of prepared statements. Their execution is tested with a real server."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.runtime.storage.transactions.prepared_statements import convert_placeholders


@pytest.mark.parametrize(
    ("sql", "expected", "names"),
    [
        (b"SELECT 1", b"SELECT 1", []),
        (b"SELECT %(a)s::TEXT, %(b)s", b"SELECT $1::TEXT, $2", ["a", "b"]),
        (b"SELECT %(b)s, %(a)s, %(b)s", b"SELECT $1, $2, $1", ["b", "a"]),
        (b"SELECT '%%', 7 %% %(a)s, '%%(b)s'", b"SELECT '%', 7 % $1, '%(b)s'", ["a"]),
        ("SELECT 'ä', %(a)s".encode(), "SELECT 'ä', $1".encode(), ["a"]),
    ],
)
def test_placeholders_become_numbered_parameters(sql: bytes, expected: bytes, names: list[str]) -> None:
    assert convert_placeholders(sql) == (expected, names)


@given(st.lists(st.text("abc_1", min_size=1, max_size=3) | st.just("%"), max_size=12))
def test_parameter_has_the_position_of_its_name(parts: list[str]) -> None:
    sql = " ".join("%%" if part == "%" else f"%({part})s" for part in parts).encode()
    converted, names = convert_placeholders(sql)
    assert len(set(names)) == len(names)

    def restore(match: re.Match[str]) -> str:
        return "%%" if match[0] == "%" else f"%({names[int(match[1]) - 1]})s"

    assert re.sub(r"%|\$(\d+)", restore, converted.decode()) == sql.decode()
