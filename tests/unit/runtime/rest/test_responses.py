from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.runtime.rest.responses import encode_response, matches_etag
from services.runtime.rest.types import BinaryResponse, Response
from tests.sample_rest_app import (
    IDENTITY_HEADERS,
    JSON,
    THING,
    RecordingThingsHandler,
    Thing,
    assert_problem,
    create_app,
    send_request,
)

ETAGS = st.text(st.characters(min_codepoint=0x23, max_codepoint=0x7E, exclude_characters=","), max_size=20).map(
    '"{}"'.format
)


def get(
    result: Any, path: str = "/things/a1", *, validate: bool = True, if_none_match: str | None = None
) -> httpx.Response:
    app = create_app(RecordingThingsHandler(lambda: result), validate_responses=validate)
    return send_request(
        app,
        "GET",
        path,
        headers={**IDENTITY_HEADERS, **({} if if_none_match is None else {"if-none-match": if_none_match})},
    )


@pytest.mark.parametrize(
    ("headers", "cache_control"),
    [({}, "private, no-store"), ({"Cache-Control": "private, no-cache"}, "private, no-cache")],
)
@pytest.mark.parametrize("if_none_match", [None, '"1"'])
def test_response_to_one_user_is_not_cached_for_others(
    headers: dict[str, str], cache_control: str, if_none_match: str | None
) -> None:
    response = get(Response(THING, {"ETag": '"1"', **headers}), if_none_match=if_none_match)
    assert response.status_code == (200 if if_none_match is None else 304)
    assert response.headers["cache-control"] == cache_control
    assert response.headers["vary"] == "Authorization"


def test_public_response_has_no_private_cache_policy() -> None:
    response = get(THING, "/things/latest")
    assert not {"cache-control", "vary"} & response.headers.keys()


def test_model_is_encoded_as_json_with_content_length() -> None:
    response = get(Response(THING, {"ETag": '"1"', "X-More": "é"}))
    assert (response.status_code, response.json()) == (200, {"id": "a1", "count": 3})
    assert response.headers["content-type"] == JSON
    assert response.headers["content-length"] == str(len(response.content))
    assert response.headers["etag"] == '"1"'


def build_picture(media_type: str = "image/png", etag: str = '"a1"') -> Response[BinaryResponse]:
    return Response(BinaryResponse(media_type, b"\x89PNG"), {"ETag": etag, "Cache-Control": "private, no-cache"})


def test_binary_response_is_sent_unchanged() -> None:
    response = get(build_picture(), "/things/a1/picture")
    assert (response.headers["content-type"], response.content) == ("image/png", b"\x89PNG")


def test_operation_without_success_body_returns_204() -> None:
    response = send_request(create_app(RecordingThingsHandler()), "DELETE", "/things/a1", headers=IDENTITY_HEADERS)
    assert (response.status_code, response.content) == (204, b"")
    assert "content-type" not in response.headers


@pytest.mark.parametrize("if_none_match", ['"1"', 'W/"1"', '"0", "1"', "*"])
def test_matching_if_none_match_returns_304(if_none_match: str) -> None:
    response = get(Response(THING, {"ETag": '"1"'}), if_none_match=if_none_match)
    assert (response.status_code, response.content) == (304, b"")
    assert response.headers["etag"] == '"1"'


@pytest.mark.parametrize(
    ("etag", "if_none_match"), [('"1"', '"2"'), ('"1"', "1"), ('"1"', ""), (None, "*"), (None, '"1"')]
)
def test_other_if_none_match_returns_200(etag: str | None, if_none_match: str) -> None:
    response = get(Response(THING, {} if etag is None else {"ETag": etag}), if_none_match=if_none_match)
    assert response.status_code == 200


@given(ETAGS, st.lists(ETAGS))
def test_etag_matches_if_listed(etag: str, others: list[str]) -> None:
    assert matches_etag(", ".join([*others, f"W/{etag}"]).encode(), etag)
    assert matches_etag(", ".join(others).encode(), etag) == (etag in others)


def test_binary_body_is_not_encoded_as_json() -> None:
    assert encode_response(Response(BinaryResponse("image/png", b"{")), 200, None)[2] == b"{"


def test_invalid_response_returns_500_only_with_validation() -> None:
    invalid = Response(Thing(id="", count=-1))
    assert_problem(get(invalid), 500, "INTERNAL")
    assert get(invalid, validate=False).json() == {"id": "", "count": -1}


def test_response_with_missing_body_returns_500() -> None:
    assert_problem(get(None), 500, "INTERNAL")


def test_update_with_if_none_match_returns_200() -> None:
    app = create_app(RecordingThingsHandler(lambda: Response(THING, {"ETag": '"1"'})))
    response = send_request(
        app, "PATCH", "/things/a1", json={"id": "a1", "count": 3}, headers={**IDENTITY_HEADERS, "if-none-match": "*"}
    )
    assert response.status_code == 200


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_binary_response_with_matching_etag_returns_304(method: str) -> None:
    app = create_app(RecordingThingsHandler(build_picture))
    response = send_request(app, method, "/things/a1/picture")
    assert (response.status_code, response.headers["etag"], response.headers["content-length"]) == (200, '"a1"', "4")
    second = send_request(app, method, "/things/a1/picture", headers={"if-none-match": response.headers["etag"]})
    assert (second.status_code, second.content) == (304, b"")
    assert (second.headers["etag"], second.headers["cache-control"]) == ('"a1"', "private, no-cache")
    assert "content-type" not in second.headers
    mismatched = send_request(app, method, "/things/a1/picture", headers={"if-none-match": '"a2"'})
    assert mismatched.status_code == 200


@pytest.mark.parametrize(
    ("result", "status"),
    [
        (build_picture("image/webp"), 200),
        (build_picture("image/gif"), 500),
        (build_picture("text/html"), 500),
        (Response(BinaryResponse("image/png", b"x")), 500),
        (Response(None, {"ETag": '"1"'}), 500),
        (Response(BinaryResponse("image/png", b"x"), {"etag": '"1"'}), 200),
    ],
    ids=["other listed type", "unlisted type", "html", "no ETag", "no body", "lower case"],
)
def test_binary_response_is_validated_for_media_type_and_headers(result: Response[Any], status: int) -> None:
    assert get(result, "/things/a1/picture").status_code == status


@pytest.mark.parametrize("replayed", [True, False])
def test_replayed_response_has_idempotency_replayed_header(replayed: bool) -> None:
    app = create_app(RecordingThingsHandler(lambda: Response(THING, replayed=replayed)))
    response = send_request(app, "POST", "/things", json={"id": "a1", "count": 3}, headers=IDENTITY_HEADERS)
    assert response.status_code == 201
    assert response.headers.get("idempotency-replayed") == ("true" if replayed else None)
