"""Advisory locks of the service."""

from enum import StrEnum, unique


@unique
class OrdersLock(StrEnum):
    """Advisory locks of the service's database."""

    PAYMENT = "payment"
    """Values: bank id, payment id."""

    RECONCILIATION = "reconciliation"
