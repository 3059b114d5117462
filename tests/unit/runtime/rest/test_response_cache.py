import copy
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codegen.rest.published_openapi import publish_document
from generated.events import ORDER_PAID, PARTNER_CATALOG_CHANGED
from generated.problems import Reason
from services.runtime.core.errors import ApiError
from services.runtime.rest import response_cache
from services.runtime.rest.app import build_app
from services.runtime.rest.response_cache import ResponseCache, build_caches
from services.runtime.rest.types import Response
from tests.sample_rest_app import (
    IDENTITY_HEADERS,
    OPERATIONS,
    SPECIFICATION,
    RecordingThingsHandler,
    Thing,
    send_request,
)

KEY = ("/api/v1/catalog", b"page_size=2")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def subscribed_cache(**arguments: Any) -> ResponseCache:
    cache = ResponseCache(**arguments)
    cache.set_subscribed(True)
    return cache


def test_response_is_cached_until_cleared() -> None:
    cache = subscribed_cache()
    cache.put(KEY, b"{}", cache.generation)
    assert cache.get(KEY) == b"{}"
    assert cache.get((KEY[0], b"")) is None
    cache.clear()
    assert cache.get(KEY) is None


def test_response_of_earlier_generation_is_not_stored() -> None:
    cache = subscribed_cache()
    generation = cache.generation
    cache.clear()
    cache.put(KEY, b"old", generation)
    assert cache.get(KEY) is None


def test_cache_without_subscription_stores_nothing() -> None:
    cache = ResponseCache()
    cache.put(KEY, b"{}", cache.generation)
    assert cache.get(KEY) is None
    cache.set_subscribed(True)
    cache.put(KEY, b"{}", cache.generation)
    cache.set_subscribed(False)
    assert cache.get(KEY) is None


def test_response_begun_before_subscription_is_not_stored() -> None:
    cache = ResponseCache()
    generation = cache.generation
    cache.set_subscribed(True)
    cache.put(KEY, b"{}", generation)
    assert cache.get(KEY) is None


def test_entry_expires_after_maximum_age() -> None:
    clock = Clock()
    cache = subscribed_cache(clock=clock)
    cache.put(KEY, b"{}", cache.generation)
    clock.now = response_cache.MAX_AGE_S
    assert cache.get(KEY) == b"{}"
    clock.now += 0.001
    assert cache.get(KEY) is None


def test_least_recently_used_entry_is_evicted_first() -> None:
    cache = subscribed_cache(max_bytes=2 * len(b"/a12") + 2 * response_cache.ENTRY_OVERHEAD_BYTES)
    for query in (b"a", b"b"):
        cache.put(("/", query), b"12", cache.generation)
    cache.get(("/", b"a"))
    cache.put(("/", b"c"), b"12", cache.generation)
    assert [cache.get(("/", query)) for query in (b"a", b"b", b"c")] == [b"12", None, b"12"]


@pytest.mark.parametrize(("excess", "is_stored"), [(0, True), (1, False)])
def test_response_above_maximum_entry_size_is_not_stored(excess: int, is_stored: bool) -> None:
    cache = subscribed_cache()
    key_bytes = len(KEY[0]) + len(KEY[1]) + response_cache.ENTRY_OVERHEAD_BYTES
    cache.put(KEY, bytes(response_cache.MAX_ENTRY_BYTES - key_bytes + excess), cache.generation)
    assert (cache.get(KEY) is not None) == is_stored


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 9))))
def test_cache_never_exceeds_maximum_size(puts: list[tuple[str, int]]) -> None:
    max_bytes = 12 + 3 * response_cache.ENTRY_OVERHEAD_BYTES
    cache = subscribed_cache(max_bytes=max_bytes)
    for query, size in puts:
        cache.put(("/", query.encode()), bytes(size), cache.generation)
        cached = [body for name in "abcdef" if (body := cache.get(("/", name.encode()))) is not None]
        assert sum(len(b"/a") + len(body) + response_cache.ENTRY_OVERHEAD_BYTES for body in cached) <= max_bytes
        assert cache.get(("/", query.encode())) == bytes(size)


@pytest.mark.parametrize("is_long_path", [False, True])
def test_keys_of_short_responses_count_as_cached_bytes(is_long_path: bool) -> None:
    cache = subscribed_cache(max_bytes=100_000)
    texts = [f"{number:01000}" for number in range(10_000)]
    keys = [(text, b"") if is_long_path else ("/", text.encode()) for text in texts]
    for key in keys:
        cache.put(key, b'{"items":[]}', cache.generation)
    cached = [key for key in keys if cache.get(key) is not None]
    held_bytes = sum(sys.getsizeof(key) + sum(map(sys.getsizeof, key)) + 12 for key in cached)
    assert cached[-1] == keys[-1]
    assert held_bytes <= 100_000


def test_size_of_cache_is_exact_after_replacement_and_expiry() -> None:
    clock = Clock()
    max_bytes = 2 * len(b"/a12") + 2 * response_cache.ENTRY_OVERHEAD_BYTES
    cache = subscribed_cache(clock=clock, max_bytes=max_bytes)
    for body in (b"1", b"12", b""):
        cache.put(("/", b"a"), body, cache.generation)
    clock.now = response_cache.MAX_AGE_S + 1
    assert cache.get(("/", b"a")) is None
    for query in (b"b", b"c"):
        cache.put(("/", query), b"12", cache.generation)
    assert [cache.get(("/", query)) for query in (b"b", b"c")] == [b"12", b"12"]


class CachedApi:
    """Sample API with a cached operation and an update restricted to admins."""

    def __init__(self) -> None:
        document = copy.deepcopy(SPECIFICATION)
        document["paths"]["/things/{thing_id}"]["patch"]["security"] = [{"bearer": ["admin"]}]
        operations = OPERATIONS | {
            name: OPERATIONS[name]._replace(cache_until_event=PARTNER_CATALOG_CHANGED)
            for name in ("getThing", "getLatest")
        }
        self.is_failing = False
        self.things = RecordingThingsHandler(self.respond)
        self.caches = build_caches(operations.values())
        self.caches[PARTNER_CATALOG_CHANGED].set_subscribed(True)
        self.app = build_app(
            publish_document(document), [self.things], operations, {}, self.caches, validate_responses=True
        )

    def respond(self) -> Response[Thing]:
        if self.is_failing:
            raise ApiError(Reason.UPSTREAM_TIMEOUT)
        return Response(Thing(id="a1", count=len(self.things.calls)))

    def get_count(self, path: str = "/things/a1") -> int:
        """Return the number of handler calls at the time the returned response was computed."""
        response = send_request(self.app, "GET", path, headers=IDENTITY_HEADERS)
        assert response.headers["content-type"] == "application/json"
        count: int = response.json()["count"]
        return count

    def update(self) -> int:
        return send_request(self.app, "PATCH", "/things/a1", headers=IDENTITY_HEADERS, json={"count": 2}).status_code


def test_cache_hit_does_not_call_handler() -> None:
    api = CachedApi()
    assert [api.get_count(), api.get_count(), api.get_count("/things/b2"), api.get_count()] == [1, 1, 2, 1]


def test_cache_hit_requires_authentication() -> None:
    api = CachedApi()
    api.get_count()
    assert send_request(api.app, "GET", "/things/a1").status_code == 401


def test_public_response_is_cached_without_private_headers() -> None:
    api = CachedApi()
    responses = [
        send_request(api.app, "GET", "/things/latest", headers=headers) for headers in ({}, IDENTITY_HEADERS, {})
    ]
    assert [(response.status_code, response.json()["count"]) for response in responses] == [(200, 1)] * 3
    assert all(not {"cache-control", "vary"} & response.headers.keys() for response in responses)


def test_error_is_not_cached() -> None:
    api = CachedApi()
    api.is_failing = True
    assert send_request(api.app, "GET", "/things/a1", headers=IDENTITY_HEADERS).status_code == 504
    api.is_failing = False
    assert api.get_count() == 2


@pytest.mark.parametrize("failing", [False, True])
def test_admin_write_invalidates_cache_immediately(failing: bool) -> None:
    api = CachedApi()
    api.get_count()
    api.is_failing = failing
    assert api.update() == (504 if failing else 200)
    api.is_failing = False
    assert api.get_count() == 3


def test_other_write_is_visible_after_invalidation_event() -> None:
    api = CachedApi()
    api.get_count()
    send_request(api.app, "DELETE", "/things/a1", headers=IDENTITY_HEADERS)
    assert api.get_count() == 1
    api.caches[PARTNER_CATALOG_CHANGED].clear()
    assert api.get_count() == 3


def test_build_caches_returns_one_cache_per_event() -> None:
    operations = [
        OPERATIONS["getThing"]._replace(cache_until_event=event)
        for event in (ORDER_PAID, None, PARTNER_CATALOG_CHANGED)
    ]
    assert build_caches(operations).keys() == {ORDER_PAID, PARTNER_CATALOG_CHANGED}
