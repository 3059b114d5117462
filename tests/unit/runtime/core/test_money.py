"""Digits of currencies, and amounts for people in currencies of 0, 2 and 3 decimal digits."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.runtime.core.localisation import LANGUAGES
from services.runtime.core.money import MINOR_UNIT_DIGITS, format_amount


@pytest.mark.parametrize(("currency", "digits"), [("USD", 2), ("JPY", 0), ("KWD", 3), ("EUR", 2)])
def test_currency_has_digits_of_minor_unit(currency: str, digits: int) -> None:
    assert MINOR_UNIT_DIGITS[currency] == digits


@pytest.mark.parametrize("currency", ["ZZQ", "XXX", "XAU", "usd", "", "DEM"])
def test_code_that_is_no_currency_in_use_is_not_included(currency: str) -> None:
    assert currency not in MINOR_UNIT_DIGITS


@pytest.mark.parametrize(
    ("amount", "currency", "english", "german"),
    [
        (200, "USD", "$2.00", "2,00\xa0$"),
        (0, "EUR", "€0.00", "0,00\xa0€"),
        (1, "EUR", "€0.01", "0,01\xa0€"),
        (123456789, "EUR", "€1,234,567.89", "1.234.567,89\xa0€"),
        (200, "JPY", "¥200", "200\xa0¥"),
        (1234, "KWD", "KWD\xa01.234", "1,234\xa0KWD"),
        (1999, "AFN", "AFN\xa019.99", "19,99\xa0AFN"),
    ],
)
def test_amount_has_the_decimal_digits_of_its_currency(amount: int, currency: str, english: str, german: str) -> None:
    assert (format_amount(amount, currency), format_amount(amount, currency, "de")) == (english, german)


@given(st.integers(0, 2**53 - 1), st.sampled_from(sorted(MINOR_UNIT_DIGITS)), st.sampled_from(LANGUAGES))
def test_amount_is_exact(amount: int, currency: str, language: str) -> None:
    text = format_amount(amount, currency, language)
    separator = "." if language == "en" else ","
    number = "".join(character for character in text if character.isdigit() or character == separator)
    digits = MINOR_UNIT_DIGITS[currency]
    assert Decimal(number.strip(separator).replace(",", ".")) == Decimal(amount).scaleb(-digits)
