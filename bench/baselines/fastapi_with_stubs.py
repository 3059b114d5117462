"""The FastAPI application with backends that answer at once; who asks stands in a header, as for the gateway."""

import base64
import json
import os

os.environ |= {
    "BASELINE_BACKEND": "127.0.0.1:1",
    "BASELINE_CACHE_ADDRESS": "127.0.0.1:1",
    "BASELINE_JWKS_URL": "http://127.0.0.1:1",
}

from fastapi import Request

from bench.baselines import fastapi_app
from bench.baselines.fastapi_app import GrpcBackend, app, authenticate
from bench.stub_backends import StubCache, StubChannel


class StubbedBackend(GrpcBackend):
    """A backend on a channel that goes nowhere."""

    def __init__(self) -> None:
        self._stubs = self.create_stubs(StubChannel())


async def get_user_id(request: Request) -> str:
    """Whose token a sidecar has verified."""
    payload = request.headers["x-jwt-payload"]
    return str(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["sub"])


async def connect() -> None:
    """Nowhere."""
    app.state.behind, app.state.cache = StubbedBackend(), StubCache()


fastapi_app.connect = connect
app.dependency_overrides[authenticate] = get_user_id
