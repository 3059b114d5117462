"""Delivery addresses and positions."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Coordinates:
    """Position in degrees (WGS 84)."""

    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True)
class Address:
    """Parts of a delivery address; `country` is a code of ISO 3166-1."""

    street: str
    city: str
    country: str
    unit: str | None = None
    postal_code: str | None = None
    region: str | None = None
    coordinates: Coordinates | None = None


@dataclass(frozen=True, slots=True)
class DelivererPosition:
    """Latest position of the deliverer of an order, in degrees (WGS 84)."""

    order_id: str
    latitude: float
    longitude: float
    at: datetime
