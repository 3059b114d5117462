from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.runtime.rest.response_validation import ResponseValidator
from services.runtime.rest.responses import encode_response, matches_etag
from services.runtime.rest.types import BinaryResponse, Response
from tests.sample_rest_app import (
    IDENTITY_HEADERS,
    JSON,
    OPERATIONS,
    THING,
    RecordingThingsHandler,
    Thing,
    assert_problem,
    create_app,
    send_request,
)

TAGS = st.text(st.characters(min_codepoint=0x23, max_codepoint=0x7E, exclude_characters=","), max_size=20).map(
    '"{}"'.format
)


def get(answer: Any, path: str = "/things/a1", *, checked: bool = True, has: str | None = None) -> httpx.Response:
    app = create_app(RecordingThingsHandler(lambda: answer), validate_responses=checked)
    return send_request(
        app, "GET", path, headers={**IDENTITY_HEADERS, **({} if has is None else {"if-none-match": has})}
    )


def test_a_model_is_json_with_its_length() -> None:
    answer = get(Response(THING, {"ETag": '"1"', "X-More": "é"}))
    assert (answer.status_code, answer.json()) == (200, {"id": "a1", "count": 3})
    assert answer.headers["content-type"] == JSON
    assert answer.headers["content-length"] == str(len(answer.content))
    assert answer.headers["etag"] == '"1"'


def picture(media: str = "image/png", etag: str = '"a1"') -> Response[BinaryResponse]:
    return Response(BinaryResponse(media, b"\x89PNG"), {"ETag": etag, "Cache-Control": "private, no-cache"})


def test_a_blob_goes_out_as_it_is() -> None:
    answer = get(picture(), "/things/a1/picture")
    assert (answer.headers["content-type"], answer.content) == ("image/png", b"\x89PNG")


def test_an_operation_without_a_success_body_sends_none() -> None:
    answer = send_request(create_app(RecordingThingsHandler()), "DELETE", "/things/a1", headers=IDENTITY_HEADERS)
    assert (answer.status_code, answer.content) == (204, b"")
    assert "content-type" not in answer.headers


@pytest.mark.parametrize("sent", ['"1"', 'W/"1"', '"0", "1"', "*"])
def test_who_has_it_already_is_not_sent_it_again(sent: str) -> None:
    answer = get(Response(THING, {"ETag": '"1"'}), has=sent)
    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["etag"] == '"1"'


@pytest.mark.parametrize(("etag", "sent"), [('"1"', '"2"'), ('"1"', "1"), ('"1"', ""), (None, "*"), (None, '"1"')])
def test_who_has_another_is(etag: str | None, sent: str) -> None:
    answer = get(Response(THING, {} if etag is None else {"ETag": etag}), has=sent)
    assert answer.status_code == 200


@given(TAGS, st.lists(TAGS))
def test_a_tag_matches_where_it_is_listed(etag: str, others: list[str]) -> None:
    assert matches_etag(", ".join([*others, f"W/{etag}"]).encode(), etag)
    assert matches_etag(", ".join(others).encode(), etag) == (etag in others)


def test_a_body_that_is_not_json_is_not_encoded_as_such() -> None:
    assert encode_response(Response(BinaryResponse("image/png", b"{")), 200, None)[2] == b"{"


def test_an_answer_against_the_contract_is_our_mistake_where_that_is_checked() -> None:
    wrong = Response(Thing(id="", count=-1))
    assert_problem(get(wrong), 500, "INTERNAL")
    assert get(wrong, checked=False).json() == {"id": "", "count": -1}


def test_an_answer_without_its_body_is_our_mistake() -> None:
    assert_problem(get(None), 500, "INTERNAL")


def test_an_update_is_never_answered_by_304() -> None:
    app = create_app(RecordingThingsHandler(lambda: Response(THING, {"ETag": '"1"'})))
    answer = send_request(
        app, "PATCH", "/things/a1", json={"id": "a1", "count": 3}, headers={**IDENTITY_HEADERS, "if-none-match": "*"}
    )
    assert answer.status_code == 200


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_picture_that_one_has_is_not_sent_again(method: str) -> None:
    app = create_app(RecordingThingsHandler(picture))
    answer = send_request(app, method, "/things/a1/picture")
    assert (answer.status_code, answer.headers["etag"], answer.headers["content-length"]) == (200, '"a1"', "4")
    again = send_request(app, method, "/things/a1/picture", headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert (again.headers["etag"], again.headers["cache-control"]) == ('"a1"', "private, no-cache")
    assert "content-type" not in again.headers
    other = send_request(app, method, "/things/a1/picture", headers={"if-none-match": '"a2"'})
    assert other.status_code == 200


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        (picture("image/webp"), 200),
        (picture("image/gif"), 500),
        (picture("text/html"), 500),
        (Response(BinaryResponse("image/png", b"x")), 500),
        (Response(None, {"ETag": '"1"'}), 500),
        (Response(BinaryResponse("image/png", b"x"), {"etag": '"1"'}), 200),
    ],
    ids=["another that is promised", "none that is", "a page", "no ETag", "no body", "lower case"],
)
def test_a_picture_is_held_to_its_type_and_headers(reply: Response[Any], status: int) -> None:
    assert get(reply, "/things/a1/picture").status_code == status


def test_a_body_where_none_is_promised_is_our_mistake() -> None:
    assert (
        send_request(create_app(RecordingThingsHandler()), "DELETE", "/things/a1", headers=IDENTITY_HEADERS).status_code
        == 204
    )
    promise = ResponseValidator(_Nothing(), OPERATIONS["deleteThing"])
    with pytest.raises(AssertionError, match="nobody expects"):
        promise.validate(Response(THING), b"{}")


class _Nothing:
    operation_id = "deleteThing"

    def response_definition(self, _: str) -> dict[str, Any]:
        return {"description": "Gone."}


@pytest.mark.parametrize("replayed", [True, False])
def test_a_repeated_answer_says_so(replayed: bool) -> None:
    app = create_app(RecordingThingsHandler(lambda: Response(THING, replayed=replayed)))
    answer = send_request(app, "POST", "/things", json={"id": "a1", "count": 3}, headers=IDENTITY_HEADERS)
    assert answer.status_code == 201
    assert answer.headers.get("idempotency-replayed") == ("true" if replayed else None)
