"""removeOpeningHours: Remove a partner's opening hours."""

import httpx
import pytest

from tests.e2e.test_set_opening_hours import BODY, Bearer, create_partner, wait_for_catalog_entry


def test_remove_opening_hours_without_token_returns_401(edge: httpx.Client) -> None:
    assert edge.request("DELETE", "/partners/1/opening-hours").status_code == 401


@pytest.mark.parametrize("role", ["customer", "deliverer"])
def test_remove_opening_hours_with_other_role_returns_403(edge: httpx.Client, bearer: Bearer, role: str) -> None:
    assert edge.request("DELETE", "/partners/1/opening-hours", headers=bearer(role)).status_code == 403


def test_partner_without_opening_hours_is_always_open(edge: httpx.Client, bearer: Bearer) -> None:
    path = create_partner(edge, bearer)
    edge.put(f"{path}/opening-hours", json=BODY, headers=bearer("admin")).raise_for_status()
    wait_for_catalog_entry(edge, path, BODY)
    for _ in range(2):
        assert edge.delete(f"{path}/opening-hours", headers=bearer("admin")).status_code == 204
    assert wait_for_catalog_entry(edge, path, None)["is_open"] is True
