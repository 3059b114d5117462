"""setOpeningHours: Set a partner's opening hours."""

import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.e2e.test_error_responses import assert_problem
from tests.wait import wait_until

type Bearer = Callable[[str], dict[str, str]]

BODY = {
    "time_zone": "Europe/Berlin",
    "periods": [
        {"day": "monday", "opens": "11:00", "closes": "22:00"},
        {"day": "friday", "opens": "18:00", "closes": "02:00"},
    ],
}
PARTNER = {
    "brand": "Owls",
    "phone": "+12025550108",
    "email": "owls@delivery.test",
    "address": "4 Night Street",
    "api_url": "https://owls.example/api",
    "verified": True,
}


def create_partner(edge: httpx.Client, bearer: Bearer) -> str:
    """Create a partner that sells product 1 for 100 and return its path."""
    body = PARTNER | {"title": f"Night Owls {secrets.token_hex(4)}"}
    created = edge.post("/partners", json=body, headers=bearer("admin"))
    path: str = created.headers["location"].removeprefix("/api/v1")
    edge.put(f"{path}/products/1", json={"price": 100}, headers=bearer("admin")).raise_for_status()
    return path


def build_hours_from(opens: datetime) -> dict[str, Any]:
    """Return opening hours of one hour a week."""
    closes = opens + timedelta(hours=1)
    period = {"day": f"{opens:%A}".lower(), "opens": f"{opens:%H:%M}", "closes": f"{closes:%H:%M}"}
    return {"time_zone": "UTC", "periods": [period]}


def check_order(edge: httpx.Client, bearer: Bearer, path: str, **headers: str) -> httpx.Response:
    body = {
        "partner_id": int(path.rpartition("/")[2]),
        "items": [{"product_id": 1, "quantity": 2}],
        "total_amount": 200,
        "bank_id": "visa",
        "delivery_address": "1 Long Street",
    }
    return edge.post("/order-checks", json=body, headers=bearer("customer") | headers)


def wait_for_catalog_entry(edge: httpx.Client, path: str, hours: dict[str, Any] | None) -> Any:
    """Return the catalog entry of a partner as soon as it has the opening hours."""

    def find_entry() -> Any:
        (entry,) = edge.get("/catalog", params={"partner_id": path.rpartition("/")[2]}).json()["items"]
        return entry if entry.get("opening_hours") == hours else None

    return wait_until(find_entry, description="the catalog contains the opening hours")


def test_set_opening_hours_without_token_returns_401(edge: httpx.Client) -> None:
    assert edge.request("PUT", "/partners/1/opening-hours", json=BODY).status_code == 401


@pytest.mark.parametrize("role", ["customer", "deliverer"])
def test_set_opening_hours_with_other_role_returns_403(edge: httpx.Client, bearer: Bearer, role: str) -> None:
    assert edge.request("PUT", "/partners/1/opening-hours", json=BODY, headers=bearer(role)).status_code == 403


def test_closed_partner_takes_no_orders_until_it_opens(edge: httpx.Client, bearer: Bearer) -> None:
    path = create_partner(edge, bearer)
    check = check_order(edge, bearer, path)
    assert check.status_code == 201, check.text
    opens = datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(hours=30)
    hours = build_hours_from(opens)
    updated = edge.put(f"{path}/opening-hours", json=hours, headers=bearer("admin"))
    assert (updated.status_code, updated.json()["opening_hours"]) == (200, hours)

    entry = wait_for_catalog_entry(edge, path, hours)
    assert (entry["is_open"], datetime.fromisoformat(entry["opens_at"])) == (False, opens)
    rejected = check_order(edge, bearer, path, **{"accept-language": "de"})
    problem = assert_problem(rejected, 422, "PARTNER_CLOSED")
    assert (datetime.fromisoformat(problem["opens_at"]), problem["time_zone"]) == (opens, "UTC")
    assert f"um {opens:%H:%M} Uhr (UTC)" in problem["detail"]
    confirmed = edge.post("/orders", json={"check_id": check.json()["check_id"]}, headers=bearer("customer"))
    assert_problem(confirmed, 422, "PARTNER_CLOSED")

    hours = build_hours_from(opens - timedelta(hours=30))
    edge.put(f"{path}/opening-hours", json=hours, headers=bearer("admin"))
    entry = wait_for_catalog_entry(edge, path, hours)
    assert (entry["is_open"], entry.get("opens_at")) == (True, None)
    assert check_order(edge, bearer, path).status_code == 201


def test_opening_hours_are_part_of_the_versioned_partner(edge: httpx.Client, bearer: Bearer) -> None:
    path = create_partner(edge, bearer)
    first = edge.put(f"{path}/opening-hours", json=BODY, headers=bearer("admin") | {"if-match": '"1"'})
    read = edge.get(path, headers=bearer("admin"))
    assert read.json() == first.json()
    assert (read.headers["etag"], first.headers["etag"]) == ('"2"', '"2"')
    outdated = edge.put(f"{path}/opening-hours", json=BODY, headers=bearer("admin") | {"if-match": '"1"'})
    assert_problem(outdated, 412, "PRECONDITION_FAILED")


def test_opening_hours_in_unknown_time_zone_return_422(edge: httpx.Client, bearer: Bearer) -> None:
    response = edge.put("/partners/1/opening-hours", json=BODY | {"time_zone": "Mars/Olympus"}, headers=bearer("admin"))
    assert_problem(response, 422, "TIME_ZONE_UNKNOWN")


@pytest.mark.parametrize(
    "change", [{"opens": "24:00"}, {"opens": "9:00"}, {"closes": "10:00:00"}, {"day": "Monday"}, {"day": None}]
)
def test_malformed_opening_period_returns_400(edge: httpx.Client, bearer: Bearer, change: dict[str, Any]) -> None:
    body = BODY | {"periods": [{"day": "monday", "opens": "11:00", "closes": "22:00"} | change]}
    response = edge.put("/partners/1/opening-hours", json=body, headers=bearer("admin"))
    assert_problem(response, 400, "INVALID_REQUEST")
