"""The FastAPI application with backends that answer at once; who asks stands in a header, as for the gateway."""

import base64
import json
import os

os.environ |= {"PEERS_BEHIND": "127.0.0.1:1", "PEERS_CACHE": "127.0.0.1:1", "PEERS_JWKS": "http://127.0.0.1:1"}

from fastapi import Request

from bench.canned import Cache, Channel
from bench.peers import fastapi_app
from bench.peers.fastapi_app import Services, app, asking


class Stubbed(Services):
    """A backend on a channel that goes nowhere."""

    def __init__(self) -> None:
        self._calls = self.calls(Channel())


async def told(request: Request) -> str:
    """Whose token a sidecar has verified."""
    payload = request.headers["x-jwt-payload"]
    return str(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["sub"])


async def connect() -> None:
    """Nowhere."""
    app.state.behind, app.state.cache = Stubbed(), Cache()


fastapi_app.connect = connect
app.dependency_overrides[asking] = told
