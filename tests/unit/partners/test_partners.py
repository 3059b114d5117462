"""What a basket costs at a partner, and which secrets are good."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generated.problems import Reason
from services.partners.domain import partners as partner_rules
from services.partners.domain.partners import BasketLine, Offer, Partner
from services.runtime.core.errors import ApiError

PARTNER = Partner(1, "Green Bowl", "B", "+1", "b@delivery.test", "1 Market Square", "http://k.test", True, True, b"new")
OFFERS = {1: Offer(1, "Lemonade", 100, "USD"), 3: Offer(3, "Margherita", 1500, "USD"), 9: Offer(9, "Tee", 200, "EUR")}


@given(quantities=st.lists(st.integers(1, 99), min_size=2, max_size=2), off=st.integers(-3, 3))
def test_only_the_right_total_is_taken_and_the_answer_names_it(quantities: list[int], off: int) -> None:
    lines = [BasketLine(1, quantities[0]), BasketLine(3, quantities[1])]
    right = 100 * quantities[0] + 1500 * quantities[1]
    if off == 0:
        assert [line.price for line in partner_rules.price_basket(lines, OFFERS, right, "USD")] == [100, 1500]
        return
    with pytest.raises(ApiError) as refused:
        partner_rules.price_basket(lines, OFFERS, right + off, "USD")
    assert refused.value.reason is Reason.TOTAL_MISMATCH
    assert str(right) in refused.value.errors[0].message


@pytest.mark.parametrize(("product_id", "reason"), [(2, Reason.PRODUCT_UNAVAILABLE), (9, Reason.CURRENCY_MISMATCH)])
def test_each_wrong_line_is_named(product_id: int, reason: Reason) -> None:
    with pytest.raises(ApiError) as refused:
        partner_rules.price_basket([BasketLine(1, 1), BasketLine(product_id, 1)], OFFERS, 100, "USD")
    assert refused.value.reason is reason
    assert [error.field for error in refused.value.errors] == ["/items/1/product_id"]


@given(age=st.timedeltas(timedelta(0), timedelta(days=3)))
def test_an_old_secret_is_good_for_a_day(age: timedelta) -> None:
    rotated = datetime(2026, 1, 1, tzinfo=UTC)
    partner = replace(PARTNER, old_secret=b"old", old_secret_until=rotated + partner_rules.SECRET_OVERLAP)
    assert partner.active_encrypted_secrets(rotated + age) == (
        [b"new", b"old"] if age < timedelta(hours=24) else [b"new"]
    )
