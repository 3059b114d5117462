"""Advisory locks of the service."""

from enum import StrEnum, unique


@unique
class GatewayLock(StrEnum):
    """Advisory locks of the service's database."""

    VERIFICATION_CODE = "verification_code"
    """Value: user id. Serialises the use of an account's codes."""
