"""The apps of couriers and admins with errors, slow responses, ended sessions, and two tabs."""

import httpx
import pytest
from playwright.sync_api import Route, expect

from tests.browser.conftest import PROBLEM, OpenContext, SendRequest, check_accessibility
from tests.browser.contract_recorder import ContractRecorder
from tests.browser.staff import create_courier, create_demo_session, store_session
from tests.conftest import Mesh
from tests.users import User

APPS = {"courier": ("deliverer", "**/api/v1/deliveries*"), "console": ("admin", "**/api/v1/orders*")}
"""Account and list of the first page, by app."""


@pytest.mark.parametrize("app", APPS)
def test_slow_list_shows_loading_then_its_error_until_it_succeeds(
    mesh: Mesh, edge: httpx.Client, open_context: OpenContext, app: str
) -> None:
    account, pattern = APPS[app]
    page = open_context(**store_session(mesh, app, create_demo_session(edge, account))).new_page()
    waiting: list[Route] = []

    def hold(route: Route) -> None:
        waiting.append(route)

    page.route(pattern, hold)
    with page.expect_request(pattern):
        page.goto(f"{mesh.edge_url}/{app}")
    expect(page.get_by_text("Loading …").first).to_be_visible()
    check_accessibility(page)

    def fail(route: Route) -> None:
        problem = {"status": 500, "json": PROBLEM, "content_type": "application/problem+json"}
        route.fulfill(**problem, headers={"retry-after": "0"})

    page.route(pattern, fail)
    for route in waiting:
        fail(route)
    expect(page.get_by_role("alert").first).to_contain_text(str(PROBLEM["detail"]))
    check_accessibility(page)
    page.unroute(pattern)
    page.get_by_role("button", name="Try again").first.click()
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(page.get_by_text("Loading …")).to_have_count(0)


@pytest.mark.parametrize("app", APPS)
def test_expired_token_is_renewed_and_sign_out_ends_every_tab(
    mesh: Mesh, edge: httpx.Client, open_context: OpenContext, contract: ContractRecorder, app: str
) -> None:
    session = create_demo_session(edge, APPS[app][0]) | {"access_token": "expired"}
    context = open_context(**store_session(mesh, app, session))
    first = context.new_page()
    first.goto(f"{mesh.edge_url}/{app}")
    expect(first.get_by_role("button", name="Sign out")).to_be_visible()
    expect(first.get_by_text("Loading …")).to_have_count(0)
    assert contract.count("POST", "/sessions/refresh") == 1
    second = context.new_page()
    second.goto(f"{mesh.edge_url}/{app}")
    # The sign-out on the server would end the sessions of other tests.
    context.route("**/api/v1/sessions", lambda route: route.fulfill(status=204))
    second.get_by_role("button", name="Sign out").click()
    for page in (first, second):
        expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    assert first.evaluate("Object.keys(localStorage)") == []


def test_revoked_session_of_a_courier_leads_to_the_sign_in(
    mesh: Mesh,
    edge: httpx.Client,
    sandbox: httpx.Client,
    send: SendRequest,
    open_context: OpenContext,
    contract: ContractRecorder,
) -> None:
    courier = create_courier(User(edge, sandbox, "deliverer"), send)
    page = open_context(**store_session(mesh, "courier", courier.session)).new_page()
    page.goto(f"{mesh.edge_url}/courier")
    expect(page.get_by_text("Loading …")).to_have_count(0)
    courier.request("DELETE", "/sessions").raise_for_status()
    page.reload()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    assert contract.count("POST", "/sessions/refresh") == 0
