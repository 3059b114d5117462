"""Clients of components of the sandbox without a server, and a receiver of their callbacks."""

from base64 import b64encode
from datetime import UTC, datetime
from typing import Protocol
from uuid import uuid4

import httpx
from standardwebhooks.webhooks import Webhook
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route

from services.runtime.sidecar.local_requests import LocalRequestsMiddleware
from services.sandbox.http_helpers import BodyLimitMiddleware, HttpError, render_problem

SECRET, OTHER_SECRET = (f"whsec_{b64encode(bytes([number]) * 32).decode()}" for number in (1, 2))
CALLBACK_URL = "https://edge.test/api/v1/callbacks/1"


class Component(Protocol):
    """Component with routes."""

    def build_routes(self) -> list[Route]:
        """Return the routes."""


def create_client(*components: Component) -> httpx.AsyncClient:
    """Return a client of the components, composed like the sandbox's application."""
    app = Starlette(
        routes=[route for component in components for route in component.build_routes()],
        middleware=[Middleware(LocalRequestsMiddleware), Middleware(BodyLimitMiddleware)],
        exception_handlers={HttpError: render_problem},
    )
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://sandbox")


def sign(content: bytes, webhook_id: str | None = None, secret: str = SECRET) -> dict[str, str]:
    """Return the headers of a signed JSON request."""
    webhook_id, sent_at = webhook_id or f"msg_{uuid4().hex}", datetime.now(UTC)
    return {
        "content-type": "application/json",
        "webhook-id": webhook_id,
        "webhook-timestamp": str(int(sent_at.timestamp())),
        "webhook-signature": Webhook(secret).sign(webhook_id, sent_at, content.decode()),
    }


class CallbackReceiver:
    """Receives callbacks. Responds with `responses` in turn, or raises those that are errors; then with 200."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []
        self.responses: list[httpx.Response | Exception] = []
        self.client = httpx.AsyncClient(transport=httpx.MockTransport(self._receive))

    def _receive(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        response = self.responses.pop(0) if self.responses else httpx.Response(200, json={"ok": True})
        if isinstance(response, Exception):
            raise response
        return response

    def verify(self, number: int = 0, secret: str = SECRET) -> object:
        """Return the body of a received callback. Raises an error if its signature is invalid."""
        request = self.requests[number]
        return Webhook(secret).verify(request.content, dict(request.headers))
