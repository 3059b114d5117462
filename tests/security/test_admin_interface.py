"""Admin interface of an Envoy under requests that a web page of another site can send."""

from collections.abc import Iterator

import httpx
import pytest

from tests.envoy_test_mesh import MeshClient, running_test_ingress


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MeshClient]:
    with running_test_ingress(tmp_path_factory.mktemp("admin")) as client:
        yield client


@pytest.fixture(scope="module")
def admin(mesh: MeshClient) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=mesh.get_url("ORDERS_ADMIN_PORT"), trust_env=False, timeout=10) as client:
        yield client


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": "evil.example:9901"},
        {"host": "localhost.evil.example"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://evil.example"},
        {"origin": "http://localhost:5173"},
        {"origin": "null"},
    ],
    ids=lambda headers: "=".join(next(iter(headers.items()))),
)
def test_request_of_another_site_is_denied(admin: httpx.Client, headers: dict[str, str]) -> None:
    for method, path in (("GET", "/config_dump"), ("POST", "/healthcheck/fail"), ("POST", "/drain_listeners")):
        assert admin.request(method, path, headers=headers).status_code == 403
    assert admin.get("/ready").status_code == 200


def test_request_without_browser_is_permitted(admin: httpx.Client, mesh: MeshClient) -> None:
    for host in ("localhost", "127.0.0.1", f"localhost:{mesh.settings['ORDERS_ADMIN_PORT']}", "[::1]:9901"):
        assert admin.get("/ready", headers={"host": host}).status_code == 200
    assert admin.get("/stats/prometheus").status_code == 200


def test_page_of_the_admin_interface_may_send_requests(admin: httpx.Client, mesh: MeshClient) -> None:
    origin = mesh.get_url("ORDERS_ADMIN_PORT")
    assert admin.post("/healthcheck/ok", headers={"origin": origin, "sec-fetch-site": "same-origin"}).status_code == 200
    assert admin.get("/clusters", headers={"sec-fetch-site": "none"}).status_code == 200


def test_admin_interface_is_reachable_while_draining(admin: httpx.Client) -> None:
    """Runs last, because the inbound listeners stop."""
    for parameters in ("graceful&skip_exit", "inboundonly"):
        assert admin.post(f"/drain_listeners?{parameters}").status_code == 200
    assert httpx.get(admin.base_url.join("/ready"), trust_env=False).status_code == 200
