"""E-mail addresses of accounts, through the edge: confirmation, change, and addresses that are rejected."""

import secrets
from urllib.parse import quote

import httpx
import pytest

from tests.e2e.test_error_responses import assert_problem
from tests.users import PASSWORD, SignUp, User
from tests.wait import wait_until


def test_verification_code_is_single_use(edge: httpx.Client, sign_up: SignUp) -> None:
    ada = sign_up().sign_in()
    assert ada.request("GET", "/users/me").json()["email_verified"] is False
    code = ada.wait_for_code()
    wrong = ada.confirm(code[:-1] + ("A" if code[-1] != "A" else "B"))
    assert ada.confirm(code).status_code == 204
    used = ada.confirm(code)
    assert assert_problem(wrong, 422, "CODE_INVALID")["detail"] == assert_problem(used, 422, "CODE_INVALID")["detail"]
    assert ada.request("GET", "/users/me").json()["email_verified"] is True


def test_resend_verification_does_not_reveal_accounts(edge: httpx.Client, sign_up: SignUp) -> None:
    ada = sign_up()
    ada.wait_for_code(1)
    registered = edge.post("/users/verification", json={"email": ada.email})
    unregistered = edge.post("/users/verification", json={"email": "unregistered@delivery.test"})
    assert (
        (registered.status_code, registered.content) == (unregistered.status_code, unregistered.content) == (202, b"")
    )
    assert ada.confirm(ada.wait_for_code(2)).status_code == 204
    assert ada.list_mails("unregistered@delivery.test") == []


def test_verification_mails_per_account_are_limited(edge: httpx.Client, sign_up: SignUp) -> None:
    ada, other = sign_up(), sign_up()
    for _ in range(8):
        assert edge.post("/users/verification", json={"email": ada.email}).status_code == 202
    # Requests are processed in order, so the mail to the other user shows that all of Ada's requests were processed.
    edge.post("/users/verification", json={"email": other.email})
    other.wait_for_code(2)
    wait_until(lambda: len(ada.list_mails()) >= 5, description="five mails arrive")
    assert len(ada.list_mails()) == 5


def test_email_change_requires_confirmation(edge: httpx.Client, sign_up: SignUp) -> None:
    ada = sign_up().sign_in()
    old, new = ada.email, f"new-{ada.email}"
    assert ada.request("POST", "/users/me/email", json={"email": new}).status_code == 202
    assert ada.request("GET", "/users/me").json()["email"] == old
    assert ada.confirm(ada.wait_for_code(1, new)).status_code == 204
    ada.email = new
    ada.sign_in()
    profile = ada.request("GET", "/users/me").json()
    assert (profile["email"], profile["email_verified"]) == (new, True)
    assert_problem(edge.post("/sessions", json={"email": old, "password": PASSWORD}), 401, "CREDENTIALS_INVALID")


def test_email_change_to_registered_address_sends_no_code(sign_up: SignUp) -> None:
    ada, bob, other = sign_up().sign_in(), sign_up(), sign_up().sign_in()
    bob.wait_for_code(1)
    responses = [ada.request("POST", "/users/me/email", json={"email": bob.email})]
    responses.append(other.request("POST", "/users/me/email", json={"email": f"free-{other.email}"}))
    assert [(response.status_code, response.content) for response in responses] == [(202, b"")] * 2
    other.wait_for_code(1, f"free-{other.email}")
    assert len(bob.list_mails()) == 1


def test_unusual_email_address_works_in_every_operation(edge: httpx.Client, sandbox: httpx.Client) -> None:
    suffix = f"{secrets.token_hex(6)}@delivery.test"
    old, new = f"O'Brien+a/b?c#{suffix}", f"!$%&*=^_`{{|}}~-.{suffix}"
    ada = User(edge, sandbox, email=old)
    ada.email = old
    ada.sign_in()
    assert ada.confirm(ada.wait_for_code(1, quote(old, safe=""))).status_code == 204
    assert ada.request("POST", "/users/me/email", json={"email": new}).status_code == 202
    assert ada.confirm(ada.wait_for_code(1, quote(new, safe=""))).status_code == 204
    ada.email = new
    assert ada.sign_in().request("GET", "/users/me").json()["email"] == new


@pytest.mark.parametrize("email", ['"a@b"@x.test', '"a b"@x.test', "a@[127.0.0.1]"])
def test_unsupported_email_address_is_rejected(edge: httpx.Client, sign_up: SignUp, email: str) -> None:
    body = {"email": email, "password": PASSWORD, "first_name": "Ada", "last_name": "Byron", "role": "customer"}
    assert_problem(edge.post("/users", json=body), 422, "ACCOUNT_REFUSED")
    ada = sign_up().sign_in()
    assert_problem(ada.request("POST", "/users/me/email", json={"email": email}), 422, "ACCOUNT_REFUSED")
    assert_problem(edge.post("/sessions", json={"email": email, "password": PASSWORD}), 401, "CREDENTIALS_INVALID")


def test_email_rejected_by_identity_provider_returns_422(edge: httpx.Client) -> None:
    email = f"a@{'b' * 63}.{'c' * 63}.{'d' * 63}.test"
    body = {"email": email, "password": PASSWORD, "first_name": "A", "last_name": "B", "role": "customer"}
    assert_problem(edge.post("/users", json=body), 422, "ACCOUNT_REFUSED")
