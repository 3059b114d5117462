"""Waits for what must come."""

import time
from collections.abc import Callable

import httpx

TIMEOUT_S = 180.0


def wait_until(description: str, condition: Callable[[], bool], timeout_s: float = TIMEOUT_S) -> None:
    """Looks until it holds. Raises TimeoutError."""
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"{description} did not come within {timeout_s:g} s")
        time.sleep(0.5)


def is_demo_ready(edge_url: str) -> bool:
    """Whether the demo's admin can sign in and finds the demo's data: all services are there."""
    account = {"email": "admin@delivery.test", "password": "delivery-demo-1"}
    try:
        signed_in = httpx.post(f"{edge_url}/api/v1/sessions", json=account, timeout=5, trust_env=False)
        if signed_in.status_code != httpx.codes.OK:
            return False
        bearer = {"authorization": f"Bearer {signed_in.json()['access_token']}"}
        found = [
            httpx.get(f"{edge_url}/api/v1/{path}", headers=bearer, timeout=5, trust_env=False)
            for path in ("catalog", "banks")
        ]
    except httpx.HTTPError:
        return False
    return all(answer.status_code == httpx.codes.OK and answer.json()["items"] for answer in found)
