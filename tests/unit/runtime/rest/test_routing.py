import re

import pytest

from generated.problems import PROBLEMS
from services.runtime.rest.types import BinaryResponse, Response
from tests.sample_rest_app import (
    IDENTITY_HEADERS,
    THING,
    RecordingThingsHandler,
    assert_problem,
    create_app,
    send_request,
)


@pytest.mark.parametrize("path", ["/nothing", "/things/", "/things/a1/", "/things//picture", "/things/a1/picture/b"])
def test_path_outside_contract_returns_404(path: str) -> None:
    assert_problem(send_request(create_app(RecordingThingsHandler()), "GET", path), 404, "NOT_FOUND")


def test_path_outside_base_path_returns_404() -> None:
    assert_problem(
        send_request(create_app(RecordingThingsHandler()), "GET", "http://edge/things/latest"), 404, "NOT_FOUND"
    )


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/things", "GET, HEAD, POST"),
        ("OPTIONS", "/things/a1", "DELETE, GET, HEAD, PATCH"),
        ("GET", "/callbacks/a1", "POST"),
        ("BREW", "/things", "GET, HEAD, POST"),
    ],
)
def test_unsupported_method_returns_405_with_allow_header(method: str, path: str, allowed: str) -> None:
    response = send_request(create_app(RecordingThingsHandler()), method, path)
    assert_problem(response, 405, "METHOD_NOT_ALLOWED")
    assert response.headers["allow"] == allowed


def test_head_without_get_returns_405() -> None:
    response = send_request(create_app(RecordingThingsHandler()), "HEAD", "/callbacks/a1")
    assert (response.status_code, response.headers["allow"]) == (405, "POST")


def test_literal_path_precedes_matching_template() -> None:
    things = RecordingThingsHandler(lambda: THING)
    assert send_request(create_app(things), "GET", "/things/latest").status_code == 200
    assert things.calls == [{}]


def test_literal_path_does_not_inherit_methods_of_template() -> None:
    assert_problem(
        send_request(create_app(RecordingThingsHandler()), "DELETE", "/things/latest", headers=IDENTITY_HEADERS),
        405,
        "METHOD_NOT_ALLOWED",
    )


def test_route_is_checked_before_authentication() -> None:
    assert_problem(send_request(create_app(RecordingThingsHandler()), "PUT", "/things/a1"), 405, "METHOD_NOT_ALLOWED")


def test_head_calls_handler_of_get() -> None:
    things = RecordingThingsHandler(lambda: Response(BinaryResponse("image/png", b"png"), {"ETag": '"1"'}))
    response = send_request(create_app(things), "HEAD", "/things/a1/picture")
    assert (response.status_code, response.headers["content-length"]) == (200, "3")
    assert things.calls == [{"thing_id": "a1"}]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_page_of_reason_is_cacheable(method: str) -> None:
    response = send_request(create_app(RecordingThingsHandler()), method, "http://edge/problems/NOT_FOUND")
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.headers["cache-control"].startswith("public")
    revalidated = send_request(
        create_app(RecordingThingsHandler()),
        method,
        "http://edge/problems/NOT_FOUND",
        headers={"if-none-match": response.headers["etag"]},
    )
    assert (revalidated.status_code, revalidated.content) == (304, b"")


def test_problem_index_links_to_all_pages() -> None:
    index = send_request(create_app(RecordingThingsHandler()), "GET", "http://edge/problems/")
    assert index.status_code == 200
    links = re.findall(r'href="(/problems/\w+)"', index.text)
    assert sorted(links) == sorted(f"/problems/{reason}" for reason in PROBLEMS)
    for link in links:
        page = send_request(create_app(RecordingThingsHandler()), "GET", f"http://edge{link}")
        assert (page.status_code, 'href="/problems/"' in page.text, "`" in page.text) == (200, True, False)


def test_static_document_rejects_other_methods() -> None:
    response = send_request(create_app(RecordingThingsHandler()), "POST", "http://edge/problems/NOT_FOUND")
    assert_problem(response, 405, "METHOD_NOT_ALLOWED")
    assert response.headers["allow"] == "GET, HEAD"
