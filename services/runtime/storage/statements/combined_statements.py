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
    """Statement with the effects of several."""

    sql: bytes
    operation: str
    collection: str
    summary: str
    inserted_tables: frozenset[str]


@lru_cache(maxsize=256)
def combine(statements: tuple[DataModification, ...]) -> CombinedStatement:
    """Combine statements, which do not see each other's changes and must not change the same rows.

    The result is the array `row_counts` with the number of rows of each.
    """
    counts = b", ".join(b"(SELECT count(*) FROM s%d)" % index for index in range(len(statements)))
    return _combine(statements, [True] * len(statements), b"ARRAY[%b] AS row_counts" % counts)


@lru_cache(maxsize=256)
def combine_with_conditions(
    statements: tuple[DataModification, ...], must_change: tuple[bool, ...]
) -> CombinedStatement:
    """Combine statements as `combine`, without counts of rows, which take a seventh of the time.

    If one with `must_change` changes no row, the combined statement fails with DivisionByZero and changes nothing.
    """
    conditions = [b"1 / (SELECT count(*) FROM s%d)" % index for index, each in enumerate(must_change) if each]
    return _combine(statements, must_change, b", ".join(conditions) or b"1")


def _combine(statements: Sequence[DataModification], are_counted: Sequence[bool], result: bytes) -> CombinedStatement:
    expressions: list[bytes] = []
    for index, (statement, is_counted) in enumerate(zip(statements, are_counted, strict=True)):
        sql = _PARAMETER.sub(rb"%%(p%d_\1)s" % index, statement.sql)
        *cte, modification = _END_OF_CTE.split(sql, maxsplit=1)
        returning = b" RETURNING 1" if is_counted and b" RETURNING " not in modification else b""
        expressions += [each.removeprefix(b"WITH ") + b")" for each in cte]
        expressions.append(b"s%d AS (%b%b)" % (index, modification, returning))
    summaries = dict.fromkeys(f"{statement.operation} {statement.collection}" for statement in statements)
    return CombinedStatement(
        b"WITH %b SELECT %b" % (b", ".join(expressions), result),
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
