import json
from collections.abc import AsyncIterator
from datetime import date
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.types import Message

from generated.problems import Reason
from services.runtime.core.errors import ApiError
from services.runtime.core.json_schema import MAX_JSON_DEPTH
from services.runtime.rest.request_body import MAX_JSON_BYTES, JsonBody, read_body
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


def post(content: Any, media_type: str | None = JSON, path: str = "/things", **headers: str) -> httpx.Response:
    """Send a POST request with exactly this body."""
    THINGS.calls.clear()
    all_headers = {**IDENTITY_HEADERS, **headers} | ({} if media_type is None else {"content-type": media_type})
    return send_request(APP, "POST", path, content=content, headers=all_headers)


def assert_rejected(response: httpx.Response, status: int, reason: str) -> dict[str, Any]:
    """Return the problem document, and check that the handler was not called."""
    assert THINGS.calls == []
    return assert_problem(response, status, reason)


def build_body(**changes: Any) -> bytes:
    return json.dumps({"id": "a1", "count": 3} | changes).encode()


def test_body_is_converted_to_model() -> None:
    assert post(build_body(born="2024-02-29", tags=["x"])).status_code == 201
    assert THINGS.calls[0]["body"] == Thing(id="a1", count=3, born=date(2024, 2, 29), tags=["x"])


@pytest.mark.parametrize("media_type", ["application/json; charset=utf-8", "Application/JSON", "application/json "])
def test_media_type_ignores_case_and_parameters(media_type: str) -> None:
    assert post(build_body(), media_type).status_code == 201


@pytest.mark.parametrize("media_type", ["text/plain", "application/jsonx", "application/merge-patch+json", "", None])
def test_unsupported_media_type_returns_415_with_accept_header(media_type: str | None) -> None:
    response = post(build_body(), media_type)
    document = assert_rejected(response, 415, "UNSUPPORTED_MEDIA_TYPE")
    assert document["detail"] == "This type of file or data is not supported."
    assert response.headers["accept"] == JSON


@pytest.mark.parametrize(("coding", "status"), [("gzip", 415), ("BR", 415), ("", 201), ("Identity", 201)])
def test_body_with_content_coding_returns_415(coding: str, status: int) -> None:
    assert post(build_body(), **{"content-encoding": coding}).status_code == status
    form_status = 204 if status == 201 else status
    assert put_picture(files=FORM, headers={"content-encoding": coding}).status_code == form_status


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
def test_body_that_is_not_a_json_object_is_rejected(raw: bytes) -> None:
    assert_rejected(post(raw), 400, "INVALID_REQUEST")


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
def test_invalid_field_is_reported_by_json_pointer(changes: dict[str, Any], field: str) -> None:
    document = assert_rejected(post(build_body(**changes)), 400, "INVALID_REQUEST")
    assert [error["field"] for error in document["errors"]] == [field]


def test_missing_field_is_named_in_message() -> None:
    (error,) = assert_rejected(post(b'{"id":"a1"}'), 400, "INVALID_REQUEST")["errors"]
    assert "count" in error["message"]


def test_number_of_reported_errors_is_limited() -> None:
    assert 1 < len(assert_rejected(post(build_body(tags=[1] * 5000)), 400, "INVALID_REQUEST")["errors"]) <= 20


def test_float_with_integral_value_is_accepted_as_integer() -> None:
    assert post(b'{"id":"a1","count":3.0}').status_code == 201
    assert THINGS.calls[0]["body"] == Thing(id="a1", count=3)


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x9FFF), min_size=41, max_size=60))
def test_error_does_not_echo_input(secret: str) -> None:
    assert secret[:41] not in post(build_body(id=secret)).text


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_accepted_or_rejected_with_400(raw: bytes) -> None:
    assert post(raw).status_code in (201, 400)


def build_padded_body(size: int) -> bytes:
    return build_body().ljust(size)


def test_body_above_size_limit_returns_413() -> None:
    assert post(build_padded_body(MAX_JSON_BYTES)).status_code == 201
    assert_rejected(post(build_padded_body(MAX_JSON_BYTES + 1)), 413, "PAYLOAD_TOO_LARGE")


def test_chunked_body_is_read_completely() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for byte in build_body():
            yield bytes([byte])

    assert post(chunks()).status_code == 201


def test_chunked_body_is_not_read_beyond_size_limit() -> None:
    chunks_read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal chunks_read
        while True:
            chunks_read += 1
            yield b" " * 1024

    assert_rejected(post(endless()), 413, "PAYLOAD_TOO_LARGE")
    assert chunks_read <= MAX_JSON_BYTES // 1024 + 2


@pytest.mark.parametrize("parts", [[], [b""], [b'{"id":']])
async def test_disconnection_before_end_of_body_raises_error(parts: list[bytes]) -> None:
    messages: list[Message] = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    messages.append({"type": "http.disconnect"})

    async def receive() -> Message:
        return messages.pop(0)

    with pytest.raises(ApiError) as raised:
        await read_body(receive, MAX_JSON_BYTES)
    assert raised.value.reason is Reason.INVALID_REQUEST
    assert messages == []


def build_nested(depth: int) -> Any:
    value: Any = []
    for _ in range(depth - 1):
        value = [value]
    return value


def test_nesting_depth_is_checked_before_schema() -> None:
    (error,) = assert_rejected(post(build_body(more=build_nested(MAX_JSON_DEPTH))), 400, "INVALID_REQUEST")["errors"]
    assert "nested deeper" in error["message"]


@pytest.mark.parametrize(
    ("path", "media_type", "raw", "status"),
    [
        ("/things", "text/plain", b"x" * (MAX_JSON_BYTES + 1), 413),
        ("/things", "text/plain", b"{}", 415),
        ("/things", JSON, b"{}", 400),
    ],
)
def test_size_is_checked_before_media_type_and_schema(path: str, media_type: str, raw: bytes, status: int) -> None:
    assert post(raw, media_type, path).status_code == status


def test_authentication_is_checked_before_body_size() -> None:
    response = send_request(
        APP, "POST", "/things", content=build_padded_body(MAX_JSON_BYTES + 1), headers={"content-type": JSON}
    )
    assert_problem(response, 401, "UNAUTHENTICATED")


def test_media_type_is_checked_before_parameters() -> None:
    assert post(b"{}", "text/plain", "/callbacks/BAD").status_code == 415


@pytest.mark.parametrize(
    ("raw", "media_type"), [(b' {"id" : "a1", "extra": [1]}\n', JSON), (b"no JSON", JSON), (b"", JSON), (b"", None)]
)
def test_callback_has_webhook_headers_and_exact_body(raw: bytes, media_type: str | None) -> None:
    """The service that verifies the signature parses the body."""
    assert post(raw, media_type, "/callbacks/a1", **WEBHOOK_HEADERS).status_code == 202
    webhook = THINGS.calls[0]["webhook"]
    assert (webhook.id, webhook.timestamp, webhook.signature) == ("msg_1", "1700000000", "v1,c2ln")
    assert webhook.body == raw


@pytest.mark.parametrize(
    ("raw", "media_type", "status", "reason"),
    [
        (b"{}", "text/plain", 415, "UNSUPPORTED_MEDIA_TYPE"),
        (b"{}", None, 415, "UNSUPPORTED_MEDIA_TYPE"),
        (b" " * (MAX_JSON_BYTES + 1), JSON, 413, "PAYLOAD_TOO_LARGE"),
    ],
)
def test_callback_with_invalid_size_or_media_type_is_rejected(
    raw: bytes, media_type: str | None, status: int, reason: str
) -> None:
    assert_rejected(post(raw, media_type, "/callbacks/a1", **WEBHOOK_HEADERS), status, reason)


def put_picture(**request: Any) -> httpx.Response:
    THINGS.calls.clear()
    return send_request(APP, "PUT", "/things/a1/picture", **request)


def test_uploaded_file_has_name_and_media_type() -> None:
    assert put_picture(files=FORM).status_code == 204
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
    ids=["other name", "duplicate", "another part", "empty", "no boundary", "malformed", "no file"],
)
def test_form_without_exactly_one_named_file_is_rejected(request_: dict[str, Any]) -> None:
    assert_rejected(put_picture(**request_), 400, "INVALID_REQUEST")


@pytest.mark.parametrize(
    ("charset", "status"),
    [("utf-8", 204), ('"UTF-8"', 204), ("ISO-8859-1", 204), ("punycode", 400), ("idna", 400), ("none", 400)],
)
def test_form_in_unusual_charset_is_rejected(charset: str, status: int) -> None:
    part = b'--x\r\nContent-Disposition: form-data; name="picture"; filename="a"\r\nContent-Type: image/png\r\n\r\nx'
    headers = {"content-type": f"multipart/form-data; charset={charset}; boundary=x"}
    response = put_picture(content=part + b"\r\n--x--\r\n", headers=headers)
    assert response.status_code == status


def test_file_of_unsupported_type_returns_415_with_accept_header() -> None:
    response = put_picture(files={"picture": ("cat.gif", b"GIF89a", "image/gif")})
    assert_rejected(response, 415, "UNSUPPORTED_MEDIA_TYPE")
    assert response.headers["accept"] == "image/png, image/jpeg"


@pytest.mark.parametrize("media_type", ["image/jpg", "IMAGE/JPG; q=1", "image/pjpeg"])
def test_file_of_alias_media_type_has_registered_media_type(media_type: str) -> None:
    assert put_picture(files={"picture": ("cat.jpg", b"\xff\xd8", media_type)}).status_code == 204
    assert THINGS.calls[0]["body"] == Upload("cat.jpg", "image/jpeg", b"\xff\xd8")


def test_form_of_unsupported_media_type_returns_415() -> None:
    assert_rejected(put_picture(json={}), 415, "UNSUPPORTED_MEDIA_TYPE")


def build_upload(size: int) -> dict[str, Any]:
    return {"files": {"picture": ("cat.png", b"x" * size, "image/png")}}


def test_file_above_size_limit_returns_413() -> None:
    assert_rejected(put_picture(**build_upload(250_000)), 413, "PAYLOAD_TOO_LARGE")


def test_form_size_limit_is_that_of_contract() -> None:
    assert put_picture(**build_upload(150_000)).status_code == 204


def test_form_size_is_checked_before_media_type() -> None:
    response = put_picture(content=b"x" * 250_000, headers={"content-type": "text/plain"})
    assert_rejected(response, 413, "PAYLOAD_TOO_LARGE")


def test_unrepresentable_date_is_reported_by_json_pointer() -> None:
    (error,) = assert_rejected(post(build_body(born="0000-01-01")), 400, "INVALID_REQUEST")["errors"]
    assert error["field"] == "/born"


@pytest.mark.parametrize("form", [{"files": FORM}, {"files": {"photo": FORM["picture"]}}], ids=["valid", "invalid"])
def test_form_is_checked_before_parameters(form: dict[str, Any]) -> None:
    THINGS.calls.clear()
    assert_rejected(send_request(APP, "PUT", "/things/BAD/picture", **form), 400, "INVALID_REQUEST")
    gif = {"picture": ("cat.gif", b"GIF89a", "image/gif")}
    assert_rejected(send_request(APP, "PUT", "/things/BAD/picture", files=gif), 415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize(("required", "status"), [(True, 400), (False, 200)])
async def test_missing_optional_body_is_empty_object(required: bool, status: int) -> None:
    body = JsonBody(["application/json"], {"type": "object"}, dict[str, int], 100, required=required)
    if status == 200:
        assert await body.read([], b"") == {}
        return
    with pytest.raises(ApiError) as raised:
        await body.read([], b"")
    assert raised.value.reason is Reason.INVALID_REQUEST
