"""Accounts, through the edge: sign-up, roles, lists for admins, and deletion."""

import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from deploy.local.demo import scenarios
from deploy.local.demo.scenario_context import ScenarioContext
from tests.conftest import Mesh, run_local
from tests.e2e.test_error_responses import assert_problem
from tests.users import PASSWORD, SignUp, create_image
from tests.wait import wait_until

type Bearer = Callable[[str], dict[str, str]]


def test_sign_up_with_registered_email_returns_409(edge: httpx.Client, sign_up: SignUp) -> None:
    ada = sign_up()
    body = {"email": ada.email.upper(), "password": PASSWORD, "first_name": "A", "last_name": "B", "role": "customer"}
    assert_problem(edge.post("/users", json=body), 409, "EMAIL_TAKEN")


def test_demo_accounts_exist(edge: httpx.Client, bearer: Bearer) -> None:
    for role in ("admin", "customer", "deliverer"):
        profile = edge.get("/users/me", headers=bearer(role)).json()
        assert (profile["email"], profile["role"], profile["email_verified"]) == (f"{role}@delivery.test", role, True)


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
