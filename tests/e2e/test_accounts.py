"""Operations of users and sessions, through the edge."""

import io
import secrets
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from PIL import Image

from deploy.local.demo import scenarios
from deploy.local.demo.scenario_context import ScenarioContext
from tests.conftest import Mesh, run_local
from tests.e2e.test_error_responses import assert_problem
from tests.users import PASSWORD, User, create_image
from tests.wait import wait_until

type Bearer = Callable[[str], dict[str, str]]
type SignUp = Callable[..., User]


@pytest.fixture
def sign_up(edge: httpx.Client, sandbox: httpx.Client) -> SignUp:
    """Return a function that signs users up."""
    return lambda *args, **profile: User(edge, sandbox, *args, **profile)


def test_sign_up_with_registered_email_returns_409(edge: httpx.Client, sign_up: SignUp) -> None:
    ada = sign_up()
    body = {"email": ada.email.upper(), "password": PASSWORD, "first_name": "A", "last_name": "B", "role": "customer"}
    assert_problem(edge.post("/users", json=body), 409, "EMAIL_TAKEN")


def test_demo_accounts_exist(edge: httpx.Client, bearer: Bearer) -> None:
    for role in ("admin", "customer", "deliverer"):
        profile = edge.get("/users/me", headers=bearer(role)).json()
        assert (profile["email"], profile["role"], profile["email_verified"]) == (f"{role}@delivery.test", role, True)


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


def test_sign_out_revokes_refresh_token(sign_up: SignUp) -> None:
    ada = sign_up().sign_in()
    assert ada.refresh().status_code == 200
    assert ada.request("DELETE", "/sessions").status_code == 204
    assert_problem(ada.refresh(), 401, "REFRESH_TOKEN_INVALID")
    assert ada.sign_in().refresh().status_code == 200


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


def test_email_rejected_by_identity_provider_returns_422(edge: httpx.Client) -> None:
    email = f"a@{'b' * 63}.{'c' * 63}.{'d' * 63}.test"
    body = {"email": email, "password": PASSWORD, "first_name": "A", "last_name": "B", "role": "customer"}
    assert_problem(edge.post("/users", json=body), 422, "ACCOUNT_REFUSED")


def test_lone_surrogate_returns_400(sign_up: SignUp) -> None:
    ada = sign_up().sign_in()
    body = b'{"first_name": "\\ud800"}'
    response = ada.request("PATCH", "/users/me", content=body, headers={"content-type": "application/json"})
    assert_problem(response, 400, "INVALID_REQUEST")


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


def test_email_change_to_registered_address_sends_no_code(sign_up: SignUp) -> None:
    ada, bob, other = sign_up().sign_in(), sign_up(), sign_up().sign_in()
    bob.wait_for_code(1)
    responses = [ada.request("POST", "/users/me/email", json={"email": bob.email})]
    responses.append(other.request("POST", "/users/me/email", json={"email": f"free-{other.email}"}))
    assert [(response.status_code, response.content) for response in responses] == [(202, b"")] * 2
    other.wait_for_code(1, f"free-{other.email}")
    assert len(bob.list_mails()) == 1


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


def test_deliverer_requires_approval_by_admin(edge: httpx.Client, bearer: Bearer, sign_up: SignUp) -> None:
    dora = sign_up("deliverer").sign_in()
    assert "role" not in dora.profile
    assert_problem(dora.request("GET", "/deliveries"), 403, "FORBIDDEN")
    pending_users = edge.get("/users", params={"approved": False, "q": dora.email}, headers=bearer("admin")).json()
    assert [user["id"] for user in pending_users["items"]] == [dora.id]
    approved = edge.put(f"/users/{dora.id}/role", json={"role": "deliverer"}, headers=bearer("admin"))
    assert approved.json()["role"] == "deliverer"
    assert_problem(dora.request("GET", "/deliveries"), 403, "FORBIDDEN")  # the token contains no role
    assert_problem(dora.request("GET", "/banks"), 401, "TOKEN_REVOKED")
    dora.refresh()
    assert dora.request("GET", "/deliveries").status_code == 200
    assert dora.request("GET", "/users/me").json()["role"] == "deliverer"
    assert (
        edge.get("/users", params={"approved": False, "q": dora.email}, headers=bearer("admin")).json()["items"] == []
    )


def test_accounts_are_listed_newest_first_for_admins_only(edge: httpx.Client, bearer: Bearer, sign_up: SignUp) -> None:
    name = f"Zoe{time.monotonic_ns()}"
    users = [sign_up(first_name=name) for _ in range(3)]
    params: dict[str, Any] = {"q": name.upper(), "role": "customer", "page_size": 2}
    first = edge.get("/users", params=params, headers=bearer("admin")).json()
    second = edge.get(
        "/users", params={**params, "page_token": first["next_page_token"]}, headers=bearer("admin")
    ).json()
    assert [user["id"] for user in first["items"] + second["items"]] == [user.id for user in reversed(users)]
    assert "next_page_token" not in second
    assert_problem(users[0].sign_in().request("GET", "/users"), 403, "FORBIDDEN")
    assert_problem(users[0].request("PUT", f"/users/{users[0].id}/role", json={"role": "admin"}), 403, "FORBIDDEN")
    assert_problem(
        edge.put("/users/unknown/role", json={"role": "admin"}, headers=bearer("admin")), 404, "USER_NOT_FOUND"
    )


@pytest.mark.parametrize("image_format", ["PNG", "JPEG", "WEBP"])
def test_avatar_is_uploaded_served_replaced_and_deleted(sign_up: SignUp, image_format: str) -> None:
    ada = sign_up().sign_in()
    assert_problem(ada.request("GET", "/users/me/avatar"), 404, "AVATAR_NOT_FOUND")
    files = {"avatar": ("me.bin", create_image(image_format), f"image/{image_format.lower()}")}
    put = ada.request("PUT", "/users/me/avatar", files=files)
    assert put.status_code == 200, put.text
    avatar = ada.request("GET", put.json()["avatar_url"].removeprefix("/api/v1"))
    assert avatar.headers["content-type"] == "image/webp"
    assert avatar.headers["cache-control"] == "private, no-cache"
    assert Image.open(io.BytesIO(avatar.content)).size == (400, 400)
    not_modified = ada.request("GET", "/users/me/avatar", headers={"if-none-match": avatar.headers["etag"]})
    assert (not_modified.status_code, not_modified.content) == (304, b"")
    ada.request("PUT", "/users/me/avatar", files={"avatar": ("me.png", create_image(colour="blue"), "image/png")})
    assert ada.request("GET", "/users/me/avatar").headers["etag"] != avatar.headers["etag"]
    assert ada.request("DELETE", "/users/me/avatar").status_code == 204
    assert_problem(ada.request("GET", "/users/me/avatar"), 404, "AVATAR_NOT_FOUND")
    assert "avatar_url" not in ada.request("GET", "/users/me").json()


@pytest.mark.parametrize(
    ("content", "media_type", "status", "reason"),
    [
        (b"", "image/png", 422, "PICTURE_REFUSED"),
        (b"<svg onload='alert(1)'/>", "image/png", 422, "PICTURE_REFUSED"),
        (create_image()[:200], "image/png", 422, "PICTURE_REFUSED"),
        (create_image(size=(10_000, 10_000)), "image/png", 422, "PICTURE_REFUSED"),
        (create_image("GIF"), "image/png", 422, "PICTURE_REFUSED"),
        (create_image("GIF"), "image/gif", 415, "UNSUPPORTED_MEDIA_TYPE"),
        (b"x" * (5 * 1024 * 1024 + 1), "image/png", 413, "PAYLOAD_TOO_LARGE"),
    ],
    ids=[
        "empty",
        "not an image",
        "truncated",
        "too many pixels",
        "wrong media type",
        "unsupported media type",
        "too large",
    ],
)
def test_invalid_avatar_is_rejected(sign_up: SignUp, content: bytes, media_type: str, status: int, reason: str) -> None:
    ada = sign_up().sign_in()
    assert_problem(ada.request("PUT", "/users/me/avatar", files={"avatar": ("a", content, media_type)}), status, reason)
    assert_problem(ada.request("GET", "/users/me/avatar"), 404, "AVATAR_NOT_FOUND")


def test_account_deletion_removes_personal_data(
    edge: httpx.Client, bearer: Bearer, sign_up: SignUp, state_text: Callable[[], str]
) -> None:
    ada = sign_up(first_name="Zuleika", phone="+4915112345678", notif_token="phone-of-zuleika").sign_in()
    ada.request("PUT", "/users/me/avatar", files={"avatar": ("me.png", create_image(), "image/png")})
    assert ada.request("DELETE", "/users/me").status_code == 204
    assert_problem(ada.request("GET", "/users/me"), 401, "TOKEN_REVOKED")
    assert_problem(ada.refresh(), 401, "REFRESH_TOKEN_INVALID")
    assert_problem(edge.post("/sessions", json={"email": ada.email, "password": PASSWORD}), 401, "CREDENTIALS_INVALID")
    assert edge.get("/users", params={"q": ada.email}, headers=bearer("admin")).json()["items"] == []
    wait_until(
        lambda: not {ada.email, "phone-of-zuleika"} & set(state_text().split()),
        description="no store contains personal data",
    )
    registration = {"email": ada.email, "password": PASSWORD, "first_name": "A", "last_name": "B", "role": "customer"}
    assert edge.post("/users", json=registration).status_code == 201


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


def test_admin_command_assigns_role(mesh: Mesh, sign_up: SignUp) -> None:
    ada = sign_up().sign_in()
    run_local("make-admin", ada.email)
    ada.refresh()
    assert ada.request("GET", "/users", params={"role": "admin", "q": ada.email}).json()["items"][0]["id"] == ada.id
    with pytest.raises(AssertionError, match="no account with e-mail address unregistered"):
        run_local("make-admin", "unregistered@delivery.test")


def test_orders_of_deleted_account_are_anonymised(pending: ScenarioContext, edge: httpx.Client, bearer: Bearer) -> None:
    for scenario in (scenarios.pay, scenarios.report_ready, scenarios.deliver):
        scenario(pending)
    order = edge.get(f"/orders/{pending.order_id}", headers=bearer("admin")).json()
    assert order["delivery_address"]
    headers = {"authorization": f"Bearer {pending.tokens['customer']}"}
    assert edge.delete("/users/me", headers=headers).status_code == 204

    def is_anonymised() -> bool:
        after = edge.get(f"/orders/{pending.order_id}", headers=bearer("admin")).json()
        return after == {**order, "delivery_address": ""}

    wait_until(is_anonymised, description="the order is anonymised")
