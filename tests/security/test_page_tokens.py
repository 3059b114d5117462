"""Page tokens that a caller made, or took from another list: 400 from every list."""

import base64
import json
from collections.abc import Callable

import httpx
import pytest

from codegen.contracts import load
from codegen.rest.operations import Operation, iter_operations
from deploy.local.demo import scenarios
from tests.conftest import ROOT

KEYS = (
    ["0001-01-01T00:00:00+14:00", "x"],
    ["9999-12-31T23:59:59-12:00", "x"],
    ["0001-01-01T00:00:00+14:00", "x", "x"],
    ["2026-01-01T00:00:00", "\0"],
    ["\0"],
    [2**70],
    [0],
)
"""Keys of rows as page tokens contain them, with values that no store can represent."""

LISTS = [
    operation
    for operation in iter_operations(load(ROOT), "delivery")
    if any(parameter["name"] == "page_token" for parameter in operation.parameters)
]


@pytest.fixture(scope="module")
def sign_in(edge: httpx.Client) -> Callable[[str], dict[str, str]]:
    """Return a function that returns the Authorization header of a demo account of the role."""
    headers: dict[str, dict[str, str]] = {}

    def get_headers(role: str) -> dict[str, str]:
        if role not in headers:
            body = {"email": f"{role}@delivery.test", "password": scenarios.DEMO_PASSWORD}
            token = edge.post("/sessions", json=body).raise_for_status().json()["access_token"]
            headers[role] = {"authorization": f"Bearer {token}"}
        return headers[role]

    return get_headers


@pytest.mark.parametrize("operation", LISTS, ids=lambda operation: operation.id)
def test_page_token_made_by_caller_is_rejected(
    edge: httpx.Client, sign_in: Callable[[str], dict[str, str]], operation: Operation
) -> None:
    role = "admin" if not operation.roles or "admin" in operation.roles else operation.roles[0]
    path = operation.path.replace("{order_id}", "x").replace("{partner_id}", "1")
    for key in KEYS:
        token = base64.urlsafe_b64encode(json.dumps(key).encode()).decode().rstrip("=")
        response = edge.get(path, params={"page_token": token}, headers=sign_in(role))
        assert (response.status_code, response.json()["reason"]) == (400, "INVALID_REQUEST"), (key, response.text)


def test_page_token_of_catalog_leads_to_next_page(edge: httpx.Client) -> None:
    first = edge.get("/catalog", params={"page_size": 1}).raise_for_status().json()
    second = edge.get("/catalog", params={"page_size": 1, "page_token": first["next_page_token"]})
    assert second.status_code == 200, second.text
    assert first["items"][0]["id"] < second.json()["items"][0]["id"]


def test_page_token_of_another_list_is_rejected(edge: httpx.Client, sign_in: Callable[[str], dict[str, str]]) -> None:
    page = {"page_size": 1}
    token = edge.get("/products", params=page, headers=sign_in("admin")).json()["next_page_token"]
    assert edge.get("/products", params={"page_token": token}, headers=sign_in("admin")).status_code == 200
    response = edge.get("/partners", params={"page_token": token}, headers=sign_in("admin"))
    assert (response.status_code, response.json()["reason"]) == (400, "INVALID_REQUEST")
