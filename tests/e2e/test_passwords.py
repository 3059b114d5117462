"""Change and reset of passwords, through the edge."""

import httpx

from tests.e2e.test_error_responses import assert_problem
from tests.users import PASSWORD, SignUp


def test_password_change_requires_old_password(edge: httpx.Client, sign_up: SignUp) -> None:
    ada = sign_up().sign_in()
    wrong = {"old_password": "not-the-right-one", "new_password": "another-long-one"}
    assert_problem(ada.request("PUT", "/users/me/password", json=wrong), 422, "PASSWORD_WRONG")
    right = {"old_password": PASSWORD, "new_password": "another-long-one"}
    assert ada.request("PUT", "/users/me/password", json=right).status_code == 204
    assert_problem(ada.refresh(), 401, "REFRESH_TOKEN_INVALID")
    assert_problem(edge.post("/sessions", json={"email": ada.email, "password": PASSWORD}), 401, "CREDENTIALS_INVALID")
    ada.password = "another-long-one"
    ada.sign_in()


def test_password_reset_sets_password_and_ends_sessions(edge: httpx.Client, sign_up: SignUp) -> None:
    ada = sign_up().sign_in()
    ada.wait_for_code(1)
    registered = edge.post("/password-resets", json={"email": ada.email})
    unregistered = edge.post("/password-resets", json={"email": "unregistered@delivery.test"})
    assert (
        (registered.status_code, registered.content) == (unregistered.status_code, unregistered.content) == (202, b"")
    )
    code = ada.wait_for_code(2)
    assert_problem(ada.confirm(code), 422, "CODE_INVALID")  # a code is valid for one purpose
    body = {"code": code, "password": "another-password"}
    assert edge.post("/password-resets/confirm", json=body).status_code == 204
    assert_problem(edge.post("/password-resets/confirm", json=body), 422, "CODE_INVALID")
    assert_problem(ada.refresh(), 401, "REFRESH_TOKEN_INVALID")
    ada.password = "another-password"
    assert ada.sign_in().request("GET", "/users/me").json()["email_verified"] is True
