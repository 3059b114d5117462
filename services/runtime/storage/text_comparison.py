"""SQL expression in which texts are searched without regard to case and Unicode form."""

from sqlalchemy import ColumnElement, func


def normalise_case(text: ColumnElement[str]) -> ColumnElement[str]:
    """Return the form in which texts are compared: in NFC, without differences of case.

    Only the database folds case, so that a stored text and a searched one have the same form. `lower` maps İ to i,
    which `casefold` does not; `casefold` (PostgreSQL 18) maps the final ς to σ, which `lower` does not.
    """
    return func.casefold(func.lower(func.normalize(text)))
