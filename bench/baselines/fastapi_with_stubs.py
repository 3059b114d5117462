"""FastAPI application with stub backends. The user id is read from a header, as in the gateway."""

import base64
import json
import os

os.environ |= {
    "BASELINE_BACKEND": "127.0.0.1:1",
    "BASELINE_CACHE": "127.0.0.1:1 gateway password",
    "BASELINE_JWKS_URL": "http://127.0.0.1:1",
}

from fastapi import Request

from bench.baselines import fastapi_app
from bench.baselines.authentication import authenticate
from bench.baselines.backends import GrpcBackend
from bench.baselines.fastapi_app import app
from bench.stub_backends import StubCache, StubChannel


class StubbedBackend(GrpcBackend):
    """gRPC backend on a stub channel."""

    def __init__(self) -> None:
        self._stubs = self.create_stubs(StubChannel())


async def get_user_id(request: Request) -> str:
    """Return the user id of the token that the sidecar verified."""
    payload = request.headers["x-jwt-payload"]
    return str(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["sub"])


async def connect() -> None:
    """Install the stubs."""
    app.state.backend, app.state.cache = StubbedBackend(), StubCache()


fastapi_app.connect = connect
app.dependency_overrides[authenticate] = get_user_id
