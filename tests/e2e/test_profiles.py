"""Profiles of users, through the edge."""

from typing import Any

import pytest

from tests.e2e.test_error_responses import assert_problem
from tests.users import SignUp


def test_profile_patch_checks_if_match_and_updates_etag(sign_up: SignUp) -> None:
    ada = sign_up(phone="+4915112345678", birth_date="1990-12-10").sign_in()
    before = ada.request("GET", "/users/me")
    assert before.json()["phone"] == "+4915112345678"
    patch = {"first_name": "Ада Λ עדה", "birth_date": None, "time_zone": "Europe/Berlin"}
    after = ada.request("PATCH", "/users/me", json=patch, headers={"if-match": f'"zzz", {before.headers["etag"]}'})
    assert after.status_code == 200
    assert after.json() == {
        **{name: value for name, value in before.json().items() if name != "birth_date"},
        "first_name": "Ада Λ עדה",
        "time_zone": "Europe/Berlin",
    }
    assert ada.request("GET", "/users/me").json() == after.json()
    stale = ada.request("PATCH", "/users/me", json=patch, headers={"if-match": before.headers["etag"]})
    assert_problem(stale, 412, "PRECONDITION_FAILED")
    not_modified = ada.request("GET", "/users/me", headers={"if-none-match": after.headers["etag"]})
    assert (not_modified.status_code, not_modified.content) == (304, b"")
    assert before.headers["accept-patch"] == "application/json, application/merge-patch+json"
    merge_patch = {"content-type": "application/merge-patch+json"}
    assert ada.request("PATCH", "/users/me", content=b'{"phone": null}', headers=merge_patch).status_code == 200


@pytest.mark.parametrize(
    "patch",
    [
        {},
        {"first_name": None},
        {"first_name": ""},
        {"first_name": "a\u0000b"},
        {"first_name": "a\r\nBcc: all@delivery.test"},
        {"first_name": "x" * 101},
        {"last_name": " \u00a0"},
        {"email": "other@delivery.test"},
        {"role": "admin"},
        {"birth_date": "1990-02-30"},
        {"phone": "0151"},
    ],
    ids=str,
)
def test_invalid_profile_patch_returns_400(sign_up: SignUp, patch: dict[str, Any]) -> None:
    ada = sign_up().sign_in()
    before = ada.request("GET", "/users/me").json()
    assert_problem(ada.request("PATCH", "/users/me", json=patch), 400, "INVALID_REQUEST")
    assert ada.request("GET", "/users/me").json() == before


def test_unknown_time_zone_returns_422(sign_up: SignUp) -> None:
    ada = sign_up().sign_in()
    assert_problem(ada.request("PATCH", "/users/me", json={"time_zone": "Mars/Olympus"}), 422, "TIME_ZONE_UNKNOWN")


def test_birth_date_in_the_future_returns_422(sign_up: SignUp) -> None:
    ada = sign_up().sign_in()
    response = ada.request("PATCH", "/users/me", json={"birth_date": "2999-12-31"})
    assert_problem(response, 422, "BIRTH_DATE_IN_FUTURE")


def test_lone_surrogate_returns_400(sign_up: SignUp) -> None:
    ada = sign_up().sign_in()
    body = b'{"first_name": "\\ud800"}'
    response = ada.request("PATCH", "/users/me", content=body, headers={"content-type": "application/json"})
    assert_problem(response, 400, "INVALID_REQUEST")
