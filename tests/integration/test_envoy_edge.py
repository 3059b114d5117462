"""Answers of the edge to unusual but valid requests, and to requests that it rejects itself."""

from collections.abc import Iterator

import httpx
import pytest

from tests.envoy_test_mesh import MeshClient, create_token, running_test_edge


@pytest.fixture(scope="module")
def edge_mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MeshClient]:
    with running_test_edge(tmp_path_factory.mktemp("edge")) as client:
        yield client


@pytest.fixture(scope="module")
def edge(edge_mesh: MeshClient) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=edge_mesh.get_url("EDGE_PORT"), trust_env=False, timeout=10) as client:
        yield client


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER ", "bEARER   "])
def test_authorization_scheme_is_case_insensitive(edge: httpx.Client, scheme: str) -> None:
    """RFC 9110, 11.1."""
    token = create_token()
    response = edge.get("/api/v1/orders", headers={"authorization": scheme + token})
    assert response.status_code == 200
    assert response.json()["authorization"] == f"Bearer {token}"


@pytest.mark.parametrize("scheme", ["", "bearer", "xbearer ", "Basic ", "token bearer "])
def test_other_authorization_scheme_returns_401(edge: httpx.Client, scheme: str) -> None:
    response = edge.get("/api/v1/orders", headers={"authorization": scheme + create_token()})
    assert (response.status_code, response.json()["reason"]) == (401, "UNAUTHENTICATED")
