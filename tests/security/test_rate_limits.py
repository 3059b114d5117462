"""Rate limits of the edge against clients that send too many requests: per address, per user, and for all clients."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.envoy_test_mesh import MeshClient, build_bearer_headers, running_test_edge

ADDRESS = "203.0.113.7"
SIGN_UPS_PER_HOUR, CHECKS_PER_MINUTE, RESETS_PER_MINUTE = 30, 60, 600
"""Limits of the contract: sign-ups per address, order checks per user, password resets of all clients."""

DOCUMENTS_PER_MINUTE = 300
"""Limit per address of each public document."""


@pytest.fixture
def edge_mesh(tmp_path: Path) -> Iterator[MeshClient]:
    """Run an edge behind one trusted proxy."""
    with running_test_edge(tmp_path, TRUSTED_HOPS="1", RATE_LIMIT_FACTOR="1") as client:
        yield client


@pytest.fixture
def edge(edge_mesh: MeshClient) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=edge_mesh.get_url("EDGE_PORT"), trust_env=False, timeout=10) as client:
        yield client


def send(edge: httpx.Client, path: str, count: int, address: str = ADDRESS, **claims: str) -> list[httpx.Response]:
    """Send POST requests that the trusted proxy received from an address, with a token if claims are given."""
    headers = {"x-forwarded-for": address, **(build_bearer_headers(**claims) if claims else {})}
    return [edge.post(f"/api/v1{path}", headers=headers, json={}) for _ in range(count)]


def list_statuses(responses: list[httpx.Response]) -> list[int]:
    return [response.status_code for response in responses]


def test_sign_ups_beyond_the_limit_per_address_return_429(edge: httpx.Client) -> None:
    statuses = list_statuses(send(edge, "/users", 120))
    assert statuses == [200] * SIGN_UPS_PER_HOUR + [429] * (120 - SIGN_UPS_PER_HOUR)
    assert list_statuses(send(edge, "/users", 1, "203.0.113.8")) == [200]
    assert list_statuses(send(edge, "/sessions", 1)) == [200]


def test_429_response_has_problem_retry_after_and_policy(edge: httpx.Client) -> None:
    origin = {"origin": "http://localhost:5173"}
    for _ in range(SIGN_UPS_PER_HOUR):
        response = edge.post("/api/v1/users", headers=origin)
    by_operation, by_address = response.headers.get_list("ratelimit")
    assert by_address == '"address";r=0'
    assert 570 <= int(by_operation.removeprefix('"global";r=')) < 600  # ten tokens a second are added
    assert response.headers["ratelimit-policy"] == '"address";q=30;w=3600, "global";q=600;w=60'
    limited = edge.post("/api/v1/users", headers=origin)
    assert (limited.status_code, limited.json()["reason"]) == (429, "TOO_MANY_REQUESTS")
    assert limited.headers["content-type"] == "application/problem+json"
    assert limited.headers["retry-after"] == "120"
    assert limited.headers.get_list("ratelimit") == ['"address";r=0']
    assert limited.headers["ratelimit-policy"] == response.headers["ratelimit-policy"]
    assert {"RateLimit", "Retry-After"} <= set(limited.headers["access-control-expose-headers"].split(", "))
    assert not [name for name in limited.headers if name.startswith("x-ratelimit")]


def test_addresses_that_the_client_invents_do_not_raise_its_limit(edge: httpx.Client) -> None:
    responses = [
        response
        for number in range(SIGN_UPS_PER_HOUR + 1)
        for response in send(edge, "/users", 1, f"198.51.100.{number}, {ADDRESS}")
    ]
    assert responses[-1].status_code == 429


def test_ipv6_addresses_of_one_network_share_a_limit(edge: httpx.Client) -> None:
    responses = [
        response
        for number in range(SIGN_UPS_PER_HOUR + 1)
        for response in send(edge, "/users", 1, f"2001:db8:0:1::{number:x}")
    ]
    assert responses[-1].status_code == 429
    assert list_statuses(send(edge, "/users", 1, "2001:db8:0:2::1")) == [200]


def test_order_checks_beyond_the_limit_per_user_return_429(edge: httpx.Client) -> None:
    addresses = [f"203.0.113.{number}" for number in range(6)]
    responses = [each for address in addresses for each in send(edge, "/order-checks", 20, address, sub="ada")]
    statuses = list_statuses(responses)
    assert statuses[:CHECKS_PER_MINUTE] == [200] * CHECKS_PER_MINUTE
    assert statuses[CHECKS_PER_MINUTE:].count(200) <= 2  # a token returns each second
    assert statuses[-1] == 429
    assert list_statuses(send(edge, "/order-checks", 1, addresses[-1], sub="bob")) == [200]


def test_requests_with_invalid_tokens_count_per_address(edge: httpx.Client) -> None:
    headers = {"x-forwarded-for": ADDRESS, "authorization": "Bearer invalid"}
    statuses = [edge.put("/api/v1/users/me/password", headers=headers).status_code for _ in range(121)]
    assert statuses == [401] * 120 + [429]


def test_global_limit_holds_for_clients_of_many_addresses(edge: httpx.Client) -> None:
    addresses = [f"198.51.{number // 200}.{number % 200}" for number in range(RESETS_PER_MINUTE // 20 + 20)]
    statuses = [each for address in addresses for each in list_statuses(send(edge, "/password-resets", 20, address))]
    assert statuses[:RESETS_PER_MINUTE] == [200] * RESETS_PER_MINUTE
    assert 429 in statuses


@pytest.mark.parametrize("path", ["/openapi.json", "/docs/swagger-ui-bundle.js"])
def test_documents_beyond_the_limit_per_address_return_429(edge: httpx.Client, path: str) -> None:
    headers = {"x-forwarded-for": ADDRESS, "accept-encoding": "br"}
    statuses = [edge.get(path, headers=headers).status_code for _ in range(DOCUMENTS_PER_MINUTE + 20)]
    assert statuses[:DOCUMENTS_PER_MINUTE] == [200] * DOCUMENTS_PER_MINUTE
    assert statuses[-1] == 429
    assert edge.get(path, headers={"x-forwarded-for": "203.0.113.8"}).status_code == 200


def test_rate_limit_factor_multiplies_all_limits(tmp_path: Path) -> None:
    with running_test_edge(tmp_path, RATE_LIMIT_FACTOR="2") as mesh, httpx.Client(trust_env=False) as client:
        url = mesh.get_url("EDGE_PORT") + "/api/v1/users"
        statuses = [client.post(url).status_code for _ in range(2 * SIGN_UPS_PER_HOUR + 1)]
        assert statuses == [200] * 2 * SIGN_UPS_PER_HOUR + [429]
