"""Currencies of ISO 4217."""

from collections.abc import Mapping

from iso4217 import Currency

MINOR_UNIT_DIGITS: Mapping[str, int] = {
    currency.code: currency.exponent for currency in Currency if currency.exponent is not None
}
"""Decimal digits of the minor unit by currency code. Funds and metals, which have no minor unit, are not included."""
