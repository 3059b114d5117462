"""Account enumeration: neither the content nor the time of a response reveals whether an account exists."""

import operator
import statistics
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.users import User

PAIRS = 9
"""Number of requests per address, below the limit of failed attempts per account."""

MIN_DIFFERENCE_S = 0.015
"""Differences below this are measurement noise."""

ROUNDS = 8
"""Number of accounts whose successive requests are measured."""

MAX_NOISE_S = 0.005
"""Maximum noise of the median difference of both addresses, in seconds."""

MAX_NOISE_RATIO = 0.3
"""The same as a share of the median duration."""


def comparable_parts(response: httpx.Response) -> tuple[Any, ...]:
    """Return status, headers and body without the parts that differ between any two responses."""
    varying_headers = {"date", "x-request-id", "traceresponse", "content-length", "ratelimit"}
    body = response.json() if response.content else {}
    headers = {name: value for name, value in response.headers.items() if name not in varying_headers}
    return response.status_code, headers, {name: value for name, value in body.items() if name != "trace_id"}


@pytest.mark.parametrize("path", ["sessions", "password-resets", "users/verification"])
def test_response_does_not_reveal_whether_account_exists(edge: httpx.Client, sandbox: httpx.Client, path: str) -> None:
    ada = User(edge, sandbox)

    def send(email: str) -> tuple[httpx.Response, float]:
        body = {"email": email} | ({"password": "not-the-right-one"} if path == "sessions" else {})
        started = time.perf_counter()
        response = edge.post(f"/{path}", json=body)
        return response, time.perf_counter() - started

    requests: dict[str, Callable[[], tuple[httpx.Response, float]]] = {
        "registered": lambda: send(ada.email),
        "unregistered": lambda: send(f"unregistered-{time.monotonic_ns()}@delivery.test"),
    }
    durations_s: dict[str, list[float]] = {name: [] for name in requests}
    contents: dict[str, set[str]] = {name: set() for name in requests}
    for _ in range(PAIRS):
        for name, request in requests.items():
            response, seconds = request()
            durations_s[name].append(seconds)
            contents[name].add(repr(comparable_parts(response)))
    assert contents["registered"] == contents["unregistered"]
    # The shortest durations, because other processes use the processor while the tests run.
    registered_s, unregistered_s = (min(durations_s[name]) for name in requests)
    assert abs(registered_s - unregistered_s) < max(MIN_DIFFERENCE_S, 0.5 * max(registered_s, unregistered_s))


def test_successive_password_resets_take_equally_long(edge: httpx.Client, sandbox: httpx.Client) -> None:
    """The work for a known address must not slow down the next requests of the same client.

    Both addresses are first in half of the rounds, since the work of the registration takes processor time as well.
    """
    medians_s: dict[str, list[float]] = {"registered": [], "unregistered": []}
    for number in range(ROUNDS):
        ada = User(edge, sandbox)
        ada.wait_for_code()
        addresses = [("registered", ada.email), ("unregistered", f"unregistered-{time.monotonic_ns()}@delivery.test")]
        for name, email in addresses if number % 2 else reversed(addresses):
            durations_s = []
            for _ in range(PAIRS):
                started = time.perf_counter()
                assert edge.post("/password-resets", json={"email": email}).status_code == 202
                durations_s.append(time.perf_counter() - started)
            medians_s[name].append(statistics.median(durations_s))
    difference_s = statistics.median(map(operator.sub, medians_s["registered"], medians_s["unregistered"]))
    max_noise_s = max(MAX_NOISE_S, MAX_NOISE_RATIO * statistics.median(medians_s["unregistered"]))
    assert abs(difference_s) < max_noise_s, medians_s
