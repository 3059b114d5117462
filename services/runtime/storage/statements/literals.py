"""Constants of a statement as literals, with which a generic plan can use partial indexes."""

import re
from typing import Any

from psycopg.sql import Literal
from sqlalchemy.sql.compiler import SQLCompiler

_PARAMETER = re.compile(r"%\((\w+)\)s")


def render_constants(compiled: SQLCompiler) -> tuple[bytes, dict[str, Any]]:
    """Return the SQL for psycopg with texts and numbers as literals, and the default values of other parameters.

    The literals are the constants in the source code, which have no parameter name of their own.
    """
    literals, defaults = {}, {}
    for name, value in compiled.params.items():
        if compiled.binds[name].unique and isinstance(value, str | int):
            literal = Literal(str(value) if isinstance(value, str) else value).as_string()
            literals[name] = literal.replace("%", "%%")
        elif value is not None:
            defaults[name] = value
    sql = _PARAMETER.sub(lambda match: literals.get(match[1], match[0]), str(compiled))
    return sql.encode(), defaults
