"""Payment instructions of orders, signed as the contract of banks defines."""

import base64
import hmac
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.fernet import Fernet

from services.orders.entrypoints.payment_instructions import PaymentInstructionsBuilder
from services.runtime.storage.encryption import SecretBox
from tests.unit.fake_transactions import NOW
from tests.unit.orders.fakes import BANK, build_order

SECRET, OLD_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
SECRET_BOX = SecretBox(Fernet.generate_key().decode())
BUILDER = PaymentInstructionsBuilder("https://api.test", SECRET_BOX, lambda: NOW)
BANK_WITH_SECRETS = replace(
    BANK,
    webhook_secret=SECRET_BOX.encrypt(SECRET),
    old_secret=SECRET_BOX.encrypt(OLD_SECRET),
    old_secret_until=NOW + timedelta(hours=1),
)


def sign_checkout(
    secret: str, query: Mapping[str, list[str]], signed: tuple[str, ...] = ("amount", "currency", "callback_url")
) -> str:
    """Return the signature that the contract of banks defines."""
    names = ("order_id", "timestamp", *signed)
    content = ".".join(query[name][0] for name in names).encode()
    digest = hmac.digest(base64.b64decode(secret.removeprefix("whsec_")), content, "sha256")
    return f"v1,{base64.b64encode(digest).decode()}"


@pytest.mark.parametrize(
    "webcheckout_url", ["https://visa.test/pay", "https://visa.test/pay?shop=1", "https://visa.test/pay?"]
)
def test_payment_instructions_contain_order_and_callback(webcheckout_url: str) -> None:
    order = build_order()
    payment = BUILDER.build(order, replace(BANK_WITH_SECRETS, webcheckout_url=webcheckout_url))
    assert payment.callback_url == "https://api.test/api/v1/callbacks/payments/visa"
    url = urlsplit(payment.webcheckout_url)
    query = parse_qs(url.query, strict_parsing=url.query[0] != "&")
    assert f"{url.scheme}://{url.netloc}{url.path}" == "https://visa.test/pay"
    assert query.get("shop", ["1"]) == ["1"]
    assert {name: values for name, values in query.items() if name != "shop"} == {
        "order_id": ["o1"],
        "amount": ["200"],
        "currency": ["USD"],
        "callback_url": [payment.callback_url],
        "timestamp": [str(int(order.created_at.timestamp()))],
        "signature": [" ".join(sign_checkout(secret, query) for secret in (SECRET, OLD_SECRET))],
    }


@pytest.mark.parametrize(
    ("return_url", "expected"),
    [
        ("https://app.test/orders", "https://app.test/orders?order_id=o1"),
        ("https://app.test/?tab=1&order_id=o2#/orders", "https://app.test/?tab=1&order_id=o1#/orders"),
    ],
)
def test_return_url_contains_order_and_is_signed(return_url: str, expected: str) -> None:
    without = BUILDER.build(build_order(), BANK_WITH_SECRETS).webcheckout_url
    url = BUILDER.build(build_order(), BANK_WITH_SECRETS, return_url).webcheckout_url
    assert url.startswith(f"{without}&return_url=")
    query = parse_qs(urlsplit(url).query, strict_parsing=True)
    assert query["return_url"] == [expected]
    signatures = [sign_checkout(secret, query, ("return_url",)) for secret in (SECRET, OLD_SECRET)]
    assert query["return_url_signature"] == [" ".join(signatures)]
