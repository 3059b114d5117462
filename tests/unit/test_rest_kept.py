import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codegen.publish import published
from generated.events import ORDER_PAID, PARTNER_CATALOG_CHANGED
from generated.problems import Reason
from services.runtime.refusal import Refusal
from services.runtime.rest import kept
from services.runtime.rest.app import build
from services.runtime.rest.kept import KeptAnswers, room
from services.runtime.rest.types import Reply
from tests.rest_sample import DOCUMENT, OPERATIONS, WHO, Thing, Things, ask

ASKED = ("/api/v1/catalog", b"page_size=2")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def heard(**given: Any) -> KeptAnswers:
    answers = KeptAnswers(**given)
    answers.hear(True)
    return answers


def test_an_answer_is_kept_until_it_is_forgotten() -> None:
    answers = heard()
    answers.put(ASKED, b"{}", answers.edition)
    assert answers.get(ASKED) == b"{}"
    assert answers.get((ASKED[0], b"")) is None
    answers.forget()
    assert answers.get(ASKED) is None


def test_what_was_begun_before_a_change_is_not_kept_after_it() -> None:
    answers = heard()
    edition = answers.edition
    answers.forget()
    answers.put(ASKED, b"old", edition)
    assert answers.get(ASKED) is None


def test_nothing_is_kept_while_nobody_hears_of_changes() -> None:
    answers = KeptAnswers()
    answers.put(ASKED, b"{}", answers.edition)
    assert answers.get(ASKED) is None
    answers.hear(True)
    answers.put(ASKED, b"{}", answers.edition)
    answers.hear(False)
    assert answers.get(ASKED) is None


def test_what_was_begun_before_anybody_heard_is_not_kept() -> None:
    answers = KeptAnswers()
    edition = answers.edition
    answers.hear(True)
    answers.put(ASKED, b"{}", edition)
    assert answers.get(ASKED) is None


def test_an_answer_grows_old() -> None:
    clock = Clock()
    answers = heard(clock=clock)
    answers.put(ASKED, b"{}", answers.edition)
    clock.now = kept.LONGEST_S
    assert answers.get(ASKED) == b"{}"
    clock.now += 0.001
    assert answers.get(ASKED) is None


def test_the_least_recently_used_goes_first() -> None:
    answers = heard(most=4)
    for query in (b"a", b"b"):
        answers.put(("/", query), b"12", answers.edition)
    answers.get(("/", b"a"))
    answers.put(("/", b"c"), b"12", answers.edition)
    assert [answers.get(("/", query)) for query in (b"a", b"b", b"c")] == [b"12", None, b"12"]


def test_an_answer_that_would_push_out_many_is_not_kept() -> None:
    answers = heard()
    answers.put(ASKED, bytes(kept.LARGEST + 1), answers.edition)
    assert answers.get(ASKED) is None


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 9))))
def test_there_is_never_more_than_there_is_room_for(puts: list[tuple[str, int]]) -> None:
    answers = heard(most=12)
    for query, size in puts:
        answers.put(("/", query.encode()), bytes(size), answers.edition)
        left = [answers.get(("/", name.encode())) or b"" for name in "abcdef"]
        assert sum(map(len, left)) <= 12
        assert answers.get(("/", query.encode())) == bytes(size)


class Shelf:
    """The sample's API with a thing that is kept, and an admin who changes it."""

    def __init__(self) -> None:
        document = copy.deepcopy(DOCUMENT)
        document["paths"]["/things/{thing_id}"]["patch"]["security"] = [{"bearer": ["admin"]}]
        operations = OPERATIONS | {"getThing": OPERATIONS["getThing"]._replace(kept_until=PARTNER_CATALOG_CHANGED)}
        self.failing = False
        self.things = Things(self.answer)
        self.kept = room(operations.values())
        self.kept[PARTNER_CATALOG_CHANGED].hear(True)
        self.app = build(published(document), [self.things], operations, {}, self.kept, validate_responses=True)

    def answer(self) -> Reply[Thing]:
        if self.failing:
            raise Refusal(Reason.UPSTREAM_TIMEOUT)
        return Reply(Thing(id="a1", count=len(self.things.calls)))

    def count(self, path: str = "/things/a1") -> int:
        """How many calls there had been when what is shown now was made."""
        answer = ask(self.app, "GET", path, headers=WHO)
        assert answer.headers["content-type"] == "application/json"
        shown: int = answer.json()["count"]
        return shown

    def change(self) -> int:
        return ask(self.app, "PATCH", "/things/a1", headers=WHO, json={"count": 2}).status_code


def test_the_same_request_is_answered_without_asking_again() -> None:
    shelf = Shelf()
    assert [shelf.count(), shelf.count(), shelf.count("/things/b2"), shelf.count()] == [1, 1, 2, 1]


def test_who_may_not_ask_is_not_answered_from_what_is_kept() -> None:
    shelf = Shelf()
    shelf.count()
    assert ask(shelf.app, "GET", "/things/a1").status_code == 401


def test_a_refusal_is_not_kept() -> None:
    shelf = Shelf()
    shelf.failing = True
    assert ask(shelf.app, "GET", "/things/a1", headers=WHO).status_code == 504
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
    ask(shelf.app, "DELETE", "/things/a1", headers=WHO)
    assert shelf.count() == 1
    shelf.kept[PARTNER_CATALOG_CHANGED].forget()
    assert shelf.count() == 3


def test_there_is_room_for_each_event_that_ends_something() -> None:
    rows = [OPERATIONS["getThing"]._replace(kept_until=event) for event in (ORDER_PAID, None, PARTNER_CATALOG_CHANGED)]
    assert room(rows).keys() == {ORDER_PAID, PARTNER_CATALOG_CHANGED}
