"""Request parsing, problem documents and the limit of bodies."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import msgspec
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.sandbox.http_helpers import (
    MAX_BODY_BYTES,
    BodyLimitMiddleware,
    HttpError,
    convert_form,
    create_json_response,
    decode_json,
    is_form_request,
    read_body,
    read_form_fields,
    read_json_body,
    render_problem,
)
from tests.unit.sandbox.components import create_client


class Payment(msgspec.Struct, forbid_unknown_fields=True):
    """Request of the example component."""

    amount: int


class ExampleComponent:
    """Component that returns what it received."""

    def build_routes(self) -> list[Route]:
        return [
            Route("/json", self.read_json, methods=["POST"]),
            Route("/form", self.read_form, methods=["POST"]),
            Route("/payment", self.read_payment, methods=["POST"]),
            Route("/body", self.read_body, methods=["GET", "POST"]),
            Route("/fail", self.fail),
        ]

    async def read_json(self, request: Request) -> Response:
        return create_json_response(await read_json_body(request, Payment), 201, {"x-more": "1"})

    async def read_form(self, request: Request) -> Response:
        fields = await read_form_fields(request)
        return create_json_response([is_form_request(request), fields, convert_form(fields, Payment)])

    async def read_payment(self, request: Request) -> Response:
        return create_json_response(await read_body(request, Payment))

    async def read_body(self, request: Request) -> Response:
        return create_json_response(len(await request.body()))

    async def fail(self, _: Request) -> Response:
        raise HttpError(404, "unknown payment")


@pytest.fixture
def client() -> httpx.AsyncClient:
    return create_client(ExampleComponent())


async def test_json_body_is_decoded_and_encoded(client: httpx.AsyncClient) -> None:
    response = await client.post("/json", json={"amount": 1})
    assert (response.status_code, response.json(), response.headers["x-more"]) == (201, {"amount": 1}, "1")
    assert response.headers["content-type"] == "application/json"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"amount": "1"}', b'{"amount": 1, "x": 2}', b'"\xff"'])
async def test_invalid_json_body_is_a_problem(client: httpx.AsyncClient, content: bytes) -> None:
    response = await client.post("/json", content=content)
    assert response.status_code == 400
    assert response.headers["content-type"] == "application/problem+json"


async def test_http_error_is_rendered_as_problem_document(client: httpx.AsyncClient) -> None:
    response = await client.get("/fail")
    assert response.json() == {"type": "about:blank", "title": "Not Found", "status": 404, "detail": "unknown payment"}


async def test_other_errors_are_not_rendered() -> None:
    with pytest.raises(KeyError):
        await render_problem(Request({"type": "http"}), KeyError("secret"))


@pytest.mark.parametrize("is_multipart", [False, True])
async def test_form_is_converted_and_its_files_are_ignored(client: httpx.AsyncClient, is_multipart: bool) -> None:
    files = {"note": (None, "x")} if is_multipart else None
    response = await client.post("/form", data={"amount": "12"}, files=files)
    is_form, fields, payment = response.json() if response.status_code == 200 else (None, None, None)
    if is_multipart:
        assert response.status_code == 400, "the unknown field `note` is rejected"
    else:
        assert (is_form, fields, payment) == (True, {"amount": "12"}, {"amount": 12})


@pytest.mark.parametrize("amount", [12, "many"])
async def test_form_and_json_bodies_are_read_alike(client: httpx.AsyncClient, amount: int | str) -> None:
    responses = [await client.post("/payment", data={"amount": str(amount)})]
    responses.append(await client.post("/payment", json={"amount": amount}))
    expected = (200, {"amount": 12}) if amount == 12 else (400, None)
    assert [
        (response.status_code, response.json() if response.status_code == 200 else None) for response in responses
    ] == [expected, expected]


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("application/x-www-form-urlencoded", True),
        ("Application/X-WWW-Form-Urlencoded; charset=utf-8", True),
        ("multipart/form-data; boundary=x", True),
        ("application/json", False),
        ("", False),
    ],
)
def test_form_request_is_recognised_by_its_media_type(content_type: str, expected: bool) -> None:
    headers = [(b"content-type", content_type.encode())] if content_type else []
    assert is_form_request(Request({"type": "http", "headers": headers})) == expected


@pytest.mark.parametrize("form", [{}, {"amount": "many"}, {"amount": "1.5"}])
def test_invalid_form_is_rejected(form: dict[str, str]) -> None:
    with pytest.raises(HttpError) as raised:
        convert_form(form, Payment)
    assert raised.value.status == 400


def test_decoding_error_names_the_invalid_field() -> None:
    with pytest.raises(HttpError, match=r"\$\.amount"):
        decode_json(b'{"amount": null}', Payment)


@pytest.mark.parametrize(("size", "status"), [(0, 200), (MAX_BODY_BYTES, 200), (MAX_BODY_BYTES + 1, 413)])
async def test_body_size_is_limited(client: httpx.AsyncClient, size: int, status: int) -> None:
    response = await client.post("/body", content=b"x" * size)
    assert response.status_code == status
    if status == 200:
        assert response.json() == size


async def test_chunked_body_is_limited_and_complete(client: httpx.AsyncClient) -> None:
    async def chunks() -> Any:
        for _ in range(4):
            yield b"x" * 1000

    assert (await client.post("/body", content=chunks())).json() == 4000


@pytest.mark.parametrize(
    ("method", "site", "status"),
    [
        ("POST", "cross-site", 403),
        ("POST", "same-origin", 200),
        ("POST", "none", 200),
        ("POST", None, 200),
        ("GET", "cross-site", 403),
    ],
)
async def test_cross_site_request_is_denied(
    client: httpx.AsyncClient, method: str, site: str | None, status: int
) -> None:
    headers = {} if site is None else {"sec-fetch-site": site}
    assert (await client.request(method, "/body", headers=headers)).status_code == status


async def test_disconnect_during_the_body_ends_the_request() -> None:
    calls: list[Any] = []
    messages: Iterator[dict[str, Any]] = iter(
        [{"type": "http.request", "body": b"x", "more_body": True}, {"type": "http.disconnect"}]
    )

    async def receive() -> dict[str, Any]:
        return next(messages)

    async def record(*arguments: Any) -> None:
        calls.append(arguments)

    await BodyLimitMiddleware(record)({"type": "http", "method": "POST", "headers": []}, receive, record)
    assert calls == [], "neither the application nor the client is called"


async def test_disconnect_after_the_body_reaches_the_application() -> None:
    messages = iter([{"type": "http.request", "body": b"x"}, {"type": "http.disconnect"}])
    received: list[Any] = []

    async def receive() -> dict[str, Any]:
        return dict(next(messages))

    async def app(_scope: Any, receive: Any, _send: Any) -> None:
        received.extend([await receive(), await receive()])

    await BodyLimitMiddleware(app)({"type": "http", "method": "POST", "headers": []}, receive, app)
    assert received == [{"type": "http.request", "body": b"x", "more_body": False}, {"type": "http.disconnect"}]


async def test_lifespan_is_passed_on() -> None:
    scopes: list[Any] = []

    async def record(scope: Any, *_: Any) -> None:
        scopes.append(scope)

    await BodyLimitMiddleware(record)({"type": "lifespan"}, record, record)
    assert scopes == [{"type": "lifespan"}]


def test_json_response_is_valid_json() -> None:
    assert json.loads(create_json_response({"a": "é"}).body) == {"a": "é"}
