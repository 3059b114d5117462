"""SQL expression in which texts are searched without regard to case and Unicode form."""

from sqlalchemy import ColumnElement, func
from sqlalchemy import text as text_clause


def normalise_case(text: ColumnElement[str]) -> ColumnElement[str]:
    """Return the form in which texts are compared: in NFC, without differences of case.

    Only the database folds case, so that a stored text and a searched one have the same form. `lower` does not change
    the final form of the Greek sigma, which has the same capital. Both forms are constants, as in indexes.
    """
    lower = func.lower(func.normalize(text))
    return func.translate(lower, text_clause("'ς'::text"), text_clause("'σ'::text"))
