"""Rules of the data of accounts that the contract's schemas cannot express."""

from datetime import UTC, date, datetime, timedelta

from generated.problems import Reason
from services.runtime.core.errors import ApiError
from services.runtime.core.time_zones import TIME_ZONES

MAX_UTC_OFFSET = timedelta(hours=14)
"""Largest offset of a time zone from UTC."""


def validate_time_zone(time_zone: str | None) -> None:
    """Check that a time zone is in the IANA database.

    Raises ApiError: TIME_ZONE_UNKNOWN.
    """
    if time_zone is not None and time_zone not in TIME_ZONES:
        raise ApiError(Reason.TIME_ZONE_UNKNOWN)


def validate_birth_date(birth_date: date | None, now: datetime) -> None:
    """Check that a birth date is not in the future in the time zone that is the furthest ahead.

    Raises ApiError: BIRTH_DATE_IN_FUTURE.
    """
    if birth_date is not None and birth_date > (now.astimezone(UTC) + MAX_UTC_OFFSET).date():
        raise ApiError(Reason.BIRTH_DATE_IN_FUTURE)


def validate_email(email: str) -> None:
    """Check that the identity provider and mail servers process an address, which the contract's format allows.

    Quoted local parts, address literals and encoded words are rejected.

    Raises ApiError: ACCOUNT_REFUSED.
    """
    if email.startswith('"') or email.endswith("]") or "=?" in email:
        raise ApiError(
            Reason.ACCOUNT_REFUSED,
            "This form of e-mail address is not supported. Use an address without quotation marks and brackets.",
        )
