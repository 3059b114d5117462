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
def test_a_path_outside_the_contract_is_unknown(path: str) -> None:
    assert_problem(send_request(create_app(RecordingThingsHandler()), "GET", path), 404, "NOT_FOUND")


def test_a_path_outside_the_base_is_unknown() -> None:
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
def test_a_method_outside_the_contract_is_told_which_are_in_it(method: str, path: str, allowed: str) -> None:
    answer = send_request(create_app(RecordingThingsHandler()), method, path)
    assert_problem(answer, 405, "METHOD_NOT_ALLOWED")
    assert answer.headers["allow"] == allowed


def test_head_is_only_where_get_is() -> None:
    answer = send_request(create_app(RecordingThingsHandler()), "HEAD", "/callbacks/a1")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


def test_a_literal_path_goes_before_a_template_that_fits_too() -> None:
    things = RecordingThingsHandler(lambda: THING)
    assert send_request(create_app(things), "GET", "/things/latest").status_code == 200
    assert things.calls == [{}]


def test_a_literal_path_does_not_borrow_methods_from_a_template() -> None:
    assert_problem(
        send_request(create_app(RecordingThingsHandler()), "DELETE", "/things/latest", headers=IDENTITY_HEADERS),
        405,
        "METHOD_NOT_ALLOWED",
    )


def test_the_route_is_looked_for_before_the_token() -> None:
    assert_problem(send_request(create_app(RecordingThingsHandler()), "PUT", "/things/a1"), 405, "METHOD_NOT_ALLOWED")


def test_head_is_handled_as_get() -> None:
    things = RecordingThingsHandler(lambda: Response(BinaryResponse("image/png", b"png"), {"ETag": '"1"'}))
    answer = send_request(create_app(things), "HEAD", "/things/a1/picture")
    assert (answer.status_code, answer.headers["content-length"]) == (200, "3")
    assert things.calls == [{"thing_id": "a1"}]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_every_reason_has_a_cacheable_page(method: str) -> None:
    answer = send_request(create_app(RecordingThingsHandler()), method, "http://edge/problems/NOT_FOUND")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"].startswith("public")
    again = send_request(
        create_app(RecordingThingsHandler()),
        method,
        "http://edge/problems/NOT_FOUND",
        headers={"if-none-match": answer.headers["etag"]},
    )
    assert (again.status_code, again.content) == (304, b"")


def test_one_page_leads_to_all_of_them() -> None:
    listed = send_request(create_app(RecordingThingsHandler()), "GET", "http://edge/problems/")
    assert listed.status_code == 200
    links = re.findall(r'href="(/problems/\w+)"', listed.text)
    assert sorted(links) == sorted(f"/problems/{reason}" for reason in PROBLEMS)
    for link in links:
        page = send_request(create_app(RecordingThingsHandler()), "GET", f"http://edge{link}")
        assert (page.status_code, 'href="/problems/"' in page.text, "`" in page.text) == (200, True, False)


def test_a_document_takes_no_other_method() -> None:
    answer = send_request(create_app(RecordingThingsHandler()), "POST", "http://edge/problems/NOT_FOUND")
    assert_problem(answer, 405, "METHOD_NOT_ALLOWED")
    assert answer.headers["allow"] == "GET, HEAD"
