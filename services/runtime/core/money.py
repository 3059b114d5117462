"""Currencies of ISO 4217, and amounts for people in major units."""

import copy
import re
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache

from babel import Locale
from babel.numbers import NumberPattern
from iso4217 import Currency

MINOR_UNIT_DIGITS: Mapping[str, int] = {
    currency.code: currency.exponent for currency in Currency if currency.exponent is not None
}
"""Decimal digits of the minor unit by currency code. Funds and metals, which have no minor unit, are not included."""

_DEFAULT_DIGITS = 2

_CODE_BEFORE_DIGIT = re.compile(r"(?<=[^\W\d_])(?=\d)")
"""Position of the space that CLDR puts between a currency code and the amount, and Babel does not."""


@lru_cache(maxsize=64)
def _build_pattern(language: str, digits: int) -> NumberPattern:
    """Return the currency pattern of a language with the decimal digits of ISO 4217, which CLDR changes for some."""
    pattern: NumberPattern = copy.copy(Locale.parse(language).currency_formats["standard"])
    pattern.frac_prec = (digits, digits)
    return pattern


def convert_to_major_units(minor_units: int, currency: str) -> Decimal:
    """Return an amount with the decimal digits of its currency, or two for an unknown currency."""
    return Decimal(minor_units).scaleb(-MINOR_UNIT_DIGITS.get(currency, _DEFAULT_DIGITS))


def format_amount(minor_units: int, currency: str, language: str = "en") -> str:
    """Return an amount with its currency: 200 USD is "$2.00" in English and "2,00 $" in German."""
    amount = convert_to_major_units(minor_units, currency)
    pattern = _build_pattern(language, MINOR_UNIT_DIGITS.get(currency, _DEFAULT_DIGITS))
    text = pattern.apply(amount, Locale.parse(language), currency=currency, currency_digits=False)
    return _CODE_BEFORE_DIGIT.sub("\N{NO-BREAK SPACE}", text)
