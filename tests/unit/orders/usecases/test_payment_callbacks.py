"""Payment callbacks: decoding of the body, and its order relative to the signature check."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from cryptography.fernet import Fernet

from generated.problems import Reason
from services.orders import usecases
from services.orders.domain.orders import Bank
from services.orders.domain.payments import Payment
from services.orders.entrypoints.payment_callback import decode_payment
from services.orders.usecases.banks import generate_secret
from services.runtime.core.errors import ApiError
from services.runtime.outbound import webhooks
from services.runtime.outbound.webhooks import SignedRequest
from services.runtime.storage.encryption import SecretBox

NOW = datetime.now(UTC)
SECRET_BOX = SecretBox(Fernet.generate_key().decode())
SECRET = generate_secret()
BANK = Bank("visa", "Visa", "http://pay.test/", "http://bank.test/", True, SECRET_BOX.encrypt(SECRET))
BODY = {"payment_id": "p1", "order_id": "o", "amount": 200, "currency": "USD", "status": "succeeded"}


class FakeRepository:
    """Repository that contains one bank."""

    @asynccontextmanager
    async def unit_of_work(self) -> AsyncIterator[Any]:
        yield self

    async def get_bank(self, bank_id: str) -> Bank | None:
        return BANK if bank_id == BANK.id else None


async def handle_callback(body: bytes, secret: str, bank_id: str = "visa") -> str:
    headers = webhooks.sign_message("w1", NOW, body, secret)
    request = SignedRequest(headers["webhook-id"], headers["webhook-timestamp"], headers["webhook-signature"], body)
    repository: Any = FakeRepository()
    return await usecases.handle_payment_callback(repository, SECRET_BOX, lambda: NOW, decode_payment, bank_id, request)


@pytest.mark.parametrize(("status", "succeeded"), [("succeeded", True), ("failed", False)])
def test_decode_payment_returns_payment_of_the_bank(status: str, succeeded: bool) -> None:
    body = msgspec.json.encode(BODY | {"status": status, "more": 1})
    assert decode_payment("visa", body) == Payment("visa", "p1", "o", 200, "USD", succeeded)


def test_decode_payment_accepts_integral_float_amount() -> None:
    assert decode_payment("visa", msgspec.json.encode(BODY | {"amount": 405.0})).amount == 405


@pytest.mark.parametrize(
    "body",
    [b"", b"\xff", b"[]", *(msgspec.json.encode(BODY | change) for change in ({"amount": -1}, {"status": "x"}))],
)
def test_decode_payment_with_invalid_body_raises_invalid_request(body: bytes) -> None:
    with pytest.raises(ApiError) as raised:
        decode_payment("visa", body)
    assert raised.value.reason is Reason.INVALID_REQUEST


@pytest.mark.parametrize(("secret", "bank_id"), [(generate_secret(), "visa"), (SECRET, "km")])
async def test_invalid_signature_is_reported_before_invalid_body(secret: str, bank_id: str) -> None:
    with pytest.raises(ApiError) as raised:
        await handle_callback(b"no JSON", secret, bank_id)
    assert raised.value.reason is Reason.SIGNATURE_INVALID


async def test_signed_callback_with_invalid_body_raises_invalid_request() -> None:
    with pytest.raises(ApiError) as raised:
        await handle_callback(b"no JSON", SECRET)
    assert raised.value.reason is Reason.INVALID_REQUEST
