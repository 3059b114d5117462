"""What a bank is asked, and what its answers mean by the contract."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx
import msgspec
import pytest
from cryptography.fernet import Fernet

from services.orders.adapters.payment_system_client import FINAL_STATUS_CODES, MAX_RESPONSE_BYTES, HttpPaymentSystem
from services.orders.domain.orders import Bank
from services.orders.domain.payments import Refund, RefundStatus
from services.orders.usecases.ports import RefundResponse
from services.partners.usecases.webhook_secrets import new_secret
from services.runtime.outbound import webhooks
from services.runtime.outbound.webhooks import SignedRequest
from services.runtime.storage.encryption import SecretBox

NOW = datetime.now(UTC)
VAULT = SecretBox(Fernet.generate_key().decode())
OLD, NEW = new_secret(), new_secret()
BANK = Bank("visa", "Visa", "http://pay.test/", "http://bank.test/visa", True, VAULT.encrypt(NEW))
REFUND = Refund("ref_1", "visa", "pay_8d3f", "0b6f", 34, "USD", RefundStatus.REQUESTED, NOW)
ASKED = {"refund_id": "ref_1", "payment_id": "pay_8d3f", "amount": 34, "currency": "USD"}

type Serve = Callable[[httpx.Request], httpx.Response]


async def ask(serve: Serve, bank: Bank = BANK, refund: Refund = REFUND) -> RefundResponse:
    def unread(request: httpx.Request) -> httpx.Response:
        """The answer as it comes from a network, which nobody has read yet."""
        answer = serve(request)
        if not answer.is_stream_consumed:
            return answer
        return httpx.Response(answer.status_code, headers=answer.headers, stream=httpx.ByteStream(answer.content))

    async with httpx.AsyncClient(transport=httpx.MockTransport(unread)) as client:
        return await HttpPaymentSystem(client, VAULT, lambda: NOW, 5).refund(bank, refund)


async def test_a_refund_is_asked_for_by_its_id_and_signed_by_every_good_secret() -> None:
    def serve(request: httpx.Request) -> httpx.Response:
        assert str(request.url) == "http://bank.test/visa/refunds"
        assert msgspec.json.decode(request.content) == ASKED
        names = ("webhook-id", "webhook-timestamp", "webhook-signature")
        signed = SignedRequest(*(request.headers[name] for name in names), request.content)
        assert signed.id == "ref_1"
        for secret in (OLD, NEW):
            webhooks.verify_signature(signed, [secret])
        return httpx.Response(200, json={**ASKED, "more": 1})

    rotated = replace(BANK, old_secret=VAULT.encrypt(OLD), old_secret_until=NOW + timedelta(seconds=1))
    assert await ask(serve, rotated) == RefundResponse(True, True, "200")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (httpx.Response(200, json={**ASKED, "amount": 35}), "200 with another refund"),
        (httpx.Response(200, json={**ASKED, "currency": "usd"}), "200, not by the contract"),
        (httpx.Response(200, json={"refund_id": "ref_1"}), "200, not by the contract"),
        (httpx.Response(200, html="<h1>It works!</h1>"), "200, not by the contract"),
        (httpx.Response(200, content=msgspec.json.encode(ASKED)), "200, not by the contract"),
        (
            httpx.Response(200, content=b"\xff", headers={"content-type": "application/json"}),
            "200, not by the contract",
        ),
        (httpx.Response(204), "204"),
        (httpx.Response(302, headers={"location": "http://127.0.0.1/"}), "302"),
        (httpx.Response(503), "503"),
        (httpx.Response(403), "403"),
        (httpx.Response(410), "410"),
    ],
)
async def test_what_is_not_by_the_contract_is_a_failed_try(answer: httpx.Response, words: str) -> None:
    assert await ask(lambda request: answer) == RefundResponse(False, False, words)


@pytest.mark.parametrize("status", sorted(FINAL_STATUS_CODES))
async def test_a_final_status_ends_it(status: int) -> None:
    assert await ask(lambda request: httpx.Response(status)) == RefundResponse(False, True, str(status))


@pytest.mark.parametrize("refund", [replace(REFUND, amount=0), replace(REFUND, currency="usd")])
async def test_what_the_contract_does_not_allow_is_not_sent(refund: Refund) -> None:
    def serve(request: httpx.Request) -> httpx.Response:
        raise AssertionError(request.content)

    assert await ask(serve, refund=refund) == RefundResponse(False, False, "not sent, not by the contract")


async def test_what_the_network_does_is_an_answer_too() -> None:
    def serve(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("x")

    assert await ask(serve) == RefundResponse(False, False, "ConnectError")


async def test_an_answer_without_end_is_cut() -> None:
    taken = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        while True:
            taken += 1024
            yield b"x" * 1024

    assert await ask(lambda request: httpx.Response(200, content=endless())) == RefundResponse(
        False, False, "an answer without end"
    )
    assert taken <= MAX_RESPONSE_BYTES + 1024
