"""HTTP clients of the edge and the sandbox that retry until they receive a final response."""

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Protocol, Self

import httpx
import msgspec

from deploy.local.demo.scenarios import DEMO_PASSWORD
from services.runtime.core.clock import now
from services.runtime.outbound import webhooks
from tests.wait import wait_until_async

TIMEOUT_S = 240.0
"""Seconds until a client stops retrying. Longer than a repeatedly killed process is unavailable."""

RETRY_DELAY_S = 0.3
"""Delay between retries."""

FINAL_CALLBACK_STATUSES = frozenset({200, 404, 409, 422})
"""Final status codes of a payment callback. A bank repeats the callback after any other status."""


class StuckError(Exception):
    """Retries are exhausted. The message contains the request and the last response."""


class ChaosTarget(Protocol):
    """A running system: URLs of its edge, sandbox and broker, and the secret of its webhooks."""

    @property
    def edge_url(self) -> str: ...

    @property
    def sandbox_url(self) -> str: ...

    @property
    def broker_url(self) -> str: ...

    @property
    def webhook_secret(self) -> str: ...


@dataclass(frozen=True)
class SignedInUser:
    """A signed-in user with its device."""

    token: str
    device: str


@dataclass
class ChaosClient:
    """Clients of the edge and the sandbox. `retry_counts` counts the responses that caused a retry."""

    target: ChaosTarget
    retry_counts: Counter[str] = field(default_factory=Counter)

    async def __aenter__(self) -> Self:
        """Open the clients."""
        limits = httpx.Limits(max_connections=64)
        self._edge = httpx.AsyncClient(
            base_url=f"{self.target.edge_url}/api/v1", timeout=12, trust_env=False, limits=limits
        )
        self._sandbox = httpx.AsyncClient(base_url=self.target.sandbox_url, timeout=50, trust_env=False, limits=limits)
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        """Close the clients."""
        await self._edge.aclose()
        await self._sandbox.aclose()

    async def request_with_retry(
        self, method: str, path: str, user: SignedInUser | None = None, *, json: Any = None, idempotency_key: str = ""
    ) -> httpx.Response:
        """Send a request, with retries after 5xx, 401, 429 and a busy idempotency key. Raises StuckError."""
        headers = {"authorization": f"Bearer {user.token}"} if user else {}
        if idempotency_key:
            headers["idempotency-key"] = idempotency_key
        return await self._send_with_retry(
            method, path, headers, msgspec.json.encode(json) if json is not None else b""
        )

    async def _send_with_retry(self, method: str, path: str, headers: dict[str, str], body: bytes) -> httpx.Response:
        if body:
            headers = {**headers, "content-type": "application/json"}
        outcome = ""

        async def send() -> httpx.Response | None:
            nonlocal outcome
            try:
                response = await self._edge.request(method, path, headers=headers, content=body or None)
                outcome = f"{response.status_code} {_problem_reason(response)}".strip()
            except httpx.HTTPError as error:
                response, outcome = None, type(error).__name__
            is_retryable = response is None or response.status_code >= 500 or response.status_code in (401, 429)
            if response is not None and not is_retryable and "IDEMPOTENCY_KEY_BUSY" not in outcome:
                return response
            self.retry_counts[outcome] += 1
            return None

        try:
            return await wait_until_async(send, TIMEOUT_S, RETRY_DELAY_S)
        except TimeoutError:
            raise StuckError(f"{method} {path}: {outcome}") from None

    async def list_all(self, path: str, user: SignedInUser) -> list[Any]:
        """Return all items of a paginated list."""
        items: list[Any] = []
        page_token = ""
        separator = "&" if "?" in path else "?"
        while True:
            page = (
                (await self.request_with_retry("GET", f"{path}{separator}page_size=100{page_token}", user))
                .raise_for_status()
                .json()
            )
            items += page["items"]
            if "next_page_token" not in page:
                return items
            page_token = f"&page_token={page['next_page_token']}"

    async def request_sandbox(self, method: str, path: str, json: Any = None) -> httpx.Response:
        """Send a request to the sandbox, with retries only if no connection is established.

        Raises httpx.TransportError if the outcome is unknown.
        """
        return await self._retry_in_sandbox(lambda: self._sandbox.request(method, path, json=json), httpx.ConnectError)

    async def get_from_sandbox(self, path: str) -> Any:
        """Return the JSON body of a sandbox path, with retries while the sandbox is unavailable."""
        response = await self._retry_in_sandbox(lambda: self._sandbox.get(path), httpx.TransportError)
        return response.raise_for_status().json()

    async def _retry_in_sandbox(
        self, send: Callable[[], Awaitable[httpx.Response]], retryable: type[httpx.TransportError]
    ) -> httpx.Response:
        async def try_send() -> httpx.Response | None:
            try:
                return await send()
            except retryable as error:
                self.retry_counts[f"sandbox {type(error).__name__}"] += 1
                return None

        try:
            return await wait_until_async(try_send, TIMEOUT_S, RETRY_DELAY_S)
        except TimeoutError:
            raise StuckError("the sandbox is unavailable") from None

    async def sign_in(self, email: str, device: str) -> SignedInUser:
        """Sign in to an existing account."""
        response = await self.request_with_retry("POST", "/sessions", json={"email": email, "password": DEMO_PASSWORD})
        return SignedInUser(response.raise_for_status().json()["access_token"], device)

    async def sign_up(self, name: str) -> SignedInUser:
        """Sign up and sign in a new customer."""
        email, device = f"{name}@delivery.test", f"phone-{name}"
        body = {"email": email, "password": DEMO_PASSWORD, "first_name": "Ada", "last_name": name, "role": "customer"}
        (await self.request_with_retry("POST", "/users", json={**body, "notif_token": device})).raise_for_status()
        return await self.sign_in(email, device)

    async def repeat_callback(self, bank_id: str, payment_id: str, order_id: str, amount: int, *, paid: bool) -> int:
        """Repeat a payment callback, as banks do without a response. Return the final status."""
        status = "succeeded" if paid else "failed"
        payment = {
            "payment_id": payment_id,
            "order_id": order_id,
            "amount": amount,
            "currency": "USD",
            "status": status,
        }
        body = msgspec.json.encode(payment)

        async def get_final_status() -> int | None:
            headers = webhooks.sign_message(f"repeated-{payment_id}", now(), body, self.target.webhook_secret)
            response = await self._send_with_retry("POST", f"/callbacks/payments/{bank_id}", headers, body)
            return response.status_code if response.status_code in FINAL_CALLBACK_STATUSES else None

        try:
            return await wait_until_async(get_final_status, TIMEOUT_S, RETRY_DELAY_S)
        except TimeoutError:
            raise StuckError(f"callback of payment {payment_id}: no final response within {TIMEOUT_S:g} s") from None


def _problem_reason(response: httpx.Response) -> str:
    if "problem+json" not in response.headers.get("content-type", ""):
        return ""
    return str(response.json().get("reason", ""))
