"""Rows as parameters of a statement: an array for each column."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Column, TableValuedAlias, bindparam, func
from sqlalchemy.dialects.postgresql import ARRAY


def build_rows(name: str, columns: Sequence[Column[Any]]) -> TableValuedAlias:
    """Build a table of rows that are given as parameters: the values of each column, see `collect_columns`."""
    arrays = (bindparam(column.name, type_=ARRAY(column.type)) for column in columns)
    return func.unnest(*arrays).table_valued(*(Column(each.name, each.type) for each in columns)).render_derived(name)


def collect_columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Return the parameters of `build_rows`, for at least one row."""
    return {name: [row[name] for row in rows] for name in rows[0]}
