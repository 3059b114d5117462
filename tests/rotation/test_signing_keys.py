"""Rotation of the signing keys of access tokens with the intervals of production."""

import time
from collections.abc import Callable
from pathlib import Path

import httpx
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.envoy_test_mesh import KEY_ID, SIGNING_KEY, build_bearer_headers, running_test_edge
from tests.integration.fixtures.repeated_requests import repeated
from tests.wait import wait_until

MAX_DELAY_S = 60


def test_new_signing_key_is_accepted_within_a_minute(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    new_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    keys = {KEY_ID: SIGNING_KEY}
    with (
        running_test_edge(tmp_path, keys=keys, RATE_LIMIT_FACTOR="10000") as mesh,
        httpx.Client(trust_env=False) as client,
    ):
        url = mesh.get_url("EDGE_PORT") + "/api/v1/users/me"
        headers, new_headers = build_bearer_headers(), build_bearer_headers(new_key, "two")

        def get_status(headers: dict[str, str]) -> int:
            return client.get(url, headers=headers).status_code

        assert get_status(new_headers) == 401
        with repeated(lambda: get_status(headers)) as results:
            started_at = time.monotonic()
            keys["two"] = new_key
            wait_until(lambda: get_status(new_headers) == 200, MAX_DELAY_S, interval_s=0.1)
            delay_s = time.monotonic() - started_at
        assert results.keys() == {"200"}
    record_property("delay_s", delay_s)
    print(f"the new key was accepted after {delay_s:.1f} s")
