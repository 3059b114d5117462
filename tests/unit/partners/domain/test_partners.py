"""Partners: basket prices and active webhook secrets."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generated.problems import PROBLEMS, Reason
from services.partners.domain import partners as partner_rules
from services.partners.domain.partners import BasketLine, Offer, Partner
from services.runtime.core.errors import ApiError
from tests.unit.fake_transactions import NOW, raises_reason

PARTNER = Partner(1, "Green Bowl", "B", "+1", "b@delivery.test", "1 Market Square", "http://k.test", True, True, b"new")
OFFERS = {1: Offer(1, "Lemonade", 100, "USD"), 3: Offer(3, "Margherita", 1500, "USD"), 9: Offer(9, "Tee", 200, "EUR")}


@given(
    quantities=st.lists(st.integers(1, 99), min_size=2, max_size=2),
    tip=st.integers(0, 1000),
    fee=st.integers(0, 1000),
    error=st.integers(-3, 3),
)
def test_price_basket_requires_correct_total(quantities: list[int], tip: int, fee: int, error: int) -> None:
    lines = [BasketLine(1, quantities[0]), BasketLine(3, quantities[1])]
    correct_total = 100 * quantities[0] + 1500 * quantities[1] + tip + fee
    if error == 0:
        priced = partner_rules.price_basket(lines, OFFERS, correct_total, "USD", tip, fee)
        assert [line.price for line in priced] == [100, 1500]
        return
    with pytest.raises(ApiError) as raised:
        partner_rules.price_basket(lines, OFFERS, correct_total + error, "USD", tip, fee)
    assert raised.value.reason is Reason.TOTAL_MISMATCH
    assert raised.value.members == {"total_amount": correct_total, "delivery_fee": fee, "currency": "USD"}
    assert raised.value.detail == f"At the partner's current prices, the total is ${correct_total / 100:,.2f}."


def test_description_of_wrong_total_names_its_members() -> None:
    with raises_reason(Reason.TOTAL_MISMATCH) as raised:
        partner_rules.price_basket([BasketLine(1, 1)], OFFERS, 1, "USD")
    assert {*re.findall("`(.+?)`", PROBLEMS[Reason.TOTAL_MISMATCH].description)} == {"total_amount"}
    assert "total_amount" in raised.value.members


@pytest.mark.parametrize(("product_id", "reason"), [(2, Reason.PRODUCT_UNAVAILABLE), (9, Reason.CURRENCY_MISMATCH)])
def test_price_basket_names_invalid_lines(product_id: int, reason: Reason) -> None:
    with pytest.raises(ApiError) as raised:
        partner_rules.price_basket([BasketLine(1, 1), BasketLine(product_id, 1)], OFFERS, 100, "USD")
    assert raised.value.reason is reason
    assert [error.field for error in raised.value.errors] == ["lines[1].product_id"]


def test_total_contains_delivery_fee_in_its_currency() -> None:
    partner, lines = replace(PARTNER, delivery_fee=250), [BasketLine(1, 2)]
    assert partner_rules.check_basket(partner, NOW, lines, OFFERS, 500, "USD", 50)
    with raises_reason(Reason.TOTAL_MISMATCH) as raised:
        partner_rules.check_basket(partner, NOW, lines, OFFERS, 250, "USD", 50)
    assert raised.value.members == {"total_amount": 500, "delivery_fee": 250, "currency": "USD"}
    with raises_reason(Reason.CURRENCY_MISMATCH) as raised:
        partner_rules.check_basket(replace(partner, delivery_fee_currency="EUR"), NOW, lines, OFFERS, 450, "USD")
    assert raised.value.members == {"currency": "EUR"}


def test_currency_of_absent_delivery_fee_does_not_matter() -> None:
    partner = replace(PARTNER, delivery_fee=0, delivery_fee_currency="EUR")
    assert partner_rules.check_basket(partner, NOW, [BasketLine(1, 2)], OFFERS, 200, "USD")


def test_withdrawn_product_precedes_currency_of_delivery_fee() -> None:
    partner = replace(PARTNER, delivery_fee=250, delivery_fee_currency="EUR")
    with raises_reason(Reason.PRODUCT_UNAVAILABLE):
        partner_rules.check_basket(partner, NOW, [BasketLine(1, 1), BasketLine(2, 1)], OFFERS, 450, "USD")
