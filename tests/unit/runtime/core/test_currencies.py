"""Currencies of ISO 4217."""

import pytest

from services.runtime.core.currencies import MINOR_UNIT_DIGITS


@pytest.mark.parametrize(("currency", "digits"), [("USD", 2), ("JPY", 0), ("KWD", 3), ("EUR", 2)])
def test_currency_has_digits_of_minor_unit(currency: str, digits: int) -> None:
    assert MINOR_UNIT_DIGITS[currency] == digits


@pytest.mark.parametrize("currency", ["ZZQ", "XXX", "XAU", "usd", "", "DEM"])
def test_code_that_is_no_currency_in_use_is_not_included(currency: str) -> None:
    assert currency not in MINOR_UNIT_DIGITS
