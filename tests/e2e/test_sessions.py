"""Sessions of users, through the edge: sign-out, and limits of failed sign-ins."""

import httpx

from tests.e2e.test_error_responses import assert_problem
from tests.users import PASSWORD, SignUp


def test_sign_out_revokes_refresh_token(sign_up: SignUp) -> None:
    ada = sign_up().sign_in()
    assert ada.refresh().status_code == 200
    assert ada.request("DELETE", "/sessions").status_code == 204
    assert_problem(ada.refresh(), 401, "REFRESH_TOKEN_INVALID")
    assert ada.sign_in().refresh().status_code == 200


def test_repeated_failed_sign_ins_return_429(edge: httpx.Client, sign_up: SignUp) -> None:
    ada = sign_up().sign_in()
    for _ in range(10):
        wrong = edge.post("/sessions", json={"email": ada.email, "password": "not-the-right-one"})
        assert_problem(wrong, 401, "CREDENTIALS_INVALID")
    for password in ("not-the-right-one", PASSWORD):
        limited = edge.post("/sessions", json={"email": ada.email.upper(), "password": password})
        assert_problem(limited, 429, "TOO_MANY_REQUESTS")
        assert 0 < int(limited.headers["retry-after"]) <= 900
    body = {"old_password": PASSWORD, "new_password": "another-long-one"}
    assert_problem(ada.request("PUT", "/users/me/password", json=body), 429, "TOO_MANY_REQUESTS")
    email = {"email": f"new-{ada.email}", "password": PASSWORD}
    assert_problem(ada.request("POST", "/users/me/email", json=email), 429, "TOO_MANY_REQUESTS")
    assert ada.refresh().status_code == 200  # existing sessions stay valid
    assert ada.request("GET", "/users/me").status_code == 200


def test_successful_sign_in_is_not_rate_limited(sign_up: SignUp) -> None:
    ada = sign_up()
    for _ in range(12):
        ada.sign_in()
