"""Rule of new passwords: common ones are rejected, whatever characters they contain."""

from zxcvbn.frequency_lists import FREQUENCY_LISTS

from generated.problems import Reason
from services.runtime.core.errors import ApiError

MIN_LENGTH = 8
"""Minimum length of a new password in the contract."""

COMMON_PASSWORDS = frozenset(each for each in FREQUENCY_LISTS["passwords"] if len(each) >= MIN_LENGTH)
"""The most common passwords of published breaches, in lower case."""


def validate_password(password: str) -> None:
    """Reject a common password in any case. Raises ApiError: PASSWORD_COMMON."""
    if password.lower() in COMMON_PASSWORDS:
        raise ApiError(Reason.PASSWORD_COMMON)
