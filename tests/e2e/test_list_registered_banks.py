"""listRegisteredBanks: List registered banks."""

from collections.abc import Callable
from uuid import uuid4

import httpx
import pytest


def test_list_registered_banks_without_token_returns_401(edge: httpx.Client) -> None:
    assert edge.request("GET", "/registered-banks").status_code == 401


@pytest.mark.parametrize("role", ["customer", "deliverer"])
def test_list_registered_banks_with_other_role_returns_403(
    edge: httpx.Client, bearer: Callable[[str], dict[str, str]], role: str
) -> None:
    assert edge.request("GET", "/registered-banks", headers=bearer(role)).status_code == 403


def test_registered_banks_include_inactive_ones(edge: httpx.Client, bearer: Callable[[str], dict[str, str]]) -> None:
    admin = bearer("admin")
    urls = {"webcheckout_url": "https://bank.example/pay", "api_url": "https://bank.example/api"}
    bank = {"id": f"b-{uuid4().hex[:12]}", "title": "North Bank", **urls}
    edge.post("/banks", json=bank, headers=admin).raise_for_status()
    edge.patch(f"/banks/{bank['id']}", json={"active": False}, headers=admin).raise_for_status()

    def list_banks(**query: object) -> list[dict[str, object]]:
        items: list[dict[str, object]] = []
        token: dict[str, str] | None = {}
        while token is not None:
            page = edge.get("/registered-banks", params={"page_size": 50, **query, **token}, headers=admin).json()
            items += page["items"]
            token = {"page_token": page["next_page_token"]} if "next_page_token" in page else None
        return items

    assert edge.get("/registered-banks", params={"active": "maybe"}, headers=admin).status_code == 400
    inactive = bank | {"active": False}
    assert inactive in list_banks()
    assert inactive in list_banks(active=False)
    assert {"visa"} <= {each["id"] for each in list_banks(active=True)} - {bank["id"]}
    assert inactive not in list_banks(active=True)
