from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.runtime.rest.replies import encode, matches
from services.runtime.rest.types import Blob, Reply
from tests.rest_sample import JSON, THING, WHO, Thing, Things, application, ask, problem

TAGS = st.text(st.characters(min_codepoint=0x23, max_codepoint=0x7E, exclude_characters=","), max_size=20).map(
    '"{}"'.format
)


def get(answer: Any, path: str = "/things/a1", *, checked: bool = True, has: str | None = None) -> httpx.Response:
    app = application(Things(lambda: answer), validate_responses=checked)
    return ask(app, "GET", path, headers={**WHO, **({} if has is None else {"if-none-match": has})})


def test_a_model_is_json_with_its_length() -> None:
    answer = get(Reply(THING, {"ETag": '"1"', "X-More": "é"}))
    assert (answer.status_code, answer.json()) == (200, {"id": "a1", "count": 3})
    assert answer.headers["content-type"] == JSON
    assert answer.headers["content-length"] == str(len(answer.content))
    assert answer.headers["etag"] == '"1"'


def test_a_blob_goes_out_as_it_is() -> None:
    answer = get(Blob("image/png", b"\x89PNG"), "/things/a1/picture")
    assert (answer.headers["content-type"], answer.content) == ("image/png", b"\x89PNG")


def test_an_operation_without_a_success_body_sends_none() -> None:
    answer = ask(application(Things()), "DELETE", "/things/a1", headers=WHO)
    assert (answer.status_code, answer.content) == (204, b"")
    assert "content-type" not in answer.headers


@pytest.mark.parametrize("sent", ['"1"', 'W/"1"', '"0", "1"', "*"])
def test_who_has_it_already_is_not_sent_it_again(sent: str) -> None:
    answer = get(Reply(THING, {"ETag": '"1"'}), has=sent)
    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["etag"] == '"1"'


@pytest.mark.parametrize(("etag", "sent"), [('"1"', '"2"'), ('"1"', "1"), ('"1"', ""), (None, "*"), (None, '"1"')])
def test_who_has_another_is(etag: str | None, sent: str) -> None:
    answer = get(Reply(THING, {} if etag is None else {"ETag": etag}), has=sent)
    assert answer.status_code == 200


@given(TAGS, st.lists(TAGS))
def test_a_tag_matches_where_it_is_listed(etag: str, others: list[str]) -> None:
    assert matches(", ".join([*others, f"W/{etag}"]).encode(), etag)
    assert matches(", ".join(others).encode(), etag) == (etag in others)


def test_a_body_that_is_not_json_is_not_encoded_as_such() -> None:
    assert encode(Reply(Blob("image/png", b"{")), 200, None)[2] == b"{"


def test_an_answer_against_the_contract_is_our_mistake_where_that_is_checked() -> None:
    wrong = Reply(Thing(id="", count=-1))
    problem(get(wrong), 500, "INTERNAL")
    assert get(wrong, checked=False).json() == {"id": "", "count": -1}


def test_an_answer_without_its_body_is_our_mistake() -> None:
    problem(get(None), 500, "INTERNAL")


def test_an_update_is_never_answered_by_304() -> None:
    app = application(Things(lambda: Reply(THING, {"ETag": '"1"'})))
    answer = ask(app, "PATCH", "/things/a1", json={"id": "a1", "count": 3}, headers={**WHO, "if-none-match": "*"})
    assert answer.status_code == 200
