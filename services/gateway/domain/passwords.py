"""Rule of new passwords: common ones are rejected, whatever characters they contain."""

from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path

from generated.problems import Reason
from services.runtime.core.errors import ApiError

MIN_LENGTH = 8
"""Minimum length of a new password in the contract."""


def _load_common_passwords() -> frozenset[str]:
    """Load the list of zxcvbn without the package, whose dictionaries of words and names take 12 MB.

    Raises ImportError.
    """
    package = find_spec("zxcvbn")
    if package is None or package.origin is None:
        raise ImportError("zxcvbn is not installed")
    spec = spec_from_file_location("frequency_lists", Path(package.origin).with_name("frequency_lists.py"))
    if spec is None or spec.loader is None:
        raise ImportError("zxcvbn has no frequency lists")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    passwords: list[str] = module.FREQUENCY_LISTS["passwords"]
    return frozenset(each for each in passwords if len(each) >= MIN_LENGTH)


COMMON_PASSWORDS = _load_common_passwords()
"""The most common passwords of published breaches, in lower case."""


def validate_password(password: str) -> None:
    """Reject a common password in any case. Raises ApiError: PASSWORD_COMMON."""
    if password.lower() in COMMON_PASSWORDS:
        raise ApiError(Reason.PASSWORD_COMMON)
