"""Web push of Firebase: registration of the service worker, and the notifications that it shows."""

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import CDPSession, Page, expect

from tests.browser.conftest import OpenContext
from tests.browser.contract_recorder import ContractRecorder
from tests.browser.shop import build_storage, sign_in
from tests.conftest import Mesh
from tests.users import User
from tests.wait import wait_until

FIREBASE = {
    "apiKey": "key",
    "appId": "1:1:web:1",
    "projectId": "delivery-test",
    "messagingSenderId": "1",
    "vapidKey": f"B{'A' * 86}",
}
SHOWN = """async () => {
    const [registration] = await navigator.serviceWorker.getRegistrations();
    return (await registration.getNotifications()).map(({ title, body, tag }) => ({ title, body, tag }));
}"""
CLICK = """async () => {
    let opened;
    self.clients.openWindow = async (url) => { opened = url; };
    const [notification] = await self.registration.getNotifications();
    self.dispatchEvent(new NotificationEvent("notificationclick", { notification }));
    return opened;
}"""
"""Clicks the notification. Chromium opens windows only after a click of a person, so the address is recorded."""


@pytest.fixture
def page(mesh: Mesh, open_context: OpenContext, customer: User) -> Page:
    """Return a page of the shop with a configured Firebase app, after the customer has asked for notifications."""
    context = open_context(**sign_in(mesh, customer))
    context.grant_permissions(["notifications"], origin=mesh.edge_url)
    page = context.new_page()
    page.route("**/apps.json", lambda route: route.fulfill(json={"firebase": FIREBASE}))
    page.goto(f"{mesh.edge_url}/shop/profile")
    page.get_by_role("button", name="Notify me on this device").click()
    # A browser without Google's push service has no subscription.
    expect(page.get_by_role("alert")).to_be_visible()
    return page


def test_replaced_token_is_registered_at_the_next_start(
    mesh: Mesh, open_context: OpenContext, contract: ContractRecorder, customer: User
) -> None:
    token = f"new-{secrets.token_hex(8)}"
    registered = customer.sign_in().request("POST", "/users/me/devices", json={"token": f"old-{token}"}).json()
    stored = {"token": f"old-{token}", "id": registered["id"]}
    context = open_context(**build_storage(mesh, session=customer.session, device=stored))
    context.grant_permissions(["notifications"], origin=mesh.edge_url)
    context.route("**/apps.json", lambda route: route.fulfill(json={"firebase": FIREBASE}))
    # Stands for the module of Firebase, which needs Google's push service.
    module = f"export const getToken = async () => {json.dumps(token)}"
    context.route("**/firebase-*.js", lambda route: route.fulfill(content_type="text/javascript", body=module))
    page = context.new_page()
    with page.expect_response(lambda response: response.request.method == "POST"):
        page.goto(f"{mesh.edge_url}/shop/profile")
    page.goto(f"{mesh.edge_url}/shop/profile")
    expect(page.get_by_role("button", name="Remove Chrome")).to_be_visible()
    page.wait_for_load_state("networkidle")
    assert page.evaluate("JSON.parse(localStorage.getItem('/shop/device')).token") == token
    assert contract.count("POST", "/users/me/devices") == 1


@contextmanager
def connect_push_service(page: Page) -> Iterator[tuple[CDPSession, str]]:
    """Yield a session of the DevTools protocol and the id of the worker's registration in it."""
    registrations: list[dict[str, Any]] = []
    session = page.context.new_cdp_session(page)
    session.on("ServiceWorker.workerRegistrationUpdated", lambda event: registrations.extend(event["registrations"]))
    session.send("ServiceWorker.enable")
    wait_until(lambda: page.title() and registrations, description="the registration is known")
    yield session, registrations[0]["registrationId"]
    session.detach()


def test_configured_firebase_registers_its_worker(mesh: Mesh, page: Page) -> None:
    scopes = "async () => (await navigator.serviceWorker.getRegistrations()).map(({ scope }) => scope)"
    assert page.evaluate(scopes) == [f"{mesh.edge_url}/shop/assets/"]


@pytest.mark.parametrize(("data", "path"), [({"order_id": "o/1"}, "/shop/orders/o%2F1"), ({}, "/shop/")])
def test_worker_shows_a_push_message_and_opens_the_order(
    mesh: Mesh, page: Page, data: dict[str, str], path: str
) -> None:
    notification = {"title": "Paid", "body": "Your order is being prepared."}
    message = {"notification": notification, "data": data | {"notification_id": "n1", "event": "orders.paid"}}
    with connect_push_service(page) as (session, registration_id):
        parameters = {"origin": mesh.edge_url, "registrationId": registration_id, "data": json.dumps(message)}
        for _ in range(2):  # A repeated message replaces the first one.
            session.send("ServiceWorker.deliverPushMessage", parameters)
        wait_until(lambda: page.evaluate(SHOWN), description="the notification is shown")
        assert page.evaluate(SHOWN) == [notification | {"tag": "n1"}]
        [worker] = page.context.service_workers
        assert worker.evaluate(CLICK) == mesh.edge_url + path
        assert page.evaluate(SHOWN) == []
