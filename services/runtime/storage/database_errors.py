"""Errors of the database, as errors of the API."""

import logging

import psycopg
from psycopg_pool import PoolTimeout

from generated.problems import Reason
from services.runtime.core.errors import ApiError

log = logging.getLogger(__name__)


def raise_api_error(error: BaseException) -> None:
    """Raise ApiError for an unavailable database or a value that it cannot store; do nothing for all other errors."""
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError | PoolTimeout):
        raise ApiError(Reason.UPSTREAM_UNAVAILABLE, "The database is unavailable.", retry_after=2) from error
    if isinstance(error, psycopg.DataError):
        # For example NUL in a text or a number out of range: values from other services are not fully validated.
        log.warning("value rejected by the database: %s, SQLSTATE %s", type(error).__name__, error.sqlstate)
        raise ApiError(Reason.INVALID_REQUEST, "The database cannot store a value of the request.") from error
