"""Operation and tables of a statement, for the names of spans, the attributes of metrics and hooks."""

import re
from collections.abc import Iterator

from sqlalchemy import CTE, Select, Table
from sqlalchemy.sql import visitors
from sqlalchemy.sql.dml import UpdateBase
from sqlalchemy.sql.elements import ClauseElement
from sqlalchemy.sql.functions import Function

_INSERTION = re.compile(rb"\bINSERT INTO (\w+)")
_CHANGE_OR_LOCK = re.compile(rb"\b(INSERT|UPDATE|DELETE|FOR (KEY )?SHARE|pg_(try_)?advisory_\w+)\b")


def find_inserted_tables(sql: bytes) -> frozenset[str]:
    """Return the tables into which a compiled statement inserts rows."""
    return frozenset(name.decode() for name in _INSERTION.findall(sql))


def is_read_without_locks(sql: bytes) -> bool:
    """Return whether a compiled statement neither changes nor locks anything."""
    return _CHANGE_OR_LOCK.search(sql) is None


def describe_statement(statement: ClauseElement) -> tuple[str, str]:
    """Return the operation and the first table of a statement, such as ("UPDATE", "loans").

    A data-modifying CTE takes precedence over the outer statement.
    """
    cte_statements = (each.element for each in visitors.iterate(statement) if isinstance(each, CTE))
    statement = next((each for each in cte_statements if isinstance(each, UpdateBase)), statement)
    if isinstance(statement, UpdateBase) and isinstance(statement.table, Table):
        return statement.__visit_name__.upper(), statement.table.name
    if isinstance(statement, Select):
        tables = (name for clause in statement.get_final_froms() for name in _find_tables(clause))
        functions = (each.name for each in visitors.iterate(statement) if isinstance(each, Function))
        return "SELECT", next(tables, None) or next(functions, "")
    return str(statement).split(maxsplit=1)[0].upper(), ""


def _find_tables(element: ClauseElement) -> Iterator[str]:
    return (each.name for each in visitors.iterate(element) if isinstance(each, Table))
