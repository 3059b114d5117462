"""Combination of data-modifying statements into one statement, which takes one round trip instead of one for each."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

_PARAMETER = re.compile(rb"%\((\w+)\)s")
_END_OF_CTE = re.compile(rb"\)\n (?=INSERT|UPDATE|DELETE)")


class DataModification(Protocol):
    """INSERT, UPDATE or DELETE of a table, with at most one common table expression."""

    sql: bytes
    operation: str
    collection: str
    inserted_tables: frozenset[str]


class DeferredStatement[S: DataModification](NamedTuple):
    """Statement to execute later with its values. `missing_row_error` is raised if it changes no row."""

    statement: S
    values: Mapping[str, Any]
    missing_row_error: Exception | None

    @property
    def is_plain_insert(self) -> bool:
        """Return whether the statement can only add rows."""
        return self.statement.operation == "INSERT" and b" ON CONFLICT " not in self.statement.sql


class CombinedStatement(NamedTuple):
    """Statement with the effects of several, which returns the array `row_counts` with the number of rows of each."""

    sql: bytes
    operation: str
    collection: str
    summary: str
    inserted_tables: frozenset[str]


@lru_cache(maxsize=256)
def combine(statements: tuple[DataModification, ...], must_change: tuple[bool, ...] = ()) -> CombinedStatement:
    """Combine statements, which do not see each other's changes and must not change the same rows.

    If one with `must_change` changes no row, the combined statement fails with DivisionByZero and changes nothing.
    """
    expressions: list[bytes] = []
    for index, statement in enumerate(statements):
        sql = _PARAMETER.sub(rb"%%(p%d_\1)s" % index, statement.sql)
        *cte, modification = _END_OF_CTE.split(sql, maxsplit=1)
        returning = b"" if b" RETURNING " in modification else b" RETURNING 1"
        expressions += [each.removeprefix(b"WITH ") + b")" for each in cte]
        expressions.append(b"s%d AS (%b%b)" % (index, modification, returning))
    counts = b", ".join(
        b"(SELECT count(*)%b FROM s%d)" % (b" / least(count(*), 1)" if each else b"", index)
        for index, each in enumerate(must_change or (False,) * len(statements))
    )
    summaries = dict.fromkeys(f"{statement.operation} {statement.collection}" for statement in statements)
    return CombinedStatement(
        b"WITH %b SELECT ARRAY[%b] AS row_counts" % (b", ".join(expressions), counts),
        statements[0].operation,
        statements[0].collection,
        " ".join(summaries),
        frozenset[str]().union(*(statement.inserted_tables for statement in statements)),
    )


def combine_values(deferred: Iterable[DeferredStatement[Any]]) -> dict[str, Any]:
    """Return the parameters of the combined statement."""
    return {f"p{index}_{name}": value for index, each in enumerate(deferred) for name, value in each.values.items()}


def split_combinable[S: DataModification](
    deferred: Sequence[DeferredStatement[S]],
) -> Iterator[Sequence[DeferredStatement[S]]]:
    """Split statements into groups that can be combined, in their order.

    Two statements on one table are combined only if both of them insert rows, since they could change the same row.
    """
    group: list[DeferredStatement[S]] = []
    for each in deferred:
        same_table = [other for other in group if other.statement.collection == each.statement.collection]
        if any(not (other.is_plain_insert and each.is_plain_insert) for other in same_table):
            yield group
            group = []
        group.append(each)
    if group:
        yield group
