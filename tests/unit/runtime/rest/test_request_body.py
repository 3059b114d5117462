import json
from collections.abc import AsyncIterator
from datetime import date
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generated.problems import Reason
from services.runtime.core.errors import ApiError
from services.runtime.rest.request_body import (
    MAX_JSON_BYTES,
    MAX_JSON_DEPTH,
    JsonBody,
    error_pointer,
    exceeds_max_depth,
)
from services.runtime.rest.types import Upload
from tests.sample_rest_app import (
    IDENTITY_HEADERS,
    JSON,
    THING,
    WEBHOOK_HEADERS,
    RecordingThingsHandler,
    Thing,
    assert_problem,
    create_app,
    send_request,
)

THINGS = RecordingThingsHandler(lambda: THING)
APP = create_app(THINGS)
FORM = {"picture": ("cat.png", b"\x89PNG", "image/png")}


def post(content: Any, media: str | None = JSON, path: str = "/things", **headers: str) -> httpx.Response:
    """A request with exactly this body."""
    THINGS.calls.clear()
    sent = {**IDENTITY_HEADERS, **headers} | ({} if media is None else {"content-type": media})
    return send_request(APP, "POST", path, content=content, headers=sent)


def refused(answer: httpx.Response, status: int, reason: str) -> dict[str, Any]:
    """The problem; the handler was not called."""
    assert THINGS.calls == []
    return assert_problem(answer, status, reason)


def body(**changes: Any) -> bytes:
    return json.dumps({"id": "a1", "count": 3} | changes).encode()


def test_a_body_arrives_as_its_model() -> None:
    assert post(body(born="2024-02-29", tags=["x"])).status_code == 201
    assert THINGS.calls[0]["body"] == Thing(id="a1", count=3, born=date(2024, 2, 29), tags=["x"])


@pytest.mark.parametrize("media", ["application/json; charset=utf-8", "Application/JSON", "application/json "])
def test_a_media_type_is_read_as_http_writes_it(media: str) -> None:
    assert post(body(), media).status_code == 201


@pytest.mark.parametrize("media", ["text/plain", "application/jsonx", "application/merge-patch+json", "", None])
def test_another_media_type_is_refused_with_those_that_are_taken(media: str | None) -> None:
    answer = post(body(), media)
    refused(answer, 415, "UNSUPPORTED_MEDIA_TYPE")
    assert answer.headers["accept"] == JSON


@pytest.mark.parametrize(
    "raw",
    [
        *(b"", b"{", b"nonsense", b'{"id":"a1","count":3}x', b"NaN", b'{"id":"a1","count":NaN}', b"\xef\xbb\xbf{}"),
        *(
            b'{"id":"\xff","count":3}',
            b'{"id":"\\ud800","count":3}',
            b'{"id":"a\x00","count":3}',
            b'{"id":"a1","count":1e999}',
        ),
        *("{}".encode("utf-16"), b"[" * 60_000, b'{"a":' * 12_000),
        *(b"null", b"[]", b"3", b'"text"'),
    ],
    ids=repr,
)
def test_what_is_no_object_in_json_is_refused(raw: bytes) -> None:
    refused(post(raw), 400, "INVALID_REQUEST")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"id": ""}, "/id"),
        ({"id": 3}, "/id"),
        ({"id": None}, "/id"),
        ({"count": "3"}, "/count"),
        ({"count": -1}, "/count"),
        ({"count": 2**53}, "/count"),
        ({"count": 1.5}, "/count"),
        ({"count": True}, "/count"),
        ({"born": "2024-02-30"}, "/born"),
        ({"tags": ["x", 1]}, "/tags/1"),
        ({"more": 1}, ""),
    ],
)
def test_what_is_wrong_is_named_by_a_pointer(changes: dict[str, Any], field: str) -> None:
    document = refused(post(body(**changes)), 400, "INVALID_REQUEST")
    assert [error["field"] for error in document["errors"]] == [field]


def test_a_missing_field_is_named() -> None:
    (error,) = refused(post(b'{"id":"a1"}'), 400, "INVALID_REQUEST")["errors"]
    assert "count" in error["message"]


def test_thousands_of_errors_are_not_all_named() -> None:
    assert 1 < len(refused(post(body(tags=[1] * 5000)), 400, "INVALID_REQUEST")["errors"]) <= 20


def test_a_whole_number_may_be_written_as_a_float() -> None:
    assert post(b'{"id":"a1","count":3.0}').status_code == 201
    assert THINGS.calls[0]["body"] == Thing(id="a1", count=3)


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x9FFF), min_size=41, max_size=60))
def test_a_refusal_does_not_repeat_what_was_sent(secret: str) -> None:
    assert secret[:41] not in post(body(id=secret)).text


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_taken_or_refused(raw: bytes) -> None:
    assert post(raw).status_code in (201, 400)


def padded(size: int) -> bytes:
    return body().ljust(size)


def test_a_body_has_a_limit() -> None:
    assert post(padded(MAX_JSON_BYTES)).status_code == 201
    refused(post(padded(MAX_JSON_BYTES + 1)), 413, "PAYLOAD_TOO_LARGE")


def test_a_chunked_body_is_read_whole() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for byte in body():
            yield bytes([byte])

    assert post(chunks()).status_code == 201


def test_a_chunked_body_is_not_read_beyond_the_limit() -> None:
    taken = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield b" " * 1024

    refused(post(endless()), 413, "PAYLOAD_TOO_LARGE")
    assert taken <= MAX_JSON_BYTES // 1024 + 2


def nested(depth: int) -> Any:
    value: Any = []
    for _ in range(depth - 1):
        value = [value]
    return value


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 3 * MAX_JSON_DEPTH))
def test_depth_is_counted(depth: int) -> None:
    assert exceeds_max_depth(nested(depth)) == (depth > MAX_JSON_DEPTH)


def test_a_deep_body_is_refused_before_its_shape_is_looked_at() -> None:
    (error,) = refused(post(body(more=nested(MAX_JSON_DEPTH))), 400, "INVALID_REQUEST")["errors"]
    assert "deep" in error["message"]


@pytest.mark.parametrize(
    ("path", "media", "raw", "status"),
    [
        ("/things", "text/plain", b"x" * (MAX_JSON_BYTES + 1), 413),
        ("/things", "text/plain", b"{}", 415),
        ("/things", JSON, b"{}", 400),
    ],
)
def test_size_goes_before_type_and_type_before_shape(path: str, media: str, raw: bytes, status: int) -> None:
    assert post(raw, media, path).status_code == status


def test_the_token_goes_before_the_size() -> None:
    answer = send_request(APP, "POST", "/things", content=padded(MAX_JSON_BYTES + 1), headers={"content-type": JSON})
    assert_problem(answer, 401, "UNAUTHENTICATED")


def test_the_type_goes_before_the_shape_of_parameters() -> None:
    assert post(b"{}", "text/plain", "/callbacks/BAD").status_code == 415


def test_a_callback_brings_its_headers_and_its_body_byte_for_byte() -> None:
    raw = b' {"id" : "a1", "theirs": [1]}\n'
    assert post(raw, path="/callbacks/a1", **WEBHOOK_HEADERS).status_code == 202
    webhook = THINGS.calls[0]["webhook"]
    assert (webhook.id, webhook.timestamp, webhook.signature) == ("msg_1", "1700000000", "v1,c2ln")
    assert webhook.body == raw


@pytest.mark.parametrize("missing", WEBHOOK_HEADERS)
def test_a_callback_without_one_of_its_headers_is_not_signed(missing: str) -> None:
    sent = {name: value for name, value in WEBHOOK_HEADERS.items() if name != missing}
    refused(post(b'{"id":"a1"}', path="/callbacks/a1", **sent), 401, "SIGNATURE_INVALID")
    refused(post(b'{"id":"a1"}', path="/callbacks/a1", **{**sent, missing: "x" * 1025}), 401, "SIGNATURE_INVALID")


def test_the_shape_of_a_callback_goes_before_its_signature() -> None:
    refused(post(b"{}", path="/callbacks/a1"), 400, "INVALID_REQUEST")


def put(**request: Any) -> httpx.Response:
    THINGS.calls.clear()
    return send_request(APP, "PUT", "/things/a1/picture", **request)


def test_a_file_arrives_with_its_name_and_type() -> None:
    assert put(files=FORM).status_code == 204
    assert THINGS.calls[0]["body"] == Upload("cat.png", "image/png", b"\x89PNG")


@pytest.mark.parametrize(
    "request_",
    [
        {"files": {"photo": FORM["picture"]}},
        {"files": [("picture", FORM["picture"]), ("picture", FORM["picture"])]},
        {"files": FORM, "data": {"title": "cat"}},
        {"content": b"", "headers": {"content-type": "multipart/form-data; boundary=x"}},
        {"content": b"--x\r\n", "headers": {"content-type": "multipart/form-data"}},
        {"content": b"nonsense", "headers": {"content-type": "multipart/form-data; boundary=x"}},
        {
            "content": b'--x\r\nContent-Disposition: form-data; name="picture"\r\n\r\ntext\r\n--x--\r\n',
            "headers": {"content-type": "multipart/form-data; boundary=x"},
        },
    ],
    ids=["other name", "twice", "another part", "empty", "no boundary", "nonsense", "no file"],
)
def test_a_form_is_one_file_of_that_name(request_: dict[str, Any]) -> None:
    refused(put(**request_), 400, "INVALID_REQUEST")


def test_a_file_of_another_type_is_refused_with_those_that_are_taken() -> None:
    answer = put(files={"picture": ("cat.gif", b"GIF89a", "image/gif")})
    refused(answer, 415, "UNSUPPORTED_MEDIA_TYPE")
    assert answer.headers["accept"] == "image/png, image/jpeg"


def test_a_form_of_another_media_type_is_refused() -> None:
    refused(put(json={}), 415, "UNSUPPORTED_MEDIA_TYPE")


def picture(size: int) -> dict[str, Any]:
    return {"files": {"picture": ("cat.png", b"x" * size, "image/png")}}


def test_a_file_has_a_limit() -> None:
    refused(put(**picture(250_000)), 413, "PAYLOAD_TOO_LARGE")


def test_the_limit_of_a_form_is_the_contracts() -> None:
    assert put(**picture(150_000)).status_code == 204


def test_size_goes_before_type_in_forms_too() -> None:
    answer = put(content=b"x" * 250_000, headers={"content-type": "text/plain"})
    refused(answer, 413, "PAYLOAD_TOO_LARGE")


def test_a_date_that_python_cannot_hold_is_named_by_a_pointer() -> None:
    (error,) = refused(post(body(born="0000-01-01")), 400, "INVALID_REQUEST")["errors"]
    assert error["field"] == "/born"


@pytest.mark.parametrize(
    ("message", "pointer"),
    [
        ("Invalid RFC3339 encoded date - at `$.born`", "/born"),
        ("Expected `int`, got `str` - at `$.items[0].rooms[12]`", "/items/0/rooms/12"),
        ("Expected `object`, got `int`", ""),
        ("Invalid date - at `$[3]`", "/3"),
        ("Invalid date - at `$.days[...].at`", "/days/at"),
    ],
)
def test_places_are_pointers(message: str, pointer: str) -> None:
    assert error_pointer(message) == pointer


@pytest.mark.parametrize("form", [{"files": FORM}, {"files": {"photo": FORM["picture"]}}], ids=["right", "wrong"])
def test_a_form_is_looked_at_before_the_shape_of_parameters(form: dict[str, Any]) -> None:
    THINGS.calls.clear()
    refused(send_request(APP, "PUT", "/things/BAD/picture", **form), 400, "INVALID_REQUEST")
    gif = {"picture": ("cat.gif", b"GIF89a", "image/gif")}
    refused(send_request(APP, "PUT", "/things/BAD/picture", files=gif), 415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize(("required", "status"), [(True, 400), (False, 200)])
async def test_a_body_that_need_not_be_there_is_an_empty_object(required: bool, status: int) -> None:
    body = JsonBody("application/json", {"type": "object"}, dict[str, int], 100, required=required)
    if status == 200:
        assert await body.read([], b"") == {}
        return
    with pytest.raises(ApiError) as caught:
        await body.read([], b"")
    assert caught.value.reason is Reason.INVALID_REQUEST
