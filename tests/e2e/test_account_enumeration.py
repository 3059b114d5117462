"""Whether an address has an account is told neither by words nor by time."""

import statistics
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.users import User

PAIRS = 9
"""Below the number of guesses that an account stands."""

LEAST_S = 0.015
"""Differences below this drown in the machine's own."""


def words(answer: httpx.Response) -> tuple[Any, ...]:
    """What a client can tell answers apart by, but for ids and times."""
    own = {"date", "x-request-id", "traceresponse", "content-length"}
    body = answer.json() if answer.content else {}
    headers = {name: value for name, value in answer.headers.items() if name not in own}
    return answer.status_code, headers, {name: value for name, value in body.items() if name != "trace_id"}


@pytest.mark.parametrize("what", ["sessions", "password-resets", "users/verification"])
def test_an_account_is_not_told_of(edge: httpx.Client, sandbox: httpx.Client, what: str) -> None:
    ada = User(edge, sandbox)

    def ask(email: str) -> tuple[httpx.Response, float]:
        body = {"email": email} | ({"password": "not-the-right-one"} if what == "sessions" else {})
        began = time.perf_counter()
        answer = edge.post(f"/{what}", json=body)
        return answer, time.perf_counter() - began

    asked: dict[str, Callable[[], tuple[httpx.Response, float]]] = {
        "known": lambda: ask(ada.email),
        "unknown": lambda: ask(f"nobody-{time.monotonic_ns()}@delivery.test"),
    }
    spent: dict[str, list[float]] = {name: [] for name in asked}
    told: dict[str, set[str]] = {name: set() for name in asked}
    for _ in range(PAIRS):
        for name, one in asked.items():
            answer, seconds = one()
            spent[name].append(seconds)
            told[name].add(repr(words(answer)))
    assert told["known"] == told["unknown"]
    known, unknown = statistics.median(spent["known"]), statistics.median(spent["unknown"])
    assert abs(known - unknown) < max(LEAST_S, 0.5 * max(known, unknown))
