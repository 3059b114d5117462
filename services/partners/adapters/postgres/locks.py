"""Advisory locks of the service."""

from enum import StrEnum, unique


@unique
class PartnersLock(StrEnum):
    """Advisory locks of the service's database."""

    ORDER_CALLS = "order_calls"
    """Value: order id. Serialises the planning of calls to partner systems."""

    PARTNER_CIRCUIT_BREAKER = "partner_circuit_breaker"
    """Value: partner id."""
