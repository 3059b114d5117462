import copy
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

ASKED = ("/api/v1/catalog", b"page_size=2")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def heard(**given: Any) -> ResponseCache:
    answers = ResponseCache(**given)
    answers.set_subscribed(True)
    return answers


def test_an_answer_is_kept_until_it_is_forgotten() -> None:
    answers = heard()
    answers.put(ASKED, b"{}", answers.generation)
    assert answers.get(ASKED) == b"{}"
    assert answers.get((ASKED[0], b"")) is None
    answers.clear()
    assert answers.get(ASKED) is None


def test_what_was_begun_before_a_change_is_not_kept_after_it() -> None:
    answers = heard()
    edition = answers.generation
    answers.clear()
    answers.put(ASKED, b"old", edition)
    assert answers.get(ASKED) is None


def test_nothing_is_kept_while_nobody_hears_of_changes() -> None:
    answers = ResponseCache()
    answers.put(ASKED, b"{}", answers.generation)
    assert answers.get(ASKED) is None
    answers.set_subscribed(True)
    answers.put(ASKED, b"{}", answers.generation)
    answers.set_subscribed(False)
    assert answers.get(ASKED) is None


def test_what_was_begun_before_anybody_heard_is_not_kept() -> None:
    answers = ResponseCache()
    edition = answers.generation
    answers.set_subscribed(True)
    answers.put(ASKED, b"{}", edition)
    assert answers.get(ASKED) is None


def test_an_answer_grows_old() -> None:
    clock = Clock()
    answers = heard(clock=clock)
    answers.put(ASKED, b"{}", answers.generation)
    clock.now = response_cache.MAX_AGE_S
    assert answers.get(ASKED) == b"{}"
    clock.now += 0.001
    assert answers.get(ASKED) is None


def test_the_least_recently_used_goes_first() -> None:
    answers = heard(most=4)
    for query in (b"a", b"b"):
        answers.put(("/", query), b"12", answers.generation)
    answers.get(("/", b"a"))
    answers.put(("/", b"c"), b"12", answers.generation)
    assert [answers.get(("/", query)) for query in (b"a", b"b", b"c")] == [b"12", None, b"12"]


def test_an_answer_that_would_push_out_many_is_not_kept() -> None:
    answers = heard()
    answers.put(ASKED, bytes(response_cache.MAX_ENTRY_BYTES + 1), answers.generation)
    assert answers.get(ASKED) is None


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 9))))
def test_there_is_never_more_than_there_is_room_for(puts: list[tuple[str, int]]) -> None:
    answers = heard(most=12)
    for query, size in puts:
        answers.put(("/", query.encode()), bytes(size), answers.generation)
        left = [answers.get(("/", name.encode())) or b"" for name in "abcdef"]
        assert sum(map(len, left)) <= 12
        assert answers.get(("/", query.encode())) == bytes(size)


class Shelf:
    """The sample's API with a thing that is kept, and an admin who changes it."""

    def __init__(self) -> None:
        document = copy.deepcopy(SPECIFICATION)
        document["paths"]["/things/{thing_id}"]["patch"]["security"] = [{"bearer": ["admin"]}]
        operations = OPERATIONS | {
            "getThing": OPERATIONS["getThing"]._replace(cache_until_event=PARTNER_CATALOG_CHANGED)
        }
        self.failing = False
        self.things = RecordingThingsHandler(self.answer)
        self.kept = build_caches(operations.values())
        self.kept[PARTNER_CATALOG_CHANGED].set_subscribed(True)
        self.app = build_app(
            publish_document(document), [self.things], operations, {}, self.kept, validate_responses=True
        )

    def answer(self) -> Response[Thing]:
        if self.failing:
            raise ApiError(Reason.UPSTREAM_TIMEOUT)
        return Response(Thing(id="a1", count=len(self.things.calls)))

    def count(self, path: str = "/things/a1") -> int:
        """How many calls there had been when what is shown now was made."""
        answer = send_request(self.app, "GET", path, headers=IDENTITY_HEADERS)
        assert answer.headers["content-type"] == "application/json"
        shown: int = answer.json()["count"]
        return shown

    def change(self) -> int:
        return send_request(self.app, "PATCH", "/things/a1", headers=IDENTITY_HEADERS, json={"count": 2}).status_code


def test_the_same_request_is_answered_without_asking_again() -> None:
    shelf = Shelf()
    assert [shelf.count(), shelf.count(), shelf.count("/things/b2"), shelf.count()] == [1, 1, 2, 1]


def test_who_may_not_ask_is_not_answered_from_what_is_kept() -> None:
    shelf = Shelf()
    shelf.count()
    assert send_request(shelf.app, "GET", "/things/a1").status_code == 401


def test_a_refusal_is_not_kept() -> None:
    shelf = Shelf()
    shelf.failing = True
    assert send_request(shelf.app, "GET", "/things/a1", headers=IDENTITY_HEADERS).status_code == 504
    shelf.failing = False
    assert shelf.count() == 2


@pytest.mark.parametrize("failing", [False, True])
def test_an_admin_who_changes_something_sees_it_at_once(failing: bool) -> None:
    shelf = Shelf()
    shelf.count()
    shelf.failing = failing
    assert shelf.change() == (504 if failing else 200)
    shelf.failing = False
    assert shelf.count() == 3


def test_what_others_change_waits_for_its_event() -> None:
    shelf = Shelf()
    shelf.count()
    send_request(shelf.app, "DELETE", "/things/a1", headers=IDENTITY_HEADERS)
    assert shelf.count() == 1
    shelf.kept[PARTNER_CATALOG_CHANGED].clear()
    assert shelf.count() == 3


def test_there_is_room_for_each_event_that_ends_something() -> None:
    rows = [
        OPERATIONS["getThing"]._replace(cache_until_event=event)
        for event in (ORDER_PAID, None, PARTNER_CATALOG_CHANGED)
    ]
    assert build_caches(rows).keys() == {ORDER_PAID, PARTNER_CATALOG_CHANGED}
