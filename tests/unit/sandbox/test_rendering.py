"""Pages: money, escaping, security headers and templates."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import UndefinedError

from services.runtime.core.money import MINOR_UNIT_DIGITS
from services.sandbox.rendering import DEMO_BANKS, DEMO_PARTNERS, DEMO_USERS, PageRenderer, format_money
from tests.unit.sandbox.components import create_client


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        (0, "USD", "0.00 USD"),
        (5, "USD", "0.05 USD"),
        (1234, "EUR", "12.34 EUR"),
        (1234, "JPY", "1234 JPY"),
        (0, "JPY", "0 JPY"),
        (5, "KWD", "0.005 KWD"),
        (1234, "JOD", "1.234 JOD"),
        (1234, "XOF", "1234 XOF"),
        (12345, "CLF", "1.2345 CLF"),
        (2**53 - 1, "USD", "90071992547409.91 USD"),
    ],
)
def test_format_money_is_exact(amount: int, currency: str, text: str) -> None:
    assert format_money(amount, currency) == text


@given(amount=st.integers(0, 2**53 - 1), currency=st.sampled_from(sorted(MINOR_UNIT_DIGITS)))
def test_digits_of_an_amount_are_unchanged(amount: int, currency: str) -> None:
    digits, _, suffix = format_money(amount, currency).partition(" ")
    assert int(digits.replace(".", "")) == amount
    assert len(digits.partition(".")[2]) == MINOR_UNIT_DIGITS[currency]
    assert suffix == currency


async def test_index_page_links_every_demo_party(renderer: PageRenderer) -> None:
    response = await create_client(renderer).get("/")
    assert response.status_code == 200
    links = re.findall(r'href="([^"]+)"', response.text)
    assert {f"/checkout/{bank}" for bank in DEMO_BANKS} <= {*links}
    assert {f"/kitchen/{partner}" for partner in DEMO_PARTNERS} <= {*links}
    assert {f"/devices?token=demo-{user}" for user in DEMO_USERS} <= {*links}


async def test_page_forbids_scripts_framing_and_caching(renderer: PageRenderer) -> None:
    headers = (await create_client(renderer).get("/")).headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"


async def test_stylesheet_may_be_cached(renderer: PageRenderer) -> None:
    response = await create_client(renderer).get("/style.css")
    assert response.headers["content-type"] == "text/css; charset=utf-8"
    assert response.headers["cache-control"] == "max-age=300"


def test_values_are_escaped(renderer: PageRenderer) -> None:
    response = renderer.render("mailbox.html", address="<script>alert(1)</script>", mails=[], mailboxes=[])
    assert b"<script>" not in response.body
    assert b"&lt;script&gt;" in response.body


def test_missing_value_is_an_error(renderer: PageRenderer) -> None:
    with pytest.raises(UndefinedError):
        renderer.render("mailbox.html", address="")
