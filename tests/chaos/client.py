"""The doors that chaos drives the mesh by, as patient clients use them: asked again until there is an answer."""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import httpx
import msgspec

from deploy.local.demo.scenarios import DEMO_PASSWORD
from services.runtime.core.clock import now
from services.runtime.outbound import webhooks
from tests.chaos.mesh import Mesh

TIMEOUT_S = 240.0
"""Seconds until a client who is never answered gives up: longer than what is killed again and again is away."""

RETRY_DELAY_S = 0.3
"""Seconds between attempts."""

FINAL_CALLBACK_STATUSES = frozenset({200, 404, 409, 422})
"""What ends a payment callback; a bank repeats it after anything else."""


class StuckError(Exception):
    """Nobody answers any more; the message says what was asked and what came."""


@dataclass(frozen=True)
class SignedInUser:
    """Somebody who is signed in."""

    token: str
    device: str


@dataclass
class ChaosClient:
    """The edge and the outside world. `trouble` counts what clients had to ask again for."""

    mesh: Mesh
    retry_counts: Counter[str] = field(default_factory=Counter)

    async def __aenter__(self) -> Self:
        """Opens connections."""
        limits = httpx.Limits(max_connections=64)
        self._edge = httpx.AsyncClient(
            base_url=f"{self.mesh.config.edge_url}/api/v1", timeout=12, trust_env=False, limits=limits
        )
        self._sandbox = httpx.AsyncClient(
            base_url=self.mesh.config.sandbox_url, timeout=50, trust_env=False, limits=limits
        )
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _where: TracebackType | None
    ) -> None:
        """Closes them."""
        await self._edge.aclose()
        await self._sandbox.aclose()

    async def request_with_retry(
        self, method: str, path: str, user: SignedInUser | None = None, *, json: Any = None, idempotency_key: str = ""
    ) -> httpx.Response:
        """The first answer that is one: no 5xx, nothing that asks for patience. Raises Stuck."""
        headers = {"authorization": f"Bearer {user.token}"} if user else {}
        if idempotency_key:
            headers["idempotency-key"] = idempotency_key
        return await self._send_with_retry(
            method, path, headers, msgspec.json.encode(json) if json is not None else b""
        )

    async def _send_with_retry(self, method: str, path: str, headers: dict[str, str], body: bytes) -> httpx.Response:
        if body:
            headers = {**headers, "content-type": "application/json"}
        end = time.monotonic() + TIMEOUT_S
        while True:
            try:
                answer = await self._edge.request(method, path, headers=headers, content=body or None)
                came = f"{answer.status_code} {_problem_reason(answer)}".strip()
            except httpx.HTTPError as error:
                answer, came = None, type(error).__name__
            waits = answer is None or answer.status_code >= 500 or answer.status_code in (401, 429)
            if answer is not None and not waits and "IDEMPOTENCY_KEY_BUSY" not in came:
                return answer
            self.retry_counts[came] += 1
            if time.monotonic() > end:
                raise StuckError(f"{method} {path}: {came}")
            await asyncio.sleep(RETRY_DELAY_S)

    async def list_all(self, path: str, user: SignedInUser) -> list[Any]:
        """Every item of a list, page by page."""
        found: list[Any] = []
        token = ""
        mark = "&" if "?" in path else "?"
        while True:
            page = (
                (await self.request_with_retry("GET", f"{path}{mark}page_size=100{token}", user))
                .raise_for_status()
                .json()
            )
            found += page["items"]
            if "next_page_token" not in page:
                return found
            token = f"&page_token={page['next_page_token']}"

    async def sandbox_request(self, method: str, path: str, json: Any = None) -> httpx.Response:
        """One request to the outside world, which nobody disturbs."""
        return await self._sandbox.request(method, path, json=json)

    async def sandbox_get(self, path: str) -> Any:
        """What the outside world shows."""
        return (await self._sandbox.get(path)).raise_for_status().json()

    async def sign_in(self, email: str, device: str) -> SignedInUser:
        """An account that is there."""
        answer = await self.request_with_retry("POST", "/sessions", json={"email": email, "password": DEMO_PASSWORD})
        return SignedInUser(answer.raise_for_status().json()["access_token"], device)

    async def sign_up(self, name: str) -> SignedInUser:
        """A new customer."""
        email, device = f"{name}@delivery.test", f"phone-{name}"
        body = {"email": email, "password": DEMO_PASSWORD, "first_name": "Ada", "last_name": name, "role": "customer"}
        (await self.request_with_retry("POST", "/users", json={**body, "notif_token": device})).raise_for_status()
        return await self.sign_in(email, device)

    async def repeat_callback(self, bank_id: str, payment_id: str, order_id: str, amount: int, *, paid: bool) -> int:
        """Says again what a bank has said once already, as banks do that got no answer; the status that ends it."""
        status = "succeeded" if paid else "failed"
        said = {"payment_id": payment_id, "order_id": order_id, "amount": amount, "currency": "USD", "status": status}
        body = msgspec.json.encode(said)
        end = time.monotonic() + TIMEOUT_S
        while time.monotonic() < end:
            headers = webhooks.sign_message(f"again-{payment_id}", now(), body, self.mesh.secrets.webhook_secret)
            answer = await self._send_with_retry("POST", f"/callbacks/payments/{bank_id}", headers, body)
            if answer.status_code in FINAL_CALLBACK_STATUSES:
                return answer.status_code
        raise StuckError(f"the callback of {payment_id} is not answered for good")


def _problem_reason(response: httpx.Response) -> str:
    if "problem+json" not in response.headers.get("content-type", ""):
        return ""
    return str(response.json().get("reason", ""))
